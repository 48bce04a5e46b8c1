/* The struct in which a member is embedded.
 *
 * container_of(source, struct vm, signals) is the struct vm whose member
 * `signals` is *source. The compiler checks the type of source.
 */
#pragma once

#include <stddef.h>

#define container_of(ptr, type, member)                             \
	({                                                          \
		__typeof__(((type *)0)->member) *member_ = (ptr);   \
		(type *)((char *)member_ - offsetof(type, member)); \
	})
