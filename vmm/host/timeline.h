/* When each stage of a start was reached, in milliseconds since exec.
 *
 * The kernel does not report the time of exec. It is computed as the time of
 * timeline_start() less the processor time that the process had used by then.
 * Any thread may mark a stage; the first mark of each stage counts.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

enum timeline_stage {
	TIMELINE_KVM_OPENED,
	TIMELINE_MEMORY_READY,
	TIMELINE_KERNEL_LOADED,
	TIMELINE_FIRST_RUN,
	TIMELINE_FIRST_BYTE,
	TIMELINE_USER_SPACE,
	TIMELINE_EXIT,
	TIMELINE_STAGES,
};

struct timeline {
	int64_t exec_ns;
	atomic_llong at_ns[TIMELINE_STAGES]; /* 0: not reached */
};

void timeline_start(struct timeline *timeline);
void timeline_mark(struct timeline *timeline, enum timeline_stage stage);
void timeline_print(struct timeline *timeline, FILE *out);
