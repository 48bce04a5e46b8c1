/* The arm64 machine: a GIC of KVM's, a 16550A, a GPIO controller for the power
 * button, and virtio-mmio, described by a device tree. vCPUs are in cpu.c, the
 * interrupt controller in gic.c. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "boot/arm64/fdt.h"
#include "devices/virtio/virtio_mmio.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/arm64/caches.h"
#include "vmm/machine/arm64/cpu.h"
#include "vmm/machine/arm64/gic.h"
#include "vmm/machine/arm64/address_map.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/vcpu.h"

#define TREE_SIZE_MAX (64 * 1024) /* 64 CPUs and all devices take 20 KiB */
#define TREE_ALIGN 4096		  /* 8 would do */

const char arch_kernel_name[] = "Image";
const char arch_images_suffix[] = "/arm64";

void arch_settle_config(struct vm_config *config)
{
	(void)config;
}

int arch_layout(const struct vm_config *config, struct vm_layout *layout,
		struct error *err)
{
	*layout = (struct vm_layout){ .ram_count = 1 };
	layout->ram[0].base = MEMORY_BASE;
	layout->ram[0].size = config->memory.size;
	if (layout_list_slots(config, layout, layout_memory_end(layout), err))
		return -1;
	for (unsigned i = 0; i < layout->slot_count; i++) {
		struct device_slot *slot = &layout->slots[i];

		slot->base = VIRTIO_BASE + i * VIRTIO_MMIO_WINDOW;
		slot->size = VIRTIO_MMIO_WINDOW;
		slot->gsi = VIRTIO_SPI + i;
	}
	return 0;
}

void arch_print_cmdline(const struct vm_config *config,
			const struct vm_layout *layout, FILE *out)
{
	(void)layout;
	fputs("panic=-1 reboot=panic_warm 8250.nr_uarts=1 swiotlb=noforce",
	      out);
	if (!config->console.none)
		fputs(" console=ttyS0", out);
}

/* Guests get no more address bits than they need: with fewer bits, the tables
 * that KVM walks have fewer levels. */
int arch_create_vm(int kvm_fd, const struct vm_layout *layout,
		   struct error *err)
{
	uint64_t end = layout_memory_end(layout);
	unsigned bits = 64 - (unsigned)__builtin_clzll(end - 1);
	int most = ioctl(kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE);
	unsigned long type;

	if (bits < 32)
		bits = 32; /* the least that KVM takes */
	type = most > 0 ? KVM_VM_TYPE_ARM_IPA_SIZE(bits) : 0;
	if (most <= 0)
		most = 40;
	if (bits > (unsigned)most)
		return error_usage(err,
				   "memory: %llu GiB do not fit into this "
				   "processor's %d-bit guest addresses",
				   (unsigned long long)end >> 30, most);
	return kvm_create_vm(kvm_fd, type, err);
}

int arch_open_dump(const struct vm_config *config, struct own_files *files,
		   int *fd, struct error *err)
{
	const char *path = config->arch.dump_dtb;
	struct own_file file = { .use = "the dump of the device tree" };
	struct stat st;

	if (!path)
		return 0;
	if (own_files_refuse(files, path, err))
		return error_wrap(err, "dump-dtb");
	*fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644);
	if (*fd < 0 || fstat(*fd, &st))
		return error_set(err, ERROR_IO, errno, "dump-dtb %s", path);
	file.id = file_id_of(&st);
	own_files_add(files, &file);
	return 0;
}

int arch_create(struct platform *platform, struct error *err)
{
	struct arch_state *arch = &platform->arch;

	pl061_init(&arch->gpio, platform_irq(platform, GPIO_SPI));
	arch->gic_fd = -1; /* before anything can fail */
	arch->steal = mmap(NULL, STEAL_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arch->steal == MAP_FAILED)
		return error_set(err, ERROR_IO, errno, "stolen time");
	return gic_create(platform, err);
}

void arch_destroy(struct platform *platform)
{
	struct arch_state *arch = &platform->arch;

	cleanup_close(&arch->gic_fd);
	if (arch->steal != MAP_FAILED)
		munmap(arch->steal, STEAL_SIZE);
	pl061_destroy(&arch->gpio);
}

/* The GIC takes note of a rising edge; the line need not fall again. */
void arch_raise_irq(int vm_fd, uint32_t gsi)
{
	kvm_set_irq(vm_fd,
		    KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT |
			    (GIC_SPI_FIRST + gsi),
		    true);
}

int arch_create_devices(struct platform *platform, struct error *err)
{
	const struct bus_range gpio = {
		.name = "GPIO controller",
		.base = GPIO_BASE,
		.size = PL061_WINDOW,
		.ops = &pl061_bus_ops,
		.dev = &platform->arch.gpio,
		.lock = &platform->arch.gpio.lock,
	};

	platform->serial.irq = platform_irq(platform, SERIAL_SPI);
	if (gic_start(platform, err) || cpu_start_timers(platform, err) ||
	    platform_add_devices(platform, &platform->mmio, SERIAL_BASE,
				 POWER_ADDRESS, err))
		return -1;
	return bus_add(&platform->mmio, &gpio, err);
}

static void describe_devices(const struct platform *platform,
			     struct fdt_config *fdt, struct fdt_device *virtio)
{
	const struct vm_layout *layout = platform->layout;

