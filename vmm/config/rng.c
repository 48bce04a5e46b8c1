/* The entropy device: --no-rng leaves it out. */
#include "vmm/config/section.h"

static const struct field options[] = {
	{ "no-rng", FIELD_FLAG, FIELD_AT(vm_config, no_rng),
	  .help = "leave out the entropy device (virtio-rng)" },
	{ .name = NULL },
};

const struct config_section rng_section = { options, NULL, NULL };
