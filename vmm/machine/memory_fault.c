#include "vmm/machine/memory_fault.h"

#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/host/terminal.h"

/* A signal handler gets no context, so these are global. */
static const struct guest_mem *_Atomic watched;
static const struct own_files *_Atomic own_files;

static bool is_guests(const struct guest_mem *mem, const uint8_t *page)
{
	for (unsigned i = 0; i < mem->count; i++)
		if (page >= mem->regions[i].host &&
		    page < mem->regions[i].host + mem->regions[i].size)
			return true;
	return false;
}

/* Device code that copies guest memory is interrupted here, and holds no lock of
 * libc. So this handler may call functions that are not async-signal-safe. */
static void on_fault(int number, siginfo_t *info, void *context)
{
	const struct guest_mem *memory = watched;

	(void)context;
	terminal_restore();
	if (!memory || !is_guests(memory, info->si_addr)) {
		signal(number, SIG_DFL);
		raise(number);
		return;
	}
	log_error(
		"memory: a page of guest memory cannot be read: its file was "
		"truncated, or its file system is full");
	own_files_remove(own_files);
	_exit(ERROR_IO);
}

void memory_fault_watch(const struct guest_mem *memory,
			const struct own_files *files)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO };

	watched = memory;
	own_files = files;
	sigaction(SIGBUS, &action, NULL);
}

void memory_fault_unwatch(void)
{
	signal(SIGBUS, SIG_DFL);
	watched = NULL;
}
