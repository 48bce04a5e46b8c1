/* What becomes of the process when the file of a page of guest memory cannot
 * give it: made shorter, or on a full file system. A vCPU that touches such a
 * page leaves KVM_RUN with an error; a device's access raises SIGBUS, which
 * ends the process in order here. Set-up thread.
 */
#pragma once

struct vm;

/* From now on, for vm->mem and vm->resources; one VM at a time. */
void memory_fault_watch(const struct vm *vm);
void memory_fault_unwatch(void);
