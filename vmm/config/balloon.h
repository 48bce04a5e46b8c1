/* The memory balloon: --balloon. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config/section.h"

struct config_balloon {
	bool given;	/* there is a balloon */
	uint64_t size;	/* bytes that the guest does without from its start */
	uint64_t stats; /* seconds between two statistics; 0: none */
	bool no_reporting; /* the guest keeps the memory that it frees */
};

extern const struct config_section balloon_section;
