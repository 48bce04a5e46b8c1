/* Shared folders: --share. */
#pragma once

#include <stdbool.h>

#include "vmm/config/section.h"

#define CONFIG_SHARES_MAX 8

/* A folder of the host that the guest mounts as a file system. */
struct config_share {
	char *path; /* ends with ":TAG" until it is settled, if tag is NULL */
	char *tag;  /* 1 to VHOST_USER_FS_TAG_MAX bytes */
	bool readonly;
};

extern const struct config_section share_section;
