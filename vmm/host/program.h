/* Programs of the host's that serve a VM. Any thread. */
#pragma once

#include <limits.h>
#include <stdbool.h>

/* Whether an executable file is there. */
bool program_is_at(const char *path);

/* Looks in the folders of PATH, or the system's where that is not set, but for
 * those that lie where the caller happens to be. False, and nothing in path,
 * where none has it. */
bool program_find(const char *name, char path[static PATH_MAX]);
