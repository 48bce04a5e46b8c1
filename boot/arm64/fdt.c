#include "boot/arm64/fdt.h"

#include <inttypes.h>
#include <libfdt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "boot/kernel.h"

/* Numbers by which properties refer to nodes. */
enum phandle {
	PHANDLE_GIC = 1,
	PHANDLE_CLOCK,
	PHANDLE_GPIO,
	PHANDLE_CACHES, /* the first, see cache_phandle() */
};

/* bindings/interrupt-controller/arm,gic-v3.yaml: type, number, flags */
enum gic_interrupt {
	GIC_SPI = 0,
	GIC_PPI = 1,
	GIC_EDGE_RISING = 1,
	GIC_LEVEL_HIGH = 4,
	GIC_LEVEL_LOW = 8,
};

#define PPI_PMU 7 /* INTID 23, by the Server Base System Architecture */

#define CLOCK_HZ 24000000
#define SERIAL_CLOCK_HZ 1843200
#define KEY_POWER 116 /* linux/input-event-codes.h */
#define CACHE_LEVELS_MAX 7

/* The tree as it grows, and the first error of libfdt, after which nothing
 * more is written. */
struct fdt_writer {
	const struct fdt_config *config;
	void *fdt;
	int rc;
};

__attribute__((format(printf, 2, 3))) static void begin(struct fdt_writer *w,
							const char *fmt, ...)
{
	char name[64];
	va_list args;

	va_start(args, fmt);
	vsnprintf(name, sizeof(name), fmt, args);
	va_end(args);
	if (w->rc == 0)
		w->rc = fdt_begin_node(w->fdt, name);
}

static void end(struct fdt_writer *w)
{
	if (w->rc == 0)
		w->rc = fdt_end_node(w->fdt);
}

static void put(struct fdt_writer *w, const char *name, const void *data,
		size_t len)
{
	if (w->rc == 0)
		w->rc = fdt_property(w->fdt, name, data, (int)len);
}

static void put_flag(struct fdt_writer *w, const char *name)
{
	put(w, name, NULL, 0);
}

static void put_string(struct fdt_writer *w, const char *name,
		       const char *value)
{
	put(w, name, value, strlen(value) + 1);
}

/* Several strings: one literal with a NUL between each two of them. */
#define put_strings(w, name, literal) put(w, name, literal, sizeof(literal))

static void put_cell_array(struct fdt_writer *w, const char *name,
			   const uint32_t *values, unsigned count)
{
	fdt32_t cells[12];

	for (unsigned i = 0; i < count; i++)
		cells[i] = cpu_to_fdt32(values[i]);
	put(w, name, cells, count * sizeof(cells[0]));
}

/* Up to 12 numbers of 32 bits. CELLS() makes two of a number of 64 bits. */
#define put_cells(w, name, ...)                                    \
	put_cell_array(w, name, (const uint32_t[]){ __VA_ARGS__ }, \
		       ARRAY_SIZE(((const uint32_t[]){ __VA_ARGS__ })))
#define CELLS(value) (uint32_t)((value) >> 32), (uint32_t)(value)

static void put_device(struct fdt_writer *w, const struct fdt_device *device)
{
	put_cells(w, "reg", CELLS(device->gpa), CELLS(device->size));
	put_cells(w, "interrupts", GIC_SPI, device->spi, GIC_EDGE_RISING);
}

/* arm,gic.yaml: the flags of a GICv2's PPI include the CPUs that have it, in
 * bits 8 to 15. */
static uint32_t ppi_flags(const struct fdt_writer *w, uint32_t level)
{
	unsigned cpus = w->config->cpu_count;

	if (w->config->gic_version != 2)
		return level;
	return level | (cpus < 8 ? (1U << cpus) - 1 : 0xff) << 8;
}

/* ---- nodes ---- */

static void add_chosen(struct fdt_writer *w)
{
	static const uint8_t no_seed[sizeof(w->config->rng_seed)];
	const struct fdt_config *c = w->config;
	char path[64];

	begin(w, "chosen");
	put_string(w, "bootargs", c->cmdline);
	if (c->initrd.size > 0) {
		put_cells(w, "linux,initrd-start", CELLS(c->initrd.gpa));
		put_cells(w, "linux,initrd-end",
			  CELLS(c->initrd.gpa + c->initrd.size));
	}
	if (c->has_serial) {
		snprintf(path, sizeof(path), "/serial@%" PRIx64, c->serial.gpa);
		put_string(w, "stdout-path", path);
	}
	if (memcmp(c->rng_seed, no_seed, sizeof(no_seed)) != 0)
		put(w, "rng-seed", c->rng_seed, sizeof(c->rng_seed));
	if (c->kaslr_seed)
		put_cells(w, "kaslr-seed", CELLS(c->kaslr_seed));
	end(w);
}

