/* Which kernel to boot when the user names none. Main thread. */
#pragma once

#include "base/error.h"
#include "vmm/config/config.h"

/* Sets config->kernel to the first of: the images built by guest-images/ (in
 * $ONGGI_CACHE, $XDG_CACHE_HOME/onggi or ~/.cache/onggi), the installed ones,
 * the host's own /boot/vmlinuz-RELEASE. With the first two comes the initramfs
 * beside them, unless an initrd or a root device was given. -1 with ERROR_IMAGE
 * and the paths tried when there is none. */
int kernel_search(struct vm_config *config, struct error *err);
