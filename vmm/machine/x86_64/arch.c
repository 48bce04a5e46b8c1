/* The x86-64 machine: an I/O APIC platform without legacy timers, described
 * by ACPI (hardware-reduced) or an MP table. Registers, CPUID and MSRs are in
 * cpu.c. */
#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "boot/x86_64/acpi.h"
#include "boot/x86_64/mptable.h"
#include "devices/virtio/virtio_mmio.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/platform.h"
#include "vmm/machine/vcpu.h"
#include "vmm/machine/x86_64/cpu.h"

#define GIB (1ULL << 30)
#define HOLE_START (3 * GIB) /* of 32-bit addresses, for MMIO */
#define HOLE_END (4 * GIB)
#define VIRTIO_BASE 0xd0000000ULL

/* Intel hosts without unrestricted guest mode need these pages for real mode.
 * They lie in the hole, clear of the APICs. */
#define TSS_ADDRESS 0xfffbd000ULL
#define IDENTITY_MAP_ADDRESS 0xfffbc000ULL

#define COM1_GSI 4
#define POWER_GSI 9

/* The warm reset code at 40:72. With reboot=panic_warm, Linux writes it for a
 * panic only: so the machine tells a panic from a reboot without a driver in
 * the guest. */
#define RESET_CODE_ADDRESS 0x472
#define RESET_CODE_WARM 0x1234

/* The inputs of the I/O APIC that are left for virtio. Those from 16 up come
 * first: KVM leads the lower ones to the PIC as well, which would take part in
 * each interrupt. */
static const uint8_t virtio_gsis[] = { 16, 17, 18, 19, 20, 21, 22, 23, 5, 6,
				       7,  8,  10, 11, 12, 13, 14, 15, 3 };
static_assert(ARRAY_SIZE(virtio_gsis) >= LAYOUT_SLOTS_MAX,
	      "an interrupt for every slot");

/* boot/ describes to the guest what devices/ and the configuration make. They
 * do not see each other's constants, so this file compares them. */
static_assert(ACPI_CPUS_MAX >= CONFIG_CPUS_MAX &&
		      MPTABLE_CPUS_MAX >= CONFIG_CPUS_MAX,
	      "tables for as many CPUs as can be asked for");
static_assert(ACPI_VIRTIO_MAX >= LAYOUT_SLOTS_MAX,
	      "an ACPI device for every slot");
