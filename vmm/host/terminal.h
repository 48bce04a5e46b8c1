/* The user's terminal on stdin, in raw mode while a VM runs.
 *
 * It is restored on every way out of the process that a process can see:
 * exit, and every signal that kills but SIGKILL. SIGTSTP from outside (in raw
 * mode Ctrl-Z goes to the guest) restores it before the process stops, and
 * SIGCONT makes it raw again, unless the process goes on in the background.
 * The modes are the process's own, hence static; main thread and signal
 * handlers.
 */
#pragma once

void terminal_set_raw(void);
void terminal_restore(void); /* does nothing unless it is raw */
