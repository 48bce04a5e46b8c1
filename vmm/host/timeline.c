#include "vmm/host/timeline.h"

#include "base/clock.h"

void timeline_start(struct timeline *timeline)
{
	timeline->exec_ns =
		clock_ns() - clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void timeline_mark(struct timeline *timeline, enum timeline_stage stage)
{
	long long unset = 0;

	if (atomic_load_explicit(&timeline->at_ns[stage], memory_order_relaxed))
		return;
	atomic_compare_exchange_strong(&timeline->at_ns[stage], &unset,
				       clock_ns());
}

void timeline_print(struct timeline *timeline, FILE *out)
{
	static const char *const names[TIMELINE_STAGES] = {
		[TIMELINE_KVM_OPENED] = "KVM opened",
		[TIMELINE_MEMORY_READY] = "memory ready",
		[TIMELINE_KERNEL_LOADED] = "kernel loaded",
		[TIMELINE_FIRST_RUN] = "first KVM_RUN",
		[TIMELINE_FIRST_BYTE] = "first console byte",
		[TIMELINE_USER_SPACE] = "user space reached",
		[TIMELINE_EXIT] = "exit",
	};

	for (int i = 0; i < TIMELINE_STAGES; i++) {
		long long at = atomic_load(&timeline->at_ns[i]);

		if (at)
			fprintf(out, "timeline: %-20s %10.3f ms\n", names[i],
				(double)(at - timeline->exec_ns) / 1e6);
		else
			fprintf(out, "timeline: %-20s %10s\n", names[i], "-");
	}
}
