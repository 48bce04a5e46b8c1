#include "base/fair_lock.h"

/* When a mutex with priority inheritance is unlocked, the kernel makes the
 * first waiter its owner (futex(2), FUTEX_UNLOCK_PI). An ordinary mutex takes
 * its place in kernels that have no such mutexes. */
void fair_lock_init(pthread_mutex_t *lock)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
	if (pthread_mutex_init(lock, &attr))
		pthread_mutex_init(lock, NULL);
	pthread_mutexattr_destroy(&attr);
}