static void add_memory(struct fdt_writer *w)
{
	for (unsigned i = 0; i < w->config->ram_count; i++) {
		const struct guest_region *r = &w->config->mem->regions[i];

		begin(w, "memory@%" PRIx64, r->gpa);
		put_string(w, "device_type", "memory");
		put_cells(w, "reg", CELLS(r->gpa), CELLS(r->size));
		end(w);
	}
}

/* Kind "d-" gives d-cache-size. A value of 0 is not known, and left out. */
static void put_cache_number(struct fdt_writer *w, const char *kind,
			     const char *what, uint32_t value)
{
	char name[32];

	snprintf(name, sizeof(name), "%scache-%s", kind, what);
	if (value > 0)
		put_cells(w, name, value);
}

static bool has_cache_level(const struct fdt_config *config, unsigned level)
{
	for (unsigned i = 0; i < config->cache_count; i++)
		if (config->caches[i].level == level)
			return true;
	return false;
}

/* All CPUs share the caches of a level from 3 on, which have one phandle. Each
 * CPU has its own level 2. */
static uint32_t cache_phandle(unsigned level, unsigned cpu)
{
	if (level > 2)
		return PHANDLE_CACHES + level;
	return PHANDLE_CACHES + CACHE_LEVELS_MAX + 1 + cpu;
}

/* The properties of all caches of one level, and what comes after them;
 * Devicetree Specification 0.4, 3.8.2 to 3.9. */
static void put_cache_level(struct fdt_writer *w, unsigned level, unsigned cpu)
{
	static const char *const kinds[] = {
		[FDT_CACHE_DATA] = "d-",
		[FDT_CACHE_INSTRUCTION] = "i-",
		[FDT_CACHE_UNIFIED] = "",
	};

	for (unsigned i = 0; i < w->config->cache_count; i++) {
		const struct fdt_cache *c = &w->config->caches[i];

		if (c->level != level)
			continue;
		if (c->kind == FDT_CACHE_UNIFIED)
			put_flag(w, "cache-unified");
		put_cache_number(w, kinds[c->kind], "size", c->size);
		put_cache_number(w, kinds[c->kind], "line-size", c->line_size);
		put_cache_number(w, kinds[c->kind], "sets", c->sets);
	}
	if (has_cache_level(w->config, level + 1))
		put_cells(w, "next-level-cache", cache_phandle(level + 1, cpu));
}

static void add_cache(struct fdt_writer *w, unsigned level, unsigned cpu)
{
	if (!has_cache_level(w->config, level))
		return;
	begin(w, "l%u-cache", level);
	put_string(w, "compatible", "cache");
	put_cells(w, "cache-level", level);
	put_cache_level(w, level, cpu);
	put_cells(w, "phandle", cache_phandle(level, cpu));
	end(w);
}

/* bindings/arm/cpus.yaml */
static void add_cpus(struct fdt_writer *w)
{
	begin(w, "cpus");
	put_cells(w, "#address-cells", 2);
	put_cells(w, "#size-cells", 0);
	for (unsigned i = 0; i < w->config->cpu_count; i++) {
		begin(w, "cpu@%" PRIx64, w->config->mpidrs[i]);
		put_string(w, "device_type", "cpu");
		put_string(w, "compatible", "arm,armv8");
		put_string(w, "enable-method", "psci");
		put_cells(w, "reg", CELLS(w->config->mpidrs[i]));
		put_cache_level(w, 1, i);
		add_cache(w, 2, i);
		end(w);
	}
	for (unsigned level = 3; level <= CACHE_LEVELS_MAX; level++)
		add_cache(w, level, 0);
	end(w);
}

