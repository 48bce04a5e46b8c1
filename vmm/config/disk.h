/* Disks: --disk. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config/parts.h"
#include "vmm/config/section.h"

#define CONFIG_DISKS_MAX 8
#define CONFIG_DISK_QUEUES_MAX 16

enum config_cache { CACHE_WRITEBACK, CACHE_UNSAFE };

/* Either path or vhost_user is set. */
struct config_disk {
	char *path;	  /* an image or a block device */
	char *vhost_user; /* the socket of a server that has the disk */
	bool readonly;
	bool root;
	bool direct;
	int cache;	 /* enum config_cache */
	uint64_t queues; /* to CONFIG_DISK_QUEUES_MAX; 0: one per vCPU */
	struct config_limit limit;
	char *id;	/* the name in messages; settled as "diskN" */
	char *serial;	/* the serial number for the guest; NULL: the id */
	char *iothread; /* the name of its event loop; NULL: the VM's own */
};

extern const struct config_section disk_section;
