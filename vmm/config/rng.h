/* The entropy device: --no-rng leaves it out. */
#pragma once

#include "vmm/config/section.h"

extern const struct config_section rng_section;