#define SAME(ours, theirs) \
	static_assert((int)(ours) == (int)(theirs), #ours " is " #theirs)
SAME(ACPI_COM1_PORTS, SERIAL_WINDOW);

const char arch_kernel_name[] = "vmlinux";
const char arch_images_suffix[] = "";

/* A kernel whose version string or build salt contains "mptable", as that of
 * onggi's tuned kernel does, gets an MP table. Any other gets ACPI.
 * kernel_load() says what is wrong with a file that cannot be read. */
void arch_settle_config(struct vm_config *config)
{
	autoclose int fd =
		open(config->kernel, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct boot_file file = { .fd = fd, .name = config->kernel };
	char build[128];
	struct stat st;

	if (config->arch.tables != TABLES_AUTO)
		return;
	config->arch.tables = TABLES_ACPI;
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return;
	file.size = (uint64_t)st.st_size;
	kernel_read_build(&file, build, sizeof(build));
	if (strstr(build, "mptable"))
		config->arch.tables = TABLES_MPTABLE;
}

static bool uses_acpi(const struct vm_config *config)
{
	return config->arch.tables != TABLES_MPTABLE;
}

int arch_layout(const struct vm_config *config, struct vm_layout *layout,
		struct error *err)
{
	uint64_t size = config->memory.size;
	uint64_t low = size < HOLE_START ? size : HOLE_START;
	unsigned eax, ebx, ecx, edx;
	unsigned address_bits = 36;
	uint64_t end;

	*layout = (struct vm_layout){ .ram_count = 1 };
	layout->ram[0].size = low;
	if (size > low) {
		layout->ram_count = 2;
		layout->ram[1].base = HOLE_END;
		layout->ram[1].size = size - low;
	}
	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		address_bits = eax & 0xff;
	if (layout_list_slots(config, layout, HOLE_END + (size - low), err))
		return -1;
	end = layout_memory_end(layout);
	if (end > 1ULL << address_bits)
		return error_usage(err,
				   "memory: %llu GiB do not fit into this "
				   "processor's %u-bit physical addresses",
				   (unsigned long long)end >> 30, address_bits);
	for (unsigned i = 0; i < layout->slot_count; i++) {
		struct device_slot *slot = &layout->slots[i];

		slot->base = VIRTIO_BASE + i * VIRTIO_MMIO_WINDOW;
		slot->size = VIRTIO_MMIO_WINDOW;
		slot->gsi = virtio_gsis[i];
	}
	return 0;
}

void arch_print_cmdline(const struct vm_config *config,
			const struct vm_layout *layout, FILE *out)
{
	/* noreplace-smp: with one vCPU Linux would remove its lock prefixes in
	 * 7,000 places, and map each place on its own */
	fputs("panic=-1 reboot=panic_warm 8250.nr_uarts=1 i8042.noaux "
	      "i8042.nomux i8042.dumbkbd swiotlb=noforce noreplace-smp",
	      out);
	if (!config->console.none)
		fputs(" console=ttyS0", out);
	if (uses_acpi(config))
		return;
	fputs(" acpi=off pci=off", out);
	for (unsigned i = 0; i < layout->slot_count; i++)
		fprintf(out, " virtio_mmio.device=%lluK@%#llx:%u",
			(unsigned long long)layout->slots[i].size >> 10,
			(unsigned long long)layout->slots[i].base,
			layout->slots[i].gsi);
}

int arch_create_vm(int kvm_fd, const struct vm_layout *layout,
		   struct error *err)
{
	(void)layout;
	return kvm_create_vm(kvm_fd, 0, err);
}

int arch_open_dump(const struct vm_config *config, struct own_files *files,
		   int *fd, struct error *err)
{
	(void)config;
	(void)files;
	(void)fd;
	(void)err;
	return 0;
}

int arch_create(struct platform *platform, struct error *err)
{
	uint64_t identity_map = IDENTITY_MAP_ADDRESS;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (ioctl(platform->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) ||
	    ioctl(platform->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map))
		return error_set(err, ERROR_KVM, errno, "KVM_SET_TSS_ADDR");
	if (ioctl(platform->vm_fd, KVM_CREATE_IRQCHIP, 0))
		return error_set(err, ERROR_KVM, errno, "KVM_CREATE_IRQCHIP");
	if (platform->config->arch.pit &&
	    ioctl(platform->vm_fd, KVM_CREATE_PIT2, &pit))
		return error_set(err, ERROR_KVM, errno, "KVM_CREATE_PIT2");
	platform->arch.cpuid = cpu_read_cpuid(
		platform->kvm_fd, (unsigned)platform->config->cpus, err);
	return platform->arch.cpuid ? 0 : -1;
}

/* The interrupt controller ends with the VM. */
void arch_destroy(struct platform *platform)
{
	free(platform->arch.cpuid);
}

static void on_i8042_reset(void *ctx)
{
	struct platform *platform = ctx;

	stop_request(platform->stop, STOP_REBOOT, 0,
		     "keyboard controller reset");
}

void arch_raise_irq(int vm_fd, uint32_t gsi)
{
	kvm_set_irq(vm_fd, gsi, true);
	kvm_set_irq(vm_fd, gsi, false);
}

int arch_create_devices(struct platform *platform, struct error *err)
{
	const struct bus_range i8042 = {
		.name = "i8042",
		.base = I8042_PORT,
		.size = I8042_WINDOW,
		.ops = &i8042_bus_ops,
		.dev = &platform->arch.i8042,
	};

	platform->arch.i8042 =
		(struct i8042){ .reset = on_i8042_reset, .ctx = platform };
	platform->serial.irq = platform_irq(platform, COM1_GSI);
	platform->power.irq = platform_irq(platform, POWER_GSI);
	if (platform_add_devices(platform, &platform->arch.pio, ACPI_COM1_PORT,
				 POWER_PORT, err))
		return -1;
	return bus_add(&platform->arch.pio, &i8042, err);
}

static int build_acpi(const struct platform *platform, uint64_t *rsdp,
		      struct error *err)
{
	struct acpi_config config = {
		.cpu_count = (unsigned)platform->config->cpus,
		.virtio_count = platform->layout->slot_count,
		.serial = !platform->config->console.none,
		.serial_gsi = COM1_GSI,
		.event_gsi = POWER_GSI,
	};

	for (unsigned i = 0; i < platform->layout->slot_count; i++) {
		const struct device_slot *slot = &platform->layout->slots[i];

		config.virtio[i] = (struct acpi_virtio){
			.gpa = slot->base,
			.size = slot->size,
			.gsi = slot->gsi,
		};
	}
	return acpi_build(&platform->memory->ram, &config, rsdp, err);
}

int arch_load(struct platform *platform, const struct boot_files *files,
	      const char *cmdline, struct error *err)
{
	static const enum kernel_protocol protocols[] = {
		[BOOT_AUTO] = KERNEL_AUTO,
		[BOOT_PVH] = KERNEL_PVH,
		[BOOT_LINUX64] = KERNEL_LINUX64,
	};
	struct kernel_image kernel;
	struct x86_64_boot boot = { .kernel = &kernel, .cmdline = cmdline };
	struct x86_64_entry entry;

	if (kernel_load(&files->kernel, &platform->memory->ram,
			protocols[platform->config->arch.boot], &kernel, err))
		return error_wrap(err, "kernel");
	platform->memory->kernel_pages = kernel.mapped;
	if (files->initrd.fd >= 0 &&
	    initrd_load(&files->initrd, &platform->memory->ram, &kernel,
			&boot.initrd, err))
		return error_wrap(err, "initrd");
	if (uses_acpi(platform->config)) {
		if (build_acpi(platform, &boot.rsdp, err))
			return -1;
	} else if (mptable_build(&platform->memory->ram,
				 (unsigned)platform->config->cpus, err)) {
		return -1;
	}
	if (x86_64_setup_boot(&platform->memory->ram, &boot, &entry, err))
		return -1;
	return cpu_set_registers(&platform->vcpus->list[0], &entry, err);
}

static void handle_io(struct vcpu *vcpu)
{
	struct bus *pio = &vcpu->platform->arch.pio;
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(pio, run->io.port, data, run->io.size);
		else
			bus_write(pio, run->io.port, data, run->io.size);
	}
}

bool arch_handle_exit(struct vcpu *vcpu)
{
	char where[160];

	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		return true;
	case KVM_EXIT_SHUTDOWN:
		arch_describe_vcpu(vcpu, where, sizeof(where));
		stop_request(vcpu->platform->stop, STOP_ERROR,
			     ERROR_TRIPLE_FAULT, "vCPU %u: triple fault: %s",
			     vcpu->index, where);
		return true;
	}
	return false;
}

/* The button is ACPI's: an MP table cannot describe one. */
bool arch_press_power_button(struct platform *platform)
{
	if (!uses_acpi(platform->config))
		return false;
	power_press_button(&platform->power);
	return true;
}

bool arch_reset_was_panic(const struct platform *platform)
{
	uint16_t code;

	return guest_read(&platform->memory->ram, RESET_CODE_ADDRESS, &code,
			  sizeof(code)) == 0 &&
	       code == RESET_CODE_WARM;
}