static void add_psci(struct fdt_writer *w)
{
	begin(w, "psci");
	put_strings(w, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci");
	put_string(w, "method", "hvc");
	end(w);
}

static void add_gic(struct fdt_writer *w)
{
	const struct fdt_config *c = w->config;
	bool v3 = c->gic_version == 3;

	begin(w, "intc@%" PRIx64, c->gicd_base);
	put_string(w, "compatible", v3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
	put_flag(w, "interrupt-controller");
	put_cells(w, "#interrupt-cells", 3);
	put_cells(w, "#address-cells", 0);
	put_cells(w, "reg", CELLS(c->gicd_base), CELLS(c->gicd_size),
		  CELLS(v3 ? c->gicr_base : c->gicc_base),
		  CELLS(v3 ? c->gicr_size : c->gicc_size));
	put_cells(w, "phandle", PHANDLE_GIC);
	end(w);
}

/* bindings/timer/arm,arch_timer.yaml: secure, non-secure, virtual, EL2. The
 * timer is always on, because KVM keeps time while a CPU sleeps. */
static void add_timer(struct fdt_writer *w)
{
	uint32_t flags = ppi_flags(w, GIC_LEVEL_LOW);

	begin(w, "timer");
	put_string(w, "compatible", "arm,armv8-timer");
	put_cells(w, "interrupts", GIC_PPI, 13, flags, GIC_PPI, 14, flags,
		  GIC_PPI, 11, flags, GIC_PPI, 10, flags);
	put_flag(w, "always-on");
	end(w);
}

static void add_pmu(struct fdt_writer *w)
{
	begin(w, "pmu");
	put_string(w, "compatible", "arm,armv8-pmuv3");
	put_cells(w, "interrupts", GIC_PPI, PPI_PMU,
		  ppi_flags(w, GIC_LEVEL_HIGH));
	end(w);
}

static void add_serial(struct fdt_writer *w)
{
	begin(w, "serial@%" PRIx64, w->config->serial.gpa);
	put_string(w, "compatible", "ns16550a");
	put_device(w, &w->config->serial);
	put_cells(w, "clock-frequency", SERIAL_CLOCK_HZ);
	end(w);
}

/* The power button is a key on a line of a GPIO controller, active high (0). */
static void add_power_button(struct fdt_writer *w)
{
	const struct fdt_config *c = w->config;

	/* The controller's driver needs the clock that all PrimeCells have. */
	begin(w, "apb-pclk");
	put_string(w, "compatible", "fixed-clock");
	put_cells(w, "#clock-cells", 0);
	put_cells(w, "clock-frequency", CLOCK_HZ);
	put_string(w, "clock-output-names", "clk24mhz");
	put_cells(w, "phandle", PHANDLE_CLOCK);
	end(w);

	begin(w, "gpio@%" PRIx64, c->gpio.gpa);
	put_strings(w, "compatible", "arm,pl061\0arm,primecell");
	put_device(w, &c->gpio);
	put_flag(w, "gpio-controller");
	put_cells(w, "#gpio-cells", 2);
	put_cells(w, "clocks", PHANDLE_CLOCK);
	put_string(w, "clock-names", "apb_pclk");
	put_cells(w, "phandle", PHANDLE_GPIO);
	end(w);

	begin(w, "gpio-keys");
	put_string(w, "compatible", "gpio-keys");
	begin(w, "key-power");
	put_string(w, "label", "power button");
	put_cells(w, "linux,code", KEY_POWER);
	put_cells(w, "gpios", PHANDLE_GPIO, c->gpio_button_line, 0);
	end(w);
	end(w);
}

static void add_virtio(struct fdt_writer *w)
{
	for (unsigned i = 0; i < w->config->virtio_count; i++) {
		const struct fdt_device *device = &w->config->virtio[i];

		begin(w, "virtio_mmio@%" PRIx64, device->gpa);
		put_string(w, "compatible", "virtio,mmio");
		put_device(w, device);
		put_flag(w, "dma-coherent");
		end(w);
	}
}

static void add_root(struct fdt_writer *w)
{
	begin(w, "%s", ""); /* the root has no name */
	put_string(w, "compatible", "linux,dummy-virt");
	put_string(w, "model", "onggi");
	put_cells(w, "#address-cells", 2);
	put_cells(w, "#size-cells", 2);
	put_cells(w, "interrupt-parent", PHANDLE_GIC);
	add_chosen(w);
	add_memory(w);
	add_cpus(w);
	add_psci(w);
	add_gic(w);
	add_timer(w);
	if (w->config->pmu)
		add_pmu(w);
	if (w->config->has_serial)
		add_serial(w);
	if (w->config->gpio.size > 0)
		add_power_button(w);
	add_virtio(w);
	end(w);
}

int fdt_build(const struct fdt_config *config, void *buf, size_t size,
	      struct error *err)
{
	struct fdt_writer w = { .config = config, .fdt = buf };
	size_t len = strlen(config->cmdline);

	if (len > KERNEL_CMDLINE_MAX)
		return error_usage(err,
				   "kernel command line of %zu bytes; this "
				   "kernel takes at most %u",
				   len, KERNEL_CMDLINE_MAX);
	if (size > FDT_SIZE_MAX)
		size = FDT_SIZE_MAX;
	/* Without the flag, libfdt would spend most of its time on looking for
	 * names of properties that are there already. */
	w.rc = fdt_create_with_flags(buf, (int)size,
				     FDT_CREATE_FLAG_NO_NAME_DEDUP);
	if (w.rc == 0)
		w.rc = fdt_finish_reservemap(buf);
	add_root(&w);
	if (w.rc == 0)
		w.rc = fdt_finish(buf);
	if (w.rc < 0)
		return error_image(err, "device tree of at most %zu KiB: %s",
				   size >> 10, fdt_strerror(w.rc));
	return (int)fdt_totalsize(buf);
}
