/* The kinds of devices, one in each file of this folder. */
#pragma once

#include "vmm/machine/kind.h"

extern const struct machine_kind disk_kind;
extern const struct machine_kind pmem_kind;
extern const struct machine_kind net_kind;
extern const struct machine_kind share_kind;
extern const struct machine_kind rng_kind;
extern const struct machine_kind vsock_kind;
extern const struct machine_kind balloon_kind;
extern const struct machine_kind console_kind;
