#include "vmm/machine/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

static const char *open_hint(int errnum)
{
	switch (errnum) {
	case ENOENT:
		return " (KVM's module is not loaded, or the processor has no "
		       "virtualization; inside a VM, its host must allow "
		       "nested virtualization)";
	case EACCES:
	case EPERM:
		return " (add yourself to the group of /dev/kvm: usermod -aG "
		       "kvm $USER)";
	case ENODEV:
	case ENXIO:
		return " (virtualization is off in the firmware, or the "
		       "module is not loaded)";
	}
	return "";
}

int kvm_open(struct error *err)
{
	static const struct {
		int extension;
		const char *name;
	} needed[] = {
		{ KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY" },
		{ KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP" },
		{ KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD" },
		{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	};
	autoclose int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int version;

	if (fd < 0)
		return error_set(err, ERROR_KVM, 0, "open /dev/kvm: %s%s",
				 strerror(errno), open_hint(errno));
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION)
		return error_set(err, ERROR_KVM, 0,
				 "/dev/kvm: API version %d; wanted: %d",
				 version, KVM_API_VERSION);
	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++)
		if (ioctl(fd, KVM_CHECK_EXTENSION, needed[i].extension) <= 0)
			return error_set(err, ERROR_KVM, 0,
					 "/dev/kvm: lacks %s", needed[i].name);
	return take_fd(&fd);
}

int kvm_create_vm(int kvm_fd, unsigned long type, struct error *err)
{
	int fd;

	/* on a busy host, signals that are pending interrupt the creation */
	do
		fd = ioctl(kvm_fd, KVM_CREATE_VM, type);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return error_set(err, ERROR_KVM, errno, "KVM_CREATE_VM");
	return fd;
}

/* Whoever drops the last reference to a VM waits for an RCU grace period, 10 ms
 * and more. The kernel's worker that cleans up after a ring drops the files
 * that were registered with it, so it is the one that waits. */
void kvm_close_vm(int fd)
{
	struct io_uring_params params = { 0 };
	int ring;

	if (fd < 0)
		return;
	ring = (int)syscall(__NR_io_uring_setup, 1, &params);
	if (ring >= 0)
		syscall(__NR_io_uring_register, ring, IORING_REGISTER_FILES,
			&fd, 1);
	close(fd);
	if (ring >= 0)
		close(ring);
}

int kvm_set_memory(int vm_fd, const struct guest_mem *mem, struct error *err)
{
	for (unsigned i = 0; i < mem->count; i++) {
		const struct guest_region *region = &mem->regions[i];
		struct kvm_userspace_memory_region slot = {
			.slot = i,
			.guest_phys_addr = region->gpa,
			.memory_size = region->size,
			.userspace_addr = (uintptr_t)region->host,
		};

		if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &slot))
			return error_set(err, ERROR_KVM, errno,
					 "memory: "
					 "KVM_SET_USER_MEMORY_REGION at %#llx",
					 (unsigned long long)region->gpa);
	}
	return 0;
}

void kvm_set_irq(int vm_fd, uint32_t irq, bool level)
{
	struct kvm_irq_level line = { .irq = irq, .level = level };

	if (ioctl(vm_fd, KVM_IRQ_LINE, &line))
		log_guest(LOG_ERROR, "KVM_IRQ_LINE %u: %s", irq,
			  strerror(errno));
}

static int set_ioeventfd(const void *vm_fd, uint64_t addr, uint32_t datum,
			 int fd, uint32_t flags)
{
	struct kvm_ioeventfd event = {
		.datamatch = datum,
		.addr = addr,
		.len = sizeof(datum),
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH | flags,
	};

	return ioctl(*(const int *)vm_fd, KVM_IOEVENTFD, &event) ? -errno : 0;
}

static int attach_kick(void *vm_fd, uint64_t addr, uint32_t datum, int fd)
{
	return set_ioeventfd(vm_fd, addr, datum, fd, 0);
}

static void detach_kick(void *vm_fd, uint64_t addr, uint32_t datum, int fd)
{
	set_ioeventfd(vm_fd, addr, datum, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

const struct ioeventfd_ops kvm_ioeventfd_ops = {
	.attach = attach_kick,
	.detach = detach_kick,
};
