/* Files as persistent memory: --pmem. */
#include "vmm/config/section.h"

static const struct field keys[] = {
	{ "path", FIELD_STRING, FIELD_AT(config_pmem, path), .positional = true,
	  .arg = "PATH", .help = "the file; its size is a multiple of 2 MiB" },
	{ "readonly", FIELD_FLAG, FIELD_AT(config_pmem, readonly),
	  .help = "discard what the guest writes when it ends or reboots" },
	{ "root", FIELD_FLAG, FIELD_AT(config_pmem, root),
	  .help = "boot from it: add root= to the kernel command line" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "pmem", FIELD_GROUP, FIELD_LIST(vm_config, pmems, pmem_count),
	  .group = keys, .arg = "PATH[,readonly][,root]",
	  .help = "a file as persistent memory (virtio-pmem), for file systems "
		  "with DAX; up to 4" },
	{ .name = NULL },
};

static int check(const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->pmem_count; i++)
		if (!config->pmems[i].path)
			return error_usage(err, "pmem: needs a path");
	return 0;
}

const struct config_section pmem_section = { options, NULL, check };
