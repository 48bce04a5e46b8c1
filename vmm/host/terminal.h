/* The user's terminal on stdin, in raw mode while a VM runs.
 *
 * The terminal is restored whenever the process ends by exit() or by a signal
 * other than SIGKILL. When another process sends SIGTSTP (Ctrl-Z goes to the
 * guest), it is restored before this process stops. SIGCONT makes it raw again,
 * unless the process goes on in the background. A process has one terminal on
 * stdin, hence static data. Main thread and signal handlers.
 */
#pragma once

void terminal_set_raw(void);
void terminal_restore(void); /* does nothing unless it is raw */
