/* Disks: --disk. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/config/section.h"

#define SERIAL_MAX 20 /* bytes; virtio 1.2, 5.2.6 */

static const char *const caches[] = {
	[CACHE_WRITEBACK] = "writeback",
	[CACHE_UNSAFE] = "unsafe",
	NULL,
};

static const char *const engines[] = {
	[ENGINE_AUTO] = "auto",
	[ENGINE_THREAD] = "thread",
	NULL,
};

static const struct field keys[] = {
	{ "path", FIELD_STRING, FIELD_AT(config_disk, path), .positional = true,
	  .arg = "PATH", .help = "raw image file or block device" },
	/* The printed command has the keys in this order. It begins with
	 * vhost-user where there is no path, as people write it. */
	{ "vhost-user", FIELD_STRING, FIELD_AT(config_disk, vhost_user),
	  .arg = "SOCK",
	  .help = "vhost-user-blk server at SOCK, instead of PATH" },
	{ "readonly", FIELD_FLAG, FIELD_AT(config_disk, readonly),
	  .help = "the guest cannot write" },
	{ "root", FIELD_FLAG, FIELD_AT(config_disk, root),
	  .help = "boot from it: add root= to the kernel command line" },
	{ "direct", FIELD_FLAG, FIELD_AT(config_disk, direct),
	  .help = "bypass the host's page cache (O_DIRECT)" },
	{ "cache", FIELD_CHOICE, FIELD_AT(config_disk, cache),
	  .choices = caches, .arg = "writeback|unsafe",
	  .help = "unsafe ignores the guest's flushes (writeback)" },
	{ "engine", FIELD_CHOICE, FIELD_AT(config_disk, engine),
	  .choices = engines, .arg = "auto|thread",
	  .help = "thread does not use io_uring even if the host has it "
		  "(auto)" },
	{ "queues", FIELD_UINT, FIELD_AT(config_disk, queues), .min = 1,
	  .max = CONFIG_DISK_QUEUES_MAX, .arg = "N",
	  .help = "request queues, 1 to 16 (one per vCPU)" },
	{ "bw", FIELD_SIZE, FIELD_AT(config_disk, limit.bw), .arg = "SIZE",
	  .help = "limit in bytes per second" },
	{ "iops", FIELD_UINT, FIELD_AT(config_disk, limit.ops),
	  CONFIG_OPS_RANGE, .help = "limit in requests per second" },
	{ "bw-burst", FIELD_SIZE, FIELD_AT(config_disk, limit.bw_burst),
	  .arg = "SIZE", .help = "bytes at once after idle time (bw / 10)" },
	{ "iops-burst", FIELD_UINT, FIELD_AT(config_disk, limit.ops_burst),
	  CONFIG_OPS_RANGE,
	  .help = "requests at once after idle time (iops / 10)" },
	{ "id", FIELD_STRING, FIELD_AT(config_disk, id), .arg = "S",
	  .help = "name in messages (disk0, disk1, ...)" },
	{ "serial", FIELD_STRING, FIELD_AT(config_disk, serial), .arg = "S",
	  .help = "serial number, at most 20 bytes (the id)" },
	{ "iothread", FIELD_STRING, FIELD_AT(config_disk, iothread),
	  .arg = "NAME", .help = "serve the disk in the I/O thread NAME" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "disk", FIELD_GROUP, FIELD_LIST(vm_config, disks, disk_count),
	  .group = keys, .arg = "PATH|vhost-user=SOCK[,KEY=VALUE...]",
	  .help = "virtio disk: a raw image, a block device or a vhost-user "
		  "server; up to 8" },
	{ .name = NULL },
};

static int settle(struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		char **id = &config->disks[i].id;

		if (!*id && asprintf(id, "disk%u", i) < 0) {
			*id = NULL;
			return error_set(err, ERROR_USAGE, ENOMEM, "disk");
		}
	}
	return 0;
}

static int check_server(const struct config_disk *disk, struct error *err)
{
	if (disk->path || disk->readonly || disk->direct || disk->cache ||
	    disk->engine || disk->queues || config_is_limited(&disk->limit) ||
	    disk->serial || disk->iothread)
		return error_usage(
			err,
			"disk: vhost-user can be combined with root and id "
			"only; the server decides everything else");
	if (config_check_server(disk->vhost_user, err))
		return error_wrap(err, "disk");
	return 0;
}

static int check_file(const struct config_disk *disk, struct error *err)
{
	if (!disk->path)
		return error_usage(err, "disk: needs a path");
	if (disk->serial && strlen(disk->serial) > SERIAL_MAX)
		return error_usage(err,
				   "disk %s: serial is longer than %d bytes",
				   disk->path, SERIAL_MAX);
	if (config_check_iothread(disk->iothread, err) ||
	    config_check_limit(&disk->limit, "", "iops", err))
		return error_wrap(err, "disk %s", disk->path);
	return 0;
}

static int check(const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct config_disk *disk = &config->disks[i];

		if (disk->vhost_user ? check_server(disk, err)
				     : check_file(disk, err))
			return -1;
		for (unsigned j = 0; j < i; j++)
			if (strcmp(config->disks[j].id, disk->id) == 0)
				return error_usage(
					err, "disk: two disks have the id %s",
					disk->id);
	}
	return 0;
}

const struct config_section disk_section = { options, settle, check };
