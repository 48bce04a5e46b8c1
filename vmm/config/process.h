/* What the process does around its VM: --name, --pidfile, --stop-timeout and
 * the like. */
#pragma once

#include "vmm/config/section.h"

extern const struct config_section process_section;
