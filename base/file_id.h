/* The identity of a file, independent of its paths and descriptors.
 *
 * A block device may have several nodes, each with its own inode, so its device
 * number identifies it. An identity is valid while the file is open or a socket
 * is bound to it. Plain data, any thread.
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

/* Whether the path leads to the file now. */
static inline bool file_id_is_at(struct file_id id, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && file_id_equal(id, file_id_of(&st));
}
