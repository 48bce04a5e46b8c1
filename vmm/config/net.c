/* Network cards: --net. */
#include <string.h>

#include "devices/net/net_tap.h"
#include "vmm/config/section.h"

static const struct field keys[] = {
	{ "tap", FIELD_STRING, FIELD_AT(config_net, tap), .arg = "NAME",
	  .help = "attach to this tap interface, which is created if missing" },
	{ "vhost", FIELD_FLAG, FIELD_AT(config_net, vhost),
	  .help = "with tap: the host's kernel moves the frames (vhost-net)" },
	{ "user", FIELD_FLAG, FIELD_AT(config_net, user),
	  .help = "user-mode network by passt, which needs no privileges" },
	{ "stream", FIELD_FLAG, FIELD_AT(config_net, stream),
	  .help = "with user: passt's stream socket, not its vhost-user" },
	{ "vhost-user", FIELD_STRING, FIELD_AT(config_net, vhost_user),
	  .arg = "SOCK", .help = "vhost-user-net server that listens on SOCK" },
	{ "publish", FIELD_STRING,
	  FIELD_LIST(config_net, publish, publish_count), .arg = "PORT:PORT",
	  .help = "with user: forward HOSTPORT:GUESTPORT; repeatable" },
	{ "queues", FIELD_UINT, FIELD_AT(config_net, queues), .min = 1,
	  .max = CONFIG_NET_QUEUES_MAX, .arg = "N",
	  .help = "with tap: queue pairs, 1 to 8 (1)" },
	{ "mac", FIELD_MAC, FIELD_AT(config_net, mac), .arg = "M",
	  .help = "MAC address (derived from the tap's or the socket's name)" },
	{ "mtu", FIELD_UINT, FIELD_AT(config_net, mtu), .min = 68, .max = 65535,
	  .arg = "N", .help = "MTU, 68 to 65535 bytes" },
	{ "rx-bw", FIELD_SIZE, FIELD_AT(config_net, rx_limit.bw), .arg = "SIZE",
	  .help = "receive limit in bytes per second" },
	{ "rx-pps", FIELD_UINT, FIELD_AT(config_net, rx_limit.ops),
	  CONFIG_OPS_RANGE, .help = "receive limit in frames per second" },
	{ "rx-bw-burst", FIELD_SIZE, FIELD_AT(config_net, rx_limit.bw_burst),
	  .arg = "SIZE", .help = "bytes at once after idle time (rx-bw / 10)" },
	{ "rx-pps-burst", FIELD_UINT, FIELD_AT(config_net, rx_limit.ops_burst),
	  CONFIG_OPS_RANGE,
	  .help = "frames at once after idle time (rx-pps / 10)" },
	{ "tx-bw", FIELD_SIZE, FIELD_AT(config_net, tx_limit.bw), .arg = "SIZE",
	  .help = "transmit limit in bytes per second" },
	{ "tx-pps", FIELD_UINT, FIELD_AT(config_net, tx_limit.ops),
	  CONFIG_OPS_RANGE, .help = "transmit limit in frames per second" },
	{ "tx-bw-burst", FIELD_SIZE, FIELD_AT(config_net, tx_limit.bw_burst),
	  .arg = "SIZE", .help = "bytes at once after idle time (tx-bw / 10)" },
	{ "tx-pps-burst", FIELD_UINT, FIELD_AT(config_net, tx_limit.ops_burst),
	  CONFIG_OPS_RANGE,
	  .help = "frames at once after idle time (tx-pps / 10)" },
	{ "iothread", FIELD_STRING, FIELD_AT(config_net, iothread),
	  .arg = "NAME", .help = "serve the card in the I/O thread NAME" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "net", FIELD_GROUP, FIELD_LIST(vm_config, nets, net_count),
	  .group = keys, .arg = "tap=NAME|user|vhost-user=SOCK[,KEY=VALUE...]",
	  .help = "virtio network card on a tap, behind passt or on a "
		  "vhost-user server; up to 8" },
	{ .name = NULL },
};

