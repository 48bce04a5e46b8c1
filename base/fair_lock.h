/* A mutex that is handed over in the order in which threads came for it.
 *
 * An ordinary mutex is free for a moment when it is unlocked, and whoever is
 * awake takes it: a vCPU that calls its device again and again would keep the
 * event loop out of it, and with that out of everything. Locked, unlocked and
 * destroyed as any pthread mutex.
 */
#pragma once

#include <pthread.h>

void fair_lock_init(pthread_mutex_t *lock);
