/* The socket device: --vsock. */
#include <string.h>

#include "devices/vsock/vsock_packet.h"
#include "devices/vsock/vsock_socket.h"
#include "vmm/config/section.h"

static const struct field keys[] = {
	{ "path", FIELD_STRING, FIELD_AT(config_vsock, path),
	  .positional = true, .arg = "PATH",
	  .help = "the Unix socket; the guest's connections go to "
		  "PATH_<port>" },
	{ "cid", FIELD_UINT, FIELD_AT(config_vsock, cid),
	  .min = VSOCK_GUEST_CID_MIN, .max = VSOCK_GUEST_CID_MAX, .arg = "N",
	  .help = "the guest's CID, 3 to 4294967294 (3)" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "vsock", FIELD_GROUP, FIELD_AT(vm_config, vsock), .group = keys,
	  .arg = "PATH[,cid=N]",
	  .help = "vsock device; onggi creates the Unix socket PATH for "
		  "programs of the host" },
	{ .name = NULL },
};

static int settle(struct vm_config *config, struct error *err)
{
	struct config_vsock *vsock = &config->vsock;

	(void)err;
	if (vsock->path && !vsock->cid)
		vsock->cid = VSOCK_GUEST_CID_MIN;
	return 0;
}

static int check(const struct vm_config *config, struct error *err)
{
	const struct config_vsock *vsock = &config->vsock;

	if (!vsock->path && vsock->cid)
		return error_usage(err, "vsock: needs a path");
	if (vsock->path && strlen(vsock->path) > VSOCK_PATH_MAX)
		return error_usage(err,
				   "vsock %s: the path is longer than %d bytes",
				   vsock->path, VSOCK_PATH_MAX);
	return 0;
}

const struct config_section vsock_section = { options, settle, check };
