/* What the guest boots: --kernel, --initrd, --cmdline, --cmdline-only, and the
 * arguments of its init. */
#pragma once

#include "vmm/config/section.h"

#define CONFIG_ARGS_MAX 32 /* Linux panics at more */

/* Where Linux ends a word of its command line, unless a double quote is open:
 * the characters of its isspace(). 0xa0 is Latin-1's no-break space, and a byte
 * of many letters in UTF-8. */
#define CONFIG_CMDLINE_BLANKS " \t\n\v\f\r\xa0"

extern const struct config_section kernel_section;

/* Whether a device holds the guest's root file system. */
bool config_has_root(const struct vm_config *config);
