/* The guest kernel's command line. Main thread. */
#pragma once

#include "base/error.h"
#include "vmm/config/config.h"
#include "vmm/machine/layout.h"

/* Returns a string that the caller frees, or NULL with err set when memory runs
 * out. The loader of the kernel checks its length. */
char *cmdline_build(const struct vm_config *config,
		    const struct vm_layout *layout, struct error *err);
