#include "vmm/machine/arm64/gic.h"

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "vmm/machine/arm64/address_map.h"

/* Private interrupts and SPIs together, a multiple of 32. */
#define IRQS 64
static_assert(VIRTIO_SPI + LAYOUT_SLOTS_MAX <= IRQS - GIC_SPI_FIRST,
	      "an SPI for every device");
static_assert(GIC_REDISTRIBUTORS + CONFIG_CPUS_MAX * GIC_REDISTRIBUTOR_SIZE <=
		      SERIAL_BASE,
	      "a redistributor for every CPU");

static int set_attr(int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr request = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};

	return ioctl(fd, KVM_SET_DEVICE_ATTR, &request);
}

static int set_addresses(const struct platform *platform)
{
	const uint64_t distributor = GIC_DISTRIBUTOR;
	const uint64_t cpu_interface = GIC_CPU_INTERFACE;
	const uint64_t redistributors = GIC_REDISTRIBUTORS;
	const uint32_t group = KVM_DEV_ARM_VGIC_GRP_ADDR;
	int fd = platform->arch.gic_fd;

	if (platform->arch.gic_version == 3)
		return set_attr(fd, group, KVM_VGIC_V3_ADDR_TYPE_DIST,
				&distributor) ||
		       set_attr(fd, group, KVM_VGIC_V3_ADDR_TYPE_REDIST,
				&redistributors);
	return set_attr(fd, group, KVM_VGIC_V2_ADDR_TYPE_DIST, &distributor) ||
	       set_attr(fd, group, KVM_VGIC_V2_ADDR_TYPE_CPU, &cpu_interface);
}

int gic_create(struct platform *platform, struct error *err)
{
	static const struct {
		unsigned version;
		uint32_t type;
	} kinds[] = {
		{ 3, KVM_DEV_TYPE_ARM_VGIC_V3 },
		{ 2, KVM_DEV_TYPE_ARM_VGIC_V2 },
	};
	const uint32_t irqs = IRQS;

	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct kvm_create_device request = { .type = kinds[i].type };

		if (ioctl(platform->vm_fd, KVM_CREATE_DEVICE, &request))
			continue;
		platform->arch.gic_fd = (int)request.fd;
		platform->arch.gic_version = kinds[i].version;
		/* KVM would refuse the ninth vCPU without saying why */
		if (kinds[i].version == 2 && platform->config->cpus > 8)
			return error_usage(err,
					   "cpus: a GICv2 supports at most 8");
		if (set_addresses(platform) ||
		    set_attr(platform->arch.gic_fd,
			     KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs))
			return error_set(err, ERROR_KVM, errno, "GICv%u",
					 kinds[i].version);
		return 0;
	}
	return error_set(err, ERROR_KVM, errno,
			 "this KVM has neither GICv3 nor GICv2");
}

int gic_start(struct platform *platform, struct error *err)
{
	if (set_attr(platform->arch.gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
		     KVM_DEV_ARM_VGIC_CTRL_INIT, NULL))
		return error_set(err, ERROR_KVM, errno, "start the GICv%u",
				 platform->arch.gic_version);
	return 0;
}

void gic_describe(const struct platform *platform, struct fdt_config *fdt)
{
	fdt->gic_version = platform->arch.gic_version;
	fdt->gicd_base = GIC_DISTRIBUTOR;
	fdt->gicd_size = GIC_DISTRIBUTOR_SIZE;
	fdt->gicr_base = GIC_REDISTRIBUTORS;
	fdt->gicr_size = platform->config->cpus * GIC_REDISTRIBUTOR_SIZE;
	fdt->gicc_base = GIC_CPU_INTERFACE;
	fdt->gicc_size = GIC_CPU_INTERFACE_SIZE;
}
