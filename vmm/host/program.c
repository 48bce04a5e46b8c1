#include "vmm/host/program.h"

#include <paths.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool program_is_at(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       access(path, X_OK) == 0;
}

bool program_find(const char *name, char path[static PATH_MAX])
{
	const char *folder = getenv("PATH"), *end;

	/* as exec does where nothing is set */
	if (!folder)
		folder = _PATH_DEFPATH;
	for (; *folder; folder = *end ? end + 1 : end) {
		end = strchrnul(folder, ':');
		snprintf(path, PATH_MAX, "%.*s/%s", (int)(end - folder), folder,
			 name);
		if (*folder == '/' && program_is_at(path))
			return true;
	}
	*path = '\0';
	return false;
}
