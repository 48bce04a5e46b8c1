#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/net/net_tap.h"
#include "devices/net/vhost_kernel.h"
#include "devices/net/vhost_net.h"
#include "devices/net/vhost_user_net.h"
#include "devices/net/virtio_net.h"
#include "vmm/host/passt.h"
#include "vmm/machine/kinds/kinds.h"

static_assert(CONFIG_NET_QUEUES_MAX == NET_PAIRS_MAX, "a back end for each");

/* Where a card's frames go on the host. */
struct net_host {
	struct net_tap taps[NET_PAIRS_MAX];
	unsigned tap_count;
	struct vhost_kernel kernel; /* serves the tap, with "vhost" */
	struct passt *passt;	    /* NULL: taps are the back ends */
};

static unsigned count(const struct vm_config *config)
{
	return config->net_count;
}

static void describe(const struct vm_config *config, unsigned index, FILE *out)
{
	const struct config_net *net = &config->nets[index];

	fprintf(out, "%s%s", net->vhost_user ? "vhost-user " : "",
		config_net_name(net));
}

/* --- on the host --- */

static int open_backends(struct machine_device *device, struct net_host *host,
			 const struct config_net *net, struct error *err)
{
	unsigned queues = net->queues ? (unsigned)net->queues : 1;

	if (net->user) {
		host->passt = passt_start(net, err);
		if (!host->passt)
			return -1;
		device->shares_memory = !passt_backend(host->passt);
		return 0;
	}
	if (net->vhost && vhost_kernel_open(&host->kernel, VHOST_NET_PATH,
					    VHOST_NET_MODULE, err))
		return -1;
	if (net_tap_open(host->taps, queues, net->tap, err))
		return -1;
	host->tap_count = queues;
	return 0;
}

static int open_net(struct machine_device *device, const struct kind_host *host,
		    struct error *err)
{
	unsigned index = device->slot->index;
	const struct config_net *net = &host->config->nets[index];
	char name[16];

	snprintf(name, sizeof(name), "net%u", index);
	if (net->vhost_user)
		return kind_connect_server(device, &vhost_user_net_kind, name,
					   net->vhost_user, err);
	device->host = calloc(1, sizeof(struct net_host));
	if (!device->host)
		return error_set(err, ERROR_IO, ENOMEM, "%s", name);
	if (open_backends(device, device->host, net, err))
		return error_wrap(err, "%s", name);
	return 0;
}

static void close_net(struct machine_device *device)
{
	struct net_host *host = device->host;

	if (!host)
		return;
	passt_stop(host->passt);
	for (unsigned i = 0; i < host->tap_count; i++)
		net_tap_close(&host->taps[i]);
	vhost_kernel_close(&host->kernel);
	free(host);
}

/* --- the device --- */

static void set_address(uint8_t mac[NET_MAC_LEN], const struct config_net *net)
{
	if (net->mac.set)
		memcpy(mac, net->mac.bytes, NET_MAC_LEN);
	else
		net_tap_mac(config_net_name(net), mac);
}

static uint16_t mtu_of(const struct config_net *net)
{
	/* A guest that is told nothing assumes 1500 bytes; passt takes more. */
	return (uint16_t)(net->user && !net->mtu ? CONFIG_USER_MTU : net->mtu);
}

static void create_served(struct machine_device *device,
			  const struct kind_machine *machine,
			  const struct config_net *net, struct error *err)
{
	struct vhost_user_net_options options = { .mtu = mtu_of(net) };
	struct net_host *host = device->host;

	if (!device->server) /* passt's, which takes its time to start */
		device->server = passt_connect(host->passt, err);
	if (!device->server)
		return;
	options.conn = device->server;
	set_address(options.mac, net);
	device->dev = vhost_user_net_create(&options, &machine->memory->all,
					    machine->iothreads->main_loop, err);
}

static void create_by_kernel(struct machine_device *device,
			     const struct config_net *net,
			     const struct guest_mem *mem,
			     struct event_loop *loop, struct error *err)
{
	struct net_host *host = device->host;
	struct vhost_net_options options = {
		.kernel = &host->kernel,
		.backend = &host->taps[0].backend,
		.mtu = mtu_of(net),
	};

	set_address(options.mac, net);
	device->dev = vhost_net_create(&options, mem, loop, err);
}

static void create_here(struct machine_device *device,
			const struct config_net *net,
			const struct guest_mem *mem, struct event_loop *loop,
			struct error *err)
{
	struct net_host *host = device->host;
	struct virtio_net_options options = {
		.pairs = host->passt ? 1 : host->tap_count,
		.mtu = mtu_of(net),
		.rx_limits = kind_rate_limits(&net->rx_limit),
		.tx_limits = kind_rate_limits(&net->tx_limit),
	};

	set_address(options.mac, net);
	for (unsigned i = 0; i < options.pairs; i++)
		options.backends[i] = host->passt ? passt_backend(host->passt)
						  : &host->taps[i].backend;
	device->dev = virtio_net_create(&options, mem, loop, err);
}

static void on_passt_failed(void *ctx, const char *why)
{
	stop_request(ctx, STOP_ERROR, ERROR_IO, "net user: passt: %s", why);
}

static int create(struct machine_device *device,
		  const struct kind_machine *machine, struct error *err)
{
	const struct config_net *net =
		&machine->config->nets[device->slot->index];
	const struct guest_mem *mem = &machine->memory->all;
	struct net_host *host = device->host;
	struct event_loop *loop;

	if (device->shares_memory) {
		create_served(device, machine, net, err);
		if (!device->dev)
			return -1;
	} else {
		loop = iothreads_loop(machine->iothreads, net->iothread, err);
		if (loop && net->vhost)
			create_by_kernel(device, net, mem, loop, err);
		else if (loop)
			create_here(device, net, mem, loop, err);
		if (!device->dev)
			return error_wrap(err, "net %s", config_net_name(net));
	}
	if (!host || !host->passt)
		return 0;
	return passt_watch(host->passt, machine->iothreads->main_loop,
			   on_passt_failed, machine->stop, err);
}

static void unwatch(struct machine_device *device)
{
	struct net_host *host = device->host;

	if (host && host->passt)
		passt_unwatch(host->passt);
}

const struct machine_kind net_kind = {
	.name = "net",
	.count = count,
	.describe = describe,
	.open = open_net,
	.close = close_net,
	.create = create,
	.unwatch = unwatch,
};
