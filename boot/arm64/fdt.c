#include "boot/arm64/fdt.h"

#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "boot/kernel.h"

/* What refers to a node: bindings call it its phandle. Those of shared caches
 * and of each CPU's own ones follow. */
enum phandle {
	PHANDLE_GIC = 1,
	PHANDLE_CLOCK,
	PHANDLE_GPIO,
	PHANDLE_CACHES,
};

/* bindings/interrupt-controller/arm,gic-v3.yaml: type, number, flags */
enum gic_interrupt {
	GIC_SPI = 0,
	GIC_PPI = 1,
	GIC_EDGE_RISING = 1,
	GIC_LEVEL_HIGH = 4,
	GIC_LEVEL_LOW = 8,
};

#define PPI_PMU 7 /* as KVM's users have it, and SBSA: INTID 23 */

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

static void begin(struct fdt_writer *w, const char *name)
{
	if (w->rc == 0)
		w->rc = fdt_begin_node(w->fdt, name);
}

static void begin_at(struct fdt_writer *w, const char *name, uint64_t address)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%" PRIx64, name, address);
	begin(w, full);
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

/* Strings with a NUL after each: a literal with all but its last in it. */
#define put_strings(w, name, literal) put(w, name, literal, sizeof(literal))

static void put_u32(struct fdt_writer *w, const char *name, uint32_t value)
{
	fdt32_t cell = cpu_to_fdt32(value);

	put(w, name, &cell, sizeof(cell));
}

static void put_u64s(struct fdt_writer *w, const char *name,
		     const uint64_t *values, unsigned count)
{
	fdt64_t cells[4];

	for (unsigned i = 0; i < count; i++)
		cells[i] = cpu_to_fdt64(values[i]);
	put(w, name, cells, count * sizeof(cells[0]));
}

static void put_u64(struct fdt_writer *w, const char *name, uint64_t value)
{
	put_u64s(w, name, &value, 1);
}

static void put_reg(struct fdt_writer *w, uint64_t gpa, uint64_t size)
{
	put_u64s(w, "reg", (uint64_t[]){ gpa, size }, 2);
}

static void put_spi(struct fdt_writer *w, uint32_t spi)
{
	fdt32_t cells[] = { cpu_to_fdt32(GIC_SPI), cpu_to_fdt32(spi),
			    cpu_to_fdt32(GIC_EDGE_RISING) };

	put(w, "interrupts", cells, sizeof(cells));
}

static void put_ppis(struct fdt_writer *w, const uint32_t *ppis, unsigned count,
		     uint32_t flags)
{
	fdt32_t cells[4 * 3];

	/* arm,gic.yaml: in bits 8 to 15, the CPUs that a v2 has it for */
	if (w->config->gic_version == 2)
		flags |= (w->config->cpu_count < 8
				  ? (1U << w->config->cpu_count) - 1
				  : 0xff)
			 << 8;
	for (unsigned i = 0; i < count; i++) {
		cells[3 * i] = cpu_to_fdt32(GIC_PPI);
		cells[3 * i + 1] = cpu_to_fdt32(ppis[i]);
		cells[3 * i + 2] = cpu_to_fdt32(flags);
	}
	put(w, "interrupts", cells, 3 * count * sizeof(cells[0]));
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
		put_u64(w, "linux,initrd-start", c->initrd.gpa);
		put_u64(w, "linux,initrd-end", c->initrd.gpa + c->initrd.size);
	}
	if (c->has_serial) {
		snprintf(path, sizeof(path), "/serial@%" PRIx64, c->serial.gpa);
		put_string(w, "stdout-path", path);
	}
	if (memcmp(c->rng_seed, no_seed, sizeof(no_seed)) != 0)
		put(w, "rng-seed", c->rng_seed, sizeof(c->rng_seed));
	if (c->kaslr_seed)
		put_u64(w, "kaslr-seed", c->kaslr_seed);
	end(w);
}

static void add_memory(struct fdt_writer *w)
{
	for (unsigned i = 0; i < w->config->ram_count; i++) {
		const struct guest_region *r = &w->config->mem->regions[i];

		begin_at(w, "memory", r->gpa);
		put_string(w, "device_type", "memory");
		put_reg(w, r->gpa, r->size);
		end(w);
	}
}

