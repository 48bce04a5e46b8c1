#include "vmm/machine/resources.h"

#include "base/cleanup.h"
#include "vmm/host/pidfile.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/consoles.h"
#include "vmm/machine/kvm.h"

static int open_boot_files(void *ctx, struct error *err)
{
	struct resources *r = ctx;

	return boot_files_open(&r->boot, r->config, &r->files, err);
}

static void close_boot_files(void *ctx)
{
	boot_files_close(&((struct resources *)ctx)->boot);
}

static int open_some_devices(struct resources *r, bool late, struct error *err)
{
	const struct kind_host host = {
		.config = r->config,
		.files = &r->files,
		.timeline = r->timeline,
	};

	return devices_open(&r->devices, &host, late, err);
}

static int open_devices(void *ctx, struct error *err)
{
	return open_some_devices(ctx, false, err);
}

static void close_devices(void *ctx)
{
	devices_close(&((struct resources *)ctx)->devices);
}

/* The host's huge pages have no room for a file's, and what is shared is one
 * file's alone. */
static int lease_kernel(void *ctx, struct error *err)
{
	struct resources *r = ctx;

	(void)err;
	if (!r->config->memory.hugepages && !devices_share_memory(&r->devices))
		boot_files_lease(&r->boot);
	return 0;
}

static int open_kvm(void *ctx, struct error *err)
{
	struct resources *r = ctx;

	r->kvm_fd = kvm_open(err);
	if (r->kvm_fd < 0)
		return -1;
	timeline_mark(r->timeline, TIMELINE_KVM_OPENED);
	return 0;
}

static void close_kvm(void *ctx)
{
	cleanup_close(&((struct resources *)ctx)->kvm_fd);
}

static int open_pidfile(void *ctx, struct error *err)
{
	struct resources *r = ctx;

	if (!r->config->pidfile)
		return 0;
	r->pidfile_fd = pidfile_write(r->config->pidfile, &r->files, err);
	return r->pidfile_fd < 0 ? -1 : 0;
}

static void close_pidfile(void *ctx)
{
	struct resources *r = ctx;

	/* while the lock is held: afterwards they may be another VM's */
	own_files_remove(&r->files);
	cleanup_close(&r->pidfile_fd);
}

static int open_console(void *ctx, struct error *err)
{
	struct resources *r = ctx;

	r->console = console_open_once("console", &r->config->console,
				       &r->files, r->timeline, err);
	return r->console ? 0 : -1;
}

static void close_console(void *ctx)
{
	console_close(((struct resources *)ctx)->console);
}

static int open_late_devices(void *ctx, struct error *err)
{
	return open_some_devices(ctx, true, err);
}

static int open_dump(void *ctx, struct error *err)
{
	struct resources *r = ctx;

	return arch_open_dump(r->config, &r->files, &r->boot.dump_fd, err);
}

/* With the same pidfile another VM may be running, whose console's file this
 * one must not touch: the pidfile comes first. */
const struct stage resources_stages[RESOURCES_STAGES] = {
	{ "kernel and initrd", open_boot_files, close_boot_files },
	{ "devices", open_devices, close_devices },
	{ "lease of the kernel", lease_kernel, NULL },
	{ "KVM", open_kvm, close_kvm },
	{ "pidfile", open_pidfile, close_pidfile },
	{ "console", open_console, close_console },
	{ "devices behind the console", open_late_devices, NULL },
	{ "dump", open_dump, NULL },
};

void resources_init(struct resources *resources, const struct vm_config *config,
		    const struct vm_layout *layout, struct timeline *timeline)
{
	*resources = (struct resources){
		.config = config,
		.timeline = timeline,
		.kvm_fd = -1,
		.pidfile_fd = -1,
		.huge_fd = -1,
	};
	devices_init(&resources->devices, layout);
}

int resources_open(struct resources *resources, const struct vm_config *config,
		   const struct vm_layout *layout, struct timeline *timeline,
		   struct error *err)
{
	resources_init(resources, config, layout, timeline);
	return stages_create(resources_stages, RESOURCES_STAGES, resources,
			     err);
}

void resources_close(struct resources *resources)
{
	stages_destroy(resources_stages, RESOURCES_STAGES, resources);
	cleanup_close(&resources->huge_fd);
}
