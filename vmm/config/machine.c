/* The size of the machine: --cpus and --memory. */
#include <assert.h>
#include <unistd.h>

#include "vmm/config/section.h"

#define MIB (1ULL << 20)
#define MEMORY_MIN (8 * MIB)
#define HUGE_PAGE (2 * MIB)

static_assert(CONFIG_CPUS_MAX == 64, "as the help and the manual say");

static const struct field memory_keys[] = {
	{ "size", FIELD_SIZE, FIELD_AT(config_memory, size), .positional = true,
	  .preset = 256 * MIB, .arg = "SIZE", .help = "from 8M to 1T" },
	{ "hugepages", FIELD_FLAG, FIELD_AT(config_memory, hugepages),
	  .help = "use reserved 2 MiB pages of the host" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "cpus", FIELD_UINT, FIELD_AT(vm_config, cpus), .preset = 1, .min = 1,
	  .max = CONFIG_CPUS_MAX, .arg = "N", .help = "vCPUs, 1 to 64 (1)" },
	{ "memory", FIELD_GROUP, FIELD_AT(vm_config, memory),
	  .group = memory_keys, .arg = "SIZE[,hugepages]",
	  .help = "guest memory in bytes, or with K, M, G or T (256M)" },
	{ .name = NULL },
};

static int check(const struct vm_config *config, struct error *err)
{
	unsigned long long size = config->memory.size;
	unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);

	/* The user has most likely forgotten the unit and means MiB. */
	if (size > 0 && size <= 32768)
		return error_usage(err,
				   "memory: %llu bytes is less than 8 MiB "
				   "(did you mean %lluM?)",
				   size, size);
	if (size < MEMORY_MIN)
		return error_usage(err, "memory: %llu KiB is less than 8 MiB",
				   size >> 10);
	if (size > CONFIG_MEMORY_MAX)
		return error_usage(err,
				   "memory: %llu GiB is more than %llu GiB",
				   size >> 30, CONFIG_MEMORY_MAX >> 30);
	if (size % page)
		return error_usage(err,
				   "memory: not a multiple of %lu KiB, the "
				   "page size of this host",
				   page >> 10);
	if (config->memory.hugepages && size % HUGE_PAGE)
		return error_usage(
			err, "memory: hugepages need a multiple of 2 MiB");
	return 0;
}

const struct config_section machine_section = { options, NULL, check };
