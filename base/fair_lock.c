#include "base/fair_lock.h"

/* What inherits priorities is not freed while somebody waits: the kernel makes
 * the first waiter its owner (futex(2), FUTEX_UNLOCK_PI). Where it cannot, an
 * ordinary mutex has to do. */
void fair_lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	if (pthread_mutex_init(lock, &attr))
		pthread_mutex_init(lock, NULL);
	pthread_mutexattr_destroy(&attr);
}
