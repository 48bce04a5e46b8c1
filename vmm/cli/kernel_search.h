/* Which kernel to boot when the user names none. Main thread. */
#pragma once

#include "base/error.h"
#include "vmm/config/config.h"

/* If config->kernel is NULL, sets it to the first of these that can be read: the
 * kernel that guest-images/ built (in $ONGGI_CACHE, $XDG_CACHE_HOME/onggi or
 * ~/.cache/onggi), the installed one, the host's own /boot/vmlinuz-RELEASE. The
 * first two bring the initramfs beside them, unless the user named an initrd or
 * a root device. -1 with ERROR_IMAGE and the paths that were tried when none
 * can be read. */
int kernel_search(struct vm_config *config, struct error *err);
