/* What becomes of the process when the file of a page of guest memory cannot
 * give it: the file was made shorter, or its file system is full. A vCPU that
 * touches such a page leaves KVM_RUN with an error; a device's access raises
 * SIGBUS, which ends the process in order here. Set-up thread.
 */
#pragma once

#include "base/guest_mem.h"
#include "vmm/host/own_files.h"

/* From now on, for memory; files are removed at the end. Both outlive the
 * watch; one VM at a time. */
void memory_fault_watch(const struct guest_mem *memory,
			const struct own_files *files);
void memory_fault_unwatch(void);
