/* Block engine on a thread of its own, which carries out one request at a time:
 * for hosts without io_uring.
 */
#pragma once

#include "devices/block/block_engine.h"

/* NULL with err set when the host has no more memory or threads. */
block_engine_create_fn block_thread_create;