static int settle_net(struct config_net *net, struct error *err)
{
	for (unsigned i = 0; i < net->publish_count; i++)
		if (config_parse_publish(&net->ports[i], net->publish[i], err))
			return error_wrap(err, "net");
	return 0;
}

static int settle(struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->net_count; i++)
		if (settle_net(&config->nets[i], err))
			return -1;
	return 0;
}

/* passt cannot lead one port to different places by the host's address. */
static int check_publish(const struct config_net *net, struct error *err)
{
	for (unsigned i = 0; i < net->publish_count; i++) {
		const struct config_publish *one = &net->ports[i];

		for (unsigned j = 0; j < i; j++)
			if (one->udp == net->ports[j].udp &&
			    one->host == net->ports[j].host)
				return error_usage(
					err,
					"publish: host port %u is used twice",
					one->host);
	}
	return 0;
}

static int check_user(const struct config_net *net, struct error *err)
{
	if (!net->user && net->publish_count)
		return error_usage(err, "publish needs user");
	if (!net->user && net->stream)
		return error_usage(err, "stream needs user");
	if (net->user && net->queues > 1)
		return error_usage(err, "queues: passt serves only one pair");
	if (net->user && net->mtu > CONFIG_USER_MTU)
		return error_usage(err, "mtu: passt takes at most %d",
				   CONFIG_USER_MTU);
	return check_publish(net, err);
}

static int check_server(const struct config_net *net, struct error *err)
{
	if (net->queues || config_is_limited(&net->rx_limit) ||
	    config_is_limited(&net->tx_limit) || net->iothread)
		return error_usage(err, "vhost-user allows mac and mtu only");
	return config_check_server(net->vhost_user, err);
}

static int check_kernel(const struct config_net *net, struct error *err)
{
	if (!net->tap)
		return error_usage(err, "vhost needs tap=NAME");
	if (net->queues > 1)
		return error_usage(err, "queues: vhost has only one pair");
	if (config_is_limited(&net->rx_limit) ||
	    config_is_limited(&net->tx_limit))
		return error_usage(err,
				   "vhost has no limits: onggi sees no frame");
	return 0;
}

static int check_net(const struct config_net *net, struct error *err)
{
	if ((net->tap != NULL) + net->user + (net->vhost_user != NULL) != 1)
		return error_usage(
			err, "needs one of tap=NAME, user and vhost-user=SOCK");
	if (net->tap && !net_tap_is_name(net->tap))
		return error_usage(err, "'%s' is not a valid interface name",
				   net->tap);
	if (check_user(net, err) ||
	    (net->vhost_user && check_server(net, err)) ||
	    (net->vhost && check_kernel(net, err)))
		return -1;
	if (config_check_iothread(net->iothread, err) ||
	    config_check_limit(&net->rx_limit, "rx-", "pps", err) ||
	    config_check_limit(&net->tx_limit, "tx-", "pps", err))
		return error_wrap(err, "%s", config_net_name(net));
	return 0;
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* A tap or a server carries the frames of one card only, and a second passt
 * would reach nothing that the first does not. */
static bool same_back_end(const struct config_net *a,
			  const struct config_net *b)
{
	return (a->user && b->user) || same(a->tap, b->tap) ||
	       same(a->vhost_user, b->vhost_user);
}

static int check(const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->net_count; i++) {
		const struct config_net *net = &config->nets[i];

		if (check_net(net, err))
			return error_wrap(err, "net");
		for (unsigned j = 0; j < i; j++)
			if (same_back_end(net, &config->nets[j]))
				return error_usage(
					err, "net: %s is used by two cards",
					config_net_name(net));
	}
	return 0;
}

const char *config_net_name(const struct config_net *net)
{
	if (net->user)
		return "user";
	return net->tap ? net->tap : net->vhost_user ? net->vhost_user : "";
}

bool config_net_needs_frames(const struct config_net *net)
{
	return net->stream || net->iothread ||
	       config_is_limited(&net->rx_limit) ||
	       config_is_limited(&net->tx_limit);
}

const struct config_section net_section = { options, settle, check };
