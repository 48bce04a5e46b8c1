/* Block engine of one worker thread, for hosts without io_uring. */
#pragma once

#include "devices/block/block_engine.h"

/* NULL with err set when memory or threads run out. */
block_engine_create_fn block_threads_create;
