#include "vmm/machine/resources.h"

#include "base/cleanup.h"
#include "vmm/host/pidfile.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/consoles.h"
#include "vmm/machine/kvm.h"

static int open_kvm(struct resources *r, struct error *err)
{
	r->kvm_fd = kvm_open(err);
	if (r->kvm_fd < 0)
		return -1;
	timeline_mark(r->timeline, TIMELINE_KVM_OPENED);
	return 0;
}

static int open_pidfile(struct resources *r, struct error *err)
{
	if (!r->config->pidfile)
		return 0;
	r->pidfile_fd = pidfile_write(r->config->pidfile, &r->files, err);
	return r->pidfile_fd < 0 ? -1 : 0;
}

static int open_console(struct resources *r, struct error *err)
{
	r->console = console_open_once("console", &r->config->console,
				       &r->files, r->timeline, err);
	return r->console ? 0 : -1;
}

static int open_all(struct resources *r, struct error *err)
{
	const struct kind_host host = {
		.config = r->config,
		.files = &r->files,
		.timeline = r->timeline,
	};

	if (boot_files_open(&r->boot, r->config, &r->files, err) ||
	    devices_open(&r->devices, &host, false, err))
		return -1;
	/* A leased file is mapped privately, in small pages. Neither huge pages
	 * nor memory that other processes share can hold such a mapping. */
	if (!r->config->memory.hugepages && !devices_share_memory(&r->devices))
		boot_files_lease(&r->boot);
	/* Another VM with the same pidfile may be running. This one must not
	 * touch that one's console or socket, so the pidfile comes first. */
	if (open_kvm(r, err) || open_pidfile(r, err) || open_console(r, err) ||
	    devices_open(&r->devices, &host, true, err))
		return -1;
	return arch_open_dump(r->config, &r->files, &r->boot.dump_fd, err);
}

int resources_open(struct resources *resources, const struct vm_config *config,
		   const struct vm_layout *layout, struct timeline *timeline,
		   struct error *err)
{
	*resources = (struct resources){
		.config = config,
		.layout = layout,
		.timeline = timeline,
		.kvm_fd = -1,
		.pidfile_fd = -1,
		.huge_fd = -1,
	};
	devices_init(&resources->devices, layout);
	if (open_all(resources, err) == 0)
		return 0;
	resources_close(resources);
	return -1;
}

void resources_close(struct resources *resources)
{
	console_close(resources->console);
	/* while the lock is held: afterwards they may be another VM's */
	own_files_remove(&resources->files);
	cleanup_close(&resources->pidfile_fd);
	cleanup_close(&resources->kvm_fd);
	devices_close(&resources->devices);
	boot_files_close(&resources->boot);
	cleanup_close(&resources->huge_fd);
}
