#include "vmm/host/own_files.h"

#include <assert.h>
#include <unistd.h>

unsigned own_files_add(struct own_files *files, const struct own_file *file)
{
	assert(files->count < OWN_FILES_MAX);
	files->list[files->count] = *file;
	return files->count++;
}

/* The file of the list to which path leads. NULL when there is none, or when
 * the path leads nowhere: to a new file, or into an error that open() will
 * report. readonly: skips files that are readonly as well. */
static const struct own_file *find_at(const struct own_files *files,
				      const char *path, bool readonly)
{
	struct stat st;

	if (stat(path, &st))
		return NULL;
	for (unsigned i = 0; i < files->count; i++) {
		const struct own_file *file = &files->list[i];

		if (file_id_equal(file->id, file_id_of(&st)) &&
		    !(readonly && file->readonly))
			return file;
	}
	return NULL;
}

int own_files_refuse(const struct own_files *files, const char *path,
		     struct error *err)
{
	const struct own_file *file = find_at(files, path, false);

	if (!file)
		return 0;
	return error_usage(err, "%s is %s of this VM", path, file->use);
}

int own_files_refuse_disk(const struct own_files *files, const char *path,
			  bool readonly, struct error *err)
{
	const struct own_file *file = find_at(files, path, readonly);

	if (!file)
		return 0;
	if (!file->is_disk)
		return error_usage(err, "disk %s: is %s of this VM", path,
				   file->use);
	return error_usage(
		err,
		"disk %s: is %s already; both must be readonly to share it",
		path, file->use);
}

void own_files_remove(const struct own_files *files)
{
	for (unsigned i = 0; i < files->count; i++) {
		const struct own_file *file = &files->list[i];

		if (file->removed && file_id_is_at(file->id, file->removed))
			unlink(file->removed);
	}
}
