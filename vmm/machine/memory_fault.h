/* Ends the process in order when a device touches a page of guest memory that
 * the file behind it cannot provide: the file was made shorter, or its file
 * system is full. Such an access raises SIGBUS. (A vCPU that touches the page
 * leaves KVM_RUN with an error instead.) Set-up thread.
 */
#pragma once

#include "base/guest_mem.h"
#include "vmm/host/own_files.h"

/* Watches memory from now on; own_files_remove() is called for files if the
 * process ends. Both outlive the watch. One VM at a time. */
void memory_fault_watch(const struct guest_mem *memory,
			const struct own_files *files);
void memory_fault_unwatch(void);
