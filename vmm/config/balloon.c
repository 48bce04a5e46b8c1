/* The memory balloon: --balloon. */
#include "vmm/config/section.h"

#define BALLOON_PAGE 4096 /* virtio 1.2, 5.5.6; not the guest's page size */

static const struct field keys[] = {
	{ "size", FIELD_SIZE, FIELD_AT(config_balloon, size), .arg = "SIZE",
	  .help = "memory that is taken from the guest when it starts (0)" },
	{ "stats", FIELD_UINT, FIELD_AT(config_balloon, stats), .min = 1,
	  .max = 86400, .arg = "SECONDS",
	  .help = "log its memory statistics this often, at level info" },
	{ "no-reporting", FIELD_FLAG, FIELD_AT(config_balloon, no_reporting),
	  .help = "do not return memory that the guest frees" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "balloon", FIELD_GROUP, FIELD_AT(vm_config, balloon), .group = keys,
	  FIELD_GIVEN(config_balloon, given),
	  .arg = "[size=SIZE][,stats=SECONDS][,no-reporting]",
	  .help = "return memory that the guest frees to the host" },
	{ .name = NULL },
};

static int check(const struct vm_config *config, struct error *err)
{
	const struct config_balloon *balloon = &config->balloon;
	unsigned long long memory = config->memory.size;

	if (!balloon->given)
		return 0;
	if (config->memory.hugepages)
		return error_usage(
			err,
			"balloon: cannot be combined with hugepages: reserved "
			"pages cannot be returned to the host");
	if (balloon->size >= memory)
		return error_usage(err,
				   "balloon: size: must be less than the "
				   "guest's memory of %llu MiB",
				   memory >> 20);
	if (balloon->size % BALLOON_PAGE)
		return error_usage(err,
				   "balloon: size: not a multiple of 4 KiB");
	return 0;
}

const struct config_section balloon_section = { options, NULL, check };
