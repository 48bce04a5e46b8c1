/* Which file something is, whatever its path and descriptors.
 *
 * A block device may have several nodes, each with an inode of its own: it is
 * told by its device number. Valid while the file is open or bound somewhere.
 * Plain data, any thread.
 */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

struct file_id {
	bool is_device;
	dev_t dev;
	ino_t ino;
};

static inline struct file_id file_id_of(const struct stat *st)
{
	if (S_ISBLK(st->st_mode))
		return (struct file_id){ .is_device = true,
					 .dev = st->st_rdev };
	return (struct file_id){ .dev = st->st_dev, .ino = st->st_ino };
}

static inline bool file_id_equal(struct file_id a, struct file_id b)
{
	return a.is_device == b.is_device && a.dev == b.dev && a.ino == b.ino;
}

/* Whether the file is what the path leads to now. */
static inline bool file_id_is_at(struct file_id id, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && file_id_equal(id, file_id_of(&st));
}
