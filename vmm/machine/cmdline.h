/* The guest kernel's command line. */
#pragma once

#include "base/error.h"
#include "vmm/config/config.h"
#include "vmm/machine/layout.h"

/* The caller frees the string. NULL with err set without memory. What the
 * kernel's own limit says is the loader's business. */
char *cmdline_build(const struct vm_config *config,
		    const struct vm_layout *layout, struct error *err);
