#include "vmm/machine/kinds/kinds.h"

/* In the order in which the guest numbers its devices. */
const struct machine_kind *const machine_kinds[] = {
	&disk_kind,  &pmem_kind,    &net_kind,	   &share_kind, &rng_kind,
	&vsock_kind, &balloon_kind, &console_kind, NULL,
};
