#include "vmm/machine/iothread.h"

#include <string.h>

#include "base/thread.h"
#include "vmm/machine/vm.h"

struct event_loop *iothread_loop(struct vm *vm, const char *name,
				 struct error *err)
{
	struct iothread *iothread;

	if (!name)
		return vm->loop;
	for (unsigned i = 0; i < vm->iothread_count; i++)
		if (strcmp(vm->iothreads[i].name, name) == 0)
			return vm->iothreads[i].loop;
	iothread = &vm->iothreads[vm->iothread_count];
	iothread->loop = event_loop_create(err);
	if (!iothread->loop) {
		error_wrap(err, "iothread %s", name);
		return NULL;
	}
	iothread->name = name;
	vm->iothread_count++;
	return iothread->loop;
}

static void *iothread_main(void *arg)
{
	struct iothread *iothread = arg;

	event_loop_run(iothread->loop);
	return NULL;
}

int iothreads_start(struct vm *vm, struct error *err)
{
	int ret = 0;

	for (unsigned i = 0; i < vm->iothread_count && !ret; i++) {
		struct iothread *iothread = &vm->iothreads[i];

		ret = thread_start(&iothread->thread, iothread->name,
				   iothread_main, iothread);
		iothread->started = ret == 0;
		if (ret)
			error_set(err, ERROR_IO, ret, "iothread %s",
				  iothread->name);
	}
	return ret ? -1 : 0;
}

void iothreads_stop(struct vm *vm)
{
	for (unsigned i = 0; i < vm->iothread_count; i++) {
		struct iothread *iothread = &vm->iothreads[i];

		if (!iothread->started)
			continue;
		event_loop_stop(iothread->loop);
		pthread_join(iothread->thread, NULL);
		iothread->started = false;
	}
}

void iothreads_destroy(struct vm *vm)
{
	for (unsigned i = 0; i < vm->iothread_count; i++)
		event_loop_destroy(vm->iothreads[i].loop);
	vm->iothread_count = 0;
}
