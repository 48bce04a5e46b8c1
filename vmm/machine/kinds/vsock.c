#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "devices/vsock/virtio_vsock.h"
#include "devices/vsock/vsock_socket.h"
#include "devices/vsock/vsock_table.h"
#include "vmm/host/unix_connect.h"
#include "vmm/machine/kinds/kinds.h"

static unsigned count(const struct vm_config *config)
{
	return config->vsock.path != NULL;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	(void)index;
	fprintf(out, "%s, CID %llu", config->vsock.path,
		(unsigned long long)config->vsock.cid);
}

/* Each connection takes a descriptor, and shells allow 1024 by default.
 * Everything else together takes fewer than another thousand. */
#define DESCRIPTORS (VSOCK_CONNECTIONS_MAX + 1024)

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = DESCRIPTORS;
	if (limit.rlim_max < DESCRIPTORS)
		limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_socket(struct machine_device *device,
		       const struct kind_host *host, struct error *err)
{
	const char *path = host->config->vsock.path;
	struct own_file file = { .use = "the vsock socket", .removed = path };
	struct vsock_socket *socket;

	if (own_files_refuse(host->files, path, err))
		return error_wrap(err, "vsock");
	socket = calloc(1, sizeof(*socket));
	if (!socket)
		return error_set(err, ERROR_IO, ENOMEM, "vsock");
	socket->fd = -1;
	device->host = socket;
	allow_descriptors();
	if (vsock_socket_open(socket, path, err))
		return -1;
	file.id = socket->file;
	own_files_add(host->files, &file);
	return 0;
}

static void close_socket(struct machine_device *device)
{
	if (device->host)
		vsock_socket_close(device->host);
	free(device->host);
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct vsock_socket *socket = device->host;
	const struct virtio_vsock_options options = {
		.listen_fd = socket->fd,
		.connect = unix_connect_port,
		.connect_ctx = machine->config->vsock.path,
		.guest_cid = (uint32_t)machine->config->vsock.cid,
	};

	device->dev = virtio_vsock_create(&options, &machine->memory->all,
					  machine->iothreads->main_loop, err);
	return device->dev ? 0 : -1;
}

const struct machine_kind vsock_kind = {
	.name = "vsock",
	.count = count,
	.describe = describe,
	.opens_late = true,
	.open = open_socket,
	.close = close_socket,
	.create = create,
};
