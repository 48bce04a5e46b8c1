/* From a member to the struct that it is embedded in.
 *
 * container_of(source, struct vm, signals) is the struct vm whose member
 * `signals` is *source; the compiler checks that the types fit.
 */
#pragma once

#include <stddef.h>

#define container_of(ptr, type, member)                             \
	({                                                          \
		__typeof__(((type *)0)->member) *member_ = (ptr);   \
		(type *)((char *)member_ - offsetof(type, member)); \
	})