	fdt->has_serial = !platform->config->console.none;
	fdt->serial.gpa = SERIAL_BASE;
	fdt->serial.size = SERIAL_WINDOW;
	fdt->serial.spi = SERIAL_SPI;
	fdt->gpio.gpa = GPIO_BASE;
	fdt->gpio.size = PL061_WINDOW;
	fdt->gpio.spi = GPIO_SPI;
	fdt->gpio_button_line = GPIO_POWER_BUTTON;
	for (unsigned i = 0; i < layout->slot_count; i++)
		virtio[i] = (struct fdt_device){
			.gpa = layout->slots[i].base,
			.size = layout->slots[i].size,
			.spi = layout->slots[i].gsi,
		};
	fdt->virtio = virtio;
	fdt->virtio_count = layout->slot_count;
}

/* Writes the tree to fd, unless that is -1. In a file, each boot's tree
 * replaces the one before. */
static int dump_tree(int fd, const void *bytes, size_t size, struct error *err)
{
	if (fd < 0)
		return 0;
	if ((lseek(fd, 0, SEEK_SET) == 0 && ftruncate(fd, 0)) ||
	    write(fd, bytes, size) != (ssize_t)size)
		return error_set(err, ERROR_IO, errno, "dump-dtb");
	return 0;
}

/* The tree goes right behind the kernel, to memory that loading the kernel
 * brings in anyway. */
static int load_tree(const struct platform *platform, int dump_fd,
		     const struct kernel_image *kernel,
		     const struct fdt_config *fdt, uint64_t *gpa,
		     struct error *err)
{
	uint64_t end;
	void *tree;
	int size;

	*gpa = (kernel->end + TREE_ALIGN - 1) & ~(uint64_t)(TREE_ALIGN - 1);
	end = *gpa + TREE_SIZE_MAX;
	tree = guest_range(&platform->memory->ram, *gpa, TREE_SIZE_MAX);
	if (!tree || (fdt->initrd.size && end > fdt->initrd.gpa))
		return error_image(
			err,
			"memory: no room for a device tree above the "
			"kernel");
	size = fdt_build(fdt, tree, TREE_SIZE_MAX, err);
	return size < 0 ? -1 : dump_tree(dump_fd, tree, (size_t)size, err);
}

int arch_load(struct platform *platform, const struct boot_files *files,
	      const char *cmdline, struct error *err)
{
	struct fdt_device virtio[LAYOUT_SLOTS_MAX];
	struct fdt_cache caches[CACHES_MAX];
	struct kernel_image kernel;
	struct fdt_config fdt = {
		.cmdline = cmdline,
		.mem = &platform->memory->ram,
		.ram_count = platform->layout->ram_count,
		.cpu_count = (unsigned)platform->config->cpus,
		.mpidrs = platform->arch.mpidrs,
		.caches = caches,
		.cache_count = caches_read(caches),
		.pmu = platform->config->arch.pmu,
	};
	uint64_t tree = 0;

	if (kernel_load(&files->kernel, &platform->memory->ram, KERNEL_AUTO,
			&kernel, err))
		return error_wrap(err, "kernel");
	if (files->initrd.fd >= 0 &&
	    initrd_load(&files->initrd, &platform->memory->ram, &kernel,
			&fdt.initrd, err))
		return error_wrap(err, "initrd");
	gic_describe(platform, &fdt);
	describe_devices(platform, &fdt, virtio);
	if (getrandom(fdt.rng_seed, sizeof(fdt.rng_seed), GRND_NONBLOCK) < 0 ||
	    getrandom(&fdt.kaslr_seed, sizeof(fdt.kaslr_seed), GRND_NONBLOCK) <
		    0)
		return error_set(err, ERROR_IO, errno, "getrandom");
	if (load_tree(platform, files->dump_fd, &kernel, &fdt, &tree, err))
		return -1;
	return cpu_set_entry(&platform->vcpus->list[0], kernel.entry, tree,
			     err);
}

static void on_system_event(struct vcpu *vcpu)
{
	const struct kvm_run *run = vcpu->run;
	struct platform *platform = vcpu->platform;

	switch (run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		stop_request(platform->stop, STOP_POWEROFF,
			     power_exit_code(&platform->power),
			     "the guest powered off");
		return;
	case KVM_SYSTEM_EVENT_RESET:
		if (run->system_event.ndata > 0 &&
		    (run->system_event.data[0] &
		     KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2))
			platform->arch.warm_reset = true;
		stop_request(platform->stop, STOP_REBOOT, 0,
			     "the guest reset the machine");
		return;
	}
	stop_request(platform->stop, STOP_ERROR, ERROR_GUEST_PANIC,
		     "vCPU %u: the guest crashed (system event %u)",
		     vcpu->index, run->system_event.type);
}

bool arch_handle_exit(struct vcpu *vcpu)
{
	if (vcpu->run->exit_reason != KVM_EXIT_SYSTEM_EVENT)
		return false;
	on_system_event(vcpu);
	return true;
}

bool arch_press_power_button(struct platform *platform)
{
	pl061_press(&platform->arch.gpio, GPIO_POWER_BUTTON);
	return true;
}

/* Linux asks for a warm reset only after a panic, and only with
 * reboot=panic_warm. */
bool arch_reset_was_panic(const struct platform *platform)
{
	return platform->arch.warm_reset;
}