/* A property of what is known about a cache: kind "d-" gives d-cache-size. */
static void put_cache_number(struct fdt_writer *w, const char *kind,
			     const char *what, uint32_t value)
{
	char name[32];

	snprintf(name, sizeof(name), "%scache-%s", kind, what);
	if (value > 0)
		put_u32(w, name, value);
}

/* Devicetree Specification 0.4, 3.8.2 to 3.9: all caches of one level. */
static void put_cache_level(struct fdt_writer *w, unsigned level)
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
}

static bool has_cache_level(const struct fdt_config *config, unsigned level)
{
	for (unsigned i = 0; i < config->cache_count; i++)
		if (config->caches[i].level == level)
			return true;
	return false;
}

/* One for each level that all CPUs share, then one for each CPU's own. */
static uint32_t cache_phandle(unsigned level, unsigned cpu)
{
	if (level > 2)
		return PHANDLE_CACHES + level;
	return PHANDLE_CACHES + CACHE_LEVELS_MAX + 1 + cpu;
}

static void put_next_cache(struct fdt_writer *w, unsigned level, unsigned cpu)
{
	if (has_cache_level(w->config, level + 1))
		put_u32(w, "next-level-cache", cache_phandle(level + 1, cpu));
}

static void add_cache(struct fdt_writer *w, unsigned level, unsigned cpu)
{
	char name[16];

	if (!has_cache_level(w->config, level))
		return;
	snprintf(name, sizeof(name), "l%u-cache", level);
	begin(w, name);
	put_string(w, "compatible", "cache");
	put_u32(w, "cache-level", level);
	put_cache_level(w, level);
	put_next_cache(w, level, cpu);
	put_u32(w, "phandle", cache_phandle(level, cpu));
	end(w);
}

