/* Network cards: --net. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config/parts.h"
#include "vmm/config/section.h"

#define CONFIG_NETS_MAX 8
#define CONFIG_NET_QUEUES_MAX 8
#define CONFIG_PUBLISH_MAX 32
#define CONFIG_USER_MTU 65520 /* passt's largest IP packet, in 32-bit words */

/* Exactly one of tap, user and vhost_user is set. */
struct config_net {
	char *tap;			   /* the name of the interface */
	bool vhost;			   /* the kernel serves the tap */
	bool user;			   /* passt is the back end */
	bool stream;			   /* passt on a stream socket */
	char *vhost_user;		   /* the socket of a server */
	char *publish[CONFIG_PUBLISH_MAX]; /* for publish_parse() */
	unsigned publish_count;
	struct config_mac mac;
	uint64_t mtu;	 /* 68 to 65535 bytes; 0: the guest chooses */
	uint64_t queues; /* pairs, to CONFIG_NET_QUEUES_MAX; 0: one */
	struct config_limit rx_limit; /* of what the guest receives */
	struct config_limit tx_limit; /* of what the guest sends */
	char *iothread;		      /* its event loop; NULL: the VM's own */
};

extern const struct config_section net_section;

/* The name of the card in messages: its tap, its socket or "user". */
static inline const char *config_net_name(const struct config_net *net)
{
	if (net->user)
		return "user";
	return net->tap ? net->tap : net->vhost_user ? net->vhost_user : "";
}

/* Whether the frames must pass through onggi, even if passt could serve the
 * queues itself. */
bool config_net_needs_frames(const struct config_net *net);
