/* Shared folders: --share. */
#include <errno.h>
#include <string.h>

#include "devices/vhost_user_fs.h"
#include "vmm/config/section.h"

static const struct field keys[] = {
	{ "path", FIELD_STRING, FIELD_AT(config_share, path),
	  .positional = true, .arg = "DIR:TAG",
	  .help = "the folder and, after the last colon, its tag" },
	{ "tag", FIELD_STRING, FIELD_AT(config_share, tag), .arg = "TAG",
	  .help = "tag of 1 to 36 bytes, when path is DIR without a tag" },
	{ "readonly", FIELD_FLAG, FIELD_AT(config_share, readonly),
	  .help = "the guest cannot write" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "share", FIELD_GROUP, FIELD_LIST(vm_config, shares, share_count),
	  .group = keys, .arg = "DIR:TAG[,readonly]",
	  .help = "share a folder of the host; in the guest: mount -t virtiofs "
		  "TAG /mnt; up to 8" },
	{ .name = NULL },
};

/* Takes TAG off "DIR:TAG". DIR may have colons, too. */
static int settle(struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->share_count; i++) {
		struct config_share *share = &config->shares[i];
		char *colon = share->path ? strrchr(share->path, ':') : NULL;

		if (share->tag || !colon)
			continue;
		share->tag = strdup(colon + 1);
		if (!share->tag)
			return error_set(err, ERROR_USAGE, ENOMEM, "share");
		*colon = '\0';
	}
	return 0;
}

static int check_share(const struct config_share *share, struct error *err)
{
	if (!share->path)
		return error_usage(err, "share: needs DIR:TAG");
	if (!share->tag)
		return error_usage(err, "share: '%s' has no tag: DIR:TAG",
				   share->path);
	if (!*share->path)
		return error_usage(err, "share %s: needs a folder: DIR:TAG",
				   share->tag);
	if (!*share->tag || strlen(share->tag) > VHOST_USER_FS_TAG_MAX)
		return error_usage(err,
				   "share %s: the tag must have 1 to %d bytes",
				   share->path, VHOST_USER_FS_TAG_MAX);
	return 0;
}

static int check(const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->share_count; i++) {
		const char *tag = config->shares[i].tag;

		if (check_share(&config->shares[i], err))
			return -1;
		for (unsigned j = 0; j < i; j++)
			if (strcmp(config->shares[j].tag, tag) == 0)
				return error_usage(
					err, "share: two have the tag %s", tag);
	}
	return 0;
}

const struct config_section share_section = { options, settle, check };