/* bindings/arm/cpus.yaml */
static void add_cpus(struct fdt_writer *w)
{
	begin(w, "cpus");
	put_u32(w, "#address-cells", 2);
	put_u32(w, "#size-cells", 0);
	for (unsigned i = 0; i < w->config->cpu_count; i++) {
		begin_at(w, "cpu", w->config->mpidrs[i]);
		put_string(w, "device_type", "cpu");
		put_string(w, "compatible", "arm,armv8");
		put_string(w, "enable-method", "psci");
		put_u64(w, "reg", w->config->mpidrs[i]);
		put_cache_level(w, 1);
		put_next_cache(w, 1, i);
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
	if (w->config->psci_1_0)
		put_strings(w, "compatible",
			    "arm,psci-1.0\0arm,psci-0.2\0arm,psci");
	else
		put_strings(w, "compatible", "arm,psci-0.2\0arm,psci");
	put_string(w, "method", "hvc");
	end(w);
}

static void add_gic(struct fdt_writer *w)
{
	const struct fdt_config *c = w->config;
	bool v3 = c->gic_version == 3;

	begin_at(w, "intc", c->gicd_base);
	put_string(w, "compatible", v3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
	put_flag(w, "interrupt-controller");
	put_u32(w, "#interrupt-cells", 3);
	put_u32(w, "#address-cells", 0);
	put_u64s(w, "reg",
		 (uint64_t[]){ c->gicd_base, c->gicd_size,
			       v3 ? c->gicr_base : c->gicc_base,
			       v3 ? c->gicr_size : c->gicc_size },
		 4);
	put_u32(w, "phandle", PHANDLE_GIC);
	end(w);
}

/* bindings/timer/arm,arch_timer.yaml: secure, non-secure, virtual, EL2. It
 * keeps time while a CPU sleeps, for KVM does. */
static void add_timer(struct fdt_writer *w)
{
	static const uint32_t ppis[] = { 13, 14, 11, 10 };

	begin(w, "timer");
	put_string(w, "compatible", "arm,armv8-timer");
	put_ppis(w, ppis, ARRAY_SIZE(ppis), GIC_LEVEL_LOW);
	put_flag(w, "always-on");
	end(w);
}

static void add_pmu(struct fdt_writer *w)
{
	static const uint32_t ppis[] = { PPI_PMU };

	begin(w, "pmu");
	put_string(w, "compatible", "arm,armv8-pmuv3");
	put_ppis(w, ppis, ARRAY_SIZE(ppis), GIC_LEVEL_HIGH);
	end(w);
}

static void add_serial(struct fdt_writer *w)
{
	const struct fdt_config *c = w->config;

	begin_at(w, "serial", c->serial.gpa);
	put_string(w, "compatible", "ns16550a");
	put_reg(w, c->serial.gpa, c->serial.size);
	put_spi(w, c->serial.spi);
	put_u32(w, "clock-frequency", SERIAL_CLOCK_HZ);
	end(w);
}

/* The PL061's driver wants the bus clock that every PrimeCell has. */
static void add_clock(struct fdt_writer *w)
{
	begin(w, "apb-pclk");
	put_string(w, "compatible", "fixed-clock");
	put_u32(w, "#clock-cells", 0);
	put_u32(w, "clock-frequency", CLOCK_HZ);
	put_string(w, "clock-output-names", "clk24mhz");
	put_u32(w, "phandle", PHANDLE_CLOCK);
	end(w);
}

static void add_gpio(struct fdt_writer *w)
{
	const struct fdt_config *c = w->config;

	begin_at(w, "gpio", c->gpio.gpa);
	put_strings(w, "compatible", "arm,pl061\0arm,primecell");
	put_reg(w, c->gpio.gpa, c->gpio.size);
	put_spi(w, c->gpio.spi);
	put_flag(w, "gpio-controller");
	put_u32(w, "#gpio-cells", 2);
	put_u32(w, "clocks", PHANDLE_CLOCK);
	put_string(w, "clock-names", "apb_pclk");
	put_u32(w, "phandle", PHANDLE_GPIO);
	end(w);
}

static void add_button(struct fdt_writer *w)
{
	fdt32_t line[] = { cpu_to_fdt32(PHANDLE_GPIO),
			   cpu_to_fdt32(w->config->gpio_button_line),
			   cpu_to_fdt32(0) }; /* active high */

	begin(w, "gpio-keys");
	put_string(w, "compatible", "gpio-keys");
	begin(w, "key-power");
	put_string(w, "label", "power button");
	put_u32(w, "linux,code", KEY_POWER);
	put(w, "gpios", line, sizeof(line));
	end(w);
	end(w);
}

static void add_virtio(struct fdt_writer *w)
{
	for (unsigned i = 0; i < w->config->virtio_count; i++) {
		const struct fdt_virtio *v = &w->config->virtio[i];

		begin_at(w, "virtio_mmio", v->gpa);
		put_string(w, "compatible", "virtio,mmio");
		put_reg(w, v->gpa, v->size);
		put_spi(w, v->spi);
		put_flag(w, "dma-coherent");
		end(w);
	}
}

static void add_root(struct fdt_writer *w)
{
	const struct fdt_config *c = w->config;

	begin(w, "");
	put_string(w, "compatible", "linux,dummy-virt");
	put_string(w, "model", "onggi");
	put_u32(w, "#address-cells", 2);
	put_u32(w, "#size-cells", 2);
	put_u32(w, "interrupt-parent", PHANDLE_GIC);
	add_chosen(w);
	add_memory(w);
	add_cpus(w);
	add_psci(w);
	add_gic(w);
	add_timer(w);
	if (c->pmu)
		add_pmu(w);
	if (c->has_serial)
		add_serial(w);
	if (c->gpio.size > 0) {
		add_clock(w);
		add_gpio(w);
		add_button(w);
	}
	add_virtio(w);
	end(w);
}

int fdt_build(const struct fdt_config *config, void *buf, size_t size,
	      struct error *err)
{
	struct fdt_writer w = { .config = config, .fdt = buf };
	size_t len = strlen(config->cmdline);

	if (len > KERNEL_CMDLINE_MAX)
		return error_set(err, ERROR_USAGE, 0,
				 "kernel command line of %zu bytes; this "
				 "kernel takes at most %u",
				 len, KERNEL_CMDLINE_MAX);
	if (size > FDT_SIZE_MAX)
		size = FDT_SIZE_MAX;
	/* looking for each property's name among those there are would be most
	 * of the work */
	w.rc = fdt_create_with_flags(buf, (int)size,
				     FDT_CREATE_FLAG_NO_NAME_DEDUP);
	if (w.rc == 0)
		w.rc = fdt_finish_reservemap(buf);
	add_root(&w);
	if (w.rc == 0)
		w.rc = fdt_finish(buf);
	if (w.rc < 0)
		return error_set(err, ERROR_IMAGE, 0,
				 "device tree of at most %zu KiB: %s",
				 size >> 10, fdt_strerror(w.rc));
	return (int)fdt_totalsize(buf);
}
