/* A mutex that threads get in the order in which they asked for it.
 *
 * An ordinary mutex is free when it is unlocked, and a thread that is awake
 * takes it before the waiters wake up. So a vCPU that calls its device again
 * and again could keep the event loop from that device, and from all others
 * meanwhile. It is locked, unlocked and destroyed like any pthread mutex. Any
 * thread.
 */
#pragma once

#include <pthread.h>

void fair_lock_init(pthread_mutex_t *lock);
