/* Block engine on io_uring; the only user of liburing.
 *
 * The ring is restricted (IORING_REGISTER_RESTRICTIONS): it can do readv,
 * writev, fsync and fallocate on its registered file, and take another file in
 * that one's place. It can do nothing else, whoever gets hold of it. No kernel
 * thread polls it.
 */
#pragma once

#include "devices/block/block_engine.h"

/* NULL with err set ("io_uring: ...") where the kernel or a seccomp filter
 * refuses any part of it. */
block_engine_create_fn block_uring_create;
