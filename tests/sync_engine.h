/* A block engine without threads or rings, for tests: a request is carried
 * out when it is reaped, in order. One at a time per process.
 */
#pragma once

#include "devices/block/block_engine.h"

block_engine_create_fn sync_engine_create;

/* While set, reap() without wait finds nothing. */
extern bool sync_engine_hold;

/* Flushes carried out since it was last set. */
extern unsigned sync_engine_flushes;

/* While set, fallocate() fails with this errno; counts those carried out. */
extern int sync_engine_fallocate_error;
extern unsigned sync_engine_fallocates;

/* While set, another file is refused with this errno. */
extern int sync_engine_set_file_error;

/* While set, transfers move at most this many bytes at once. */
extern size_t sync_engine_short;
