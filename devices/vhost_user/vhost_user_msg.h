/* Messages of vhost-user (QEMU's docs/interop/vhost-user.rst): what they look
 * like, and how they are sent and received on a stream socket.
 *
 * Numbers are in host byte order. A message that comes in is not trusted: its
 * payload has at most VHOST_MSG_PAYLOAD_MAX bytes, and it carries no
 * descriptors, since no request made here is answered with one. Descriptors
 * that come all the same are closed. No function waits. One thread at a time.
 */
#pragma once

#include <linux/vhost_types.h>
#include <stddef.h>
#include <stdint.h>

enum vhost_request {
	VHOST_GET_FEATURES_MSG = 1,
	VHOST_SET_FEATURES_MSG = 2,
	VHOST_SET_OWNER_MSG = 3,
	VHOST_SET_MEM_TABLE_MSG = 5,
	VHOST_SET_VRING_NUM_MSG = 8,
	VHOST_SET_VRING_ADDR_MSG = 9,
	VHOST_SET_VRING_BASE_MSG = 10,
	VHOST_GET_VRING_BASE_MSG = 11,
	VHOST_SET_VRING_KICK_MSG = 12,
	VHOST_SET_VRING_CALL_MSG = 13,
	VHOST_GET_PROTOCOL_FEATURES_MSG = 15,
	VHOST_SET_PROTOCOL_FEATURES_MSG = 16,
	VHOST_GET_QUEUE_NUM_MSG = 17,
	VHOST_SET_VRING_ENABLE_MSG = 18,
	VHOST_SET_BACKEND_REQ_FD_MSG = 21,
	VHOST_GET_CONFIG_MSG = 24,
	VHOST_SET_CONFIG_MSG = 25,
};

/* Requests that the server makes, on a channel of their own. */
enum vhost_backend_request {
	VHOST_BACKEND_CONFIG_CHANGE_MSG = 2,
};

#define VHOST_MSG_VERSION 1u /* flags */
#define VHOST_MSG_VERSION_MASK 3u
#define VHOST_MSG_REPLY 4u
#define VHOST_MSG_NEED_REPLY 8u

#define VHOST_F_PROTOCOL_FEATURES 30 /* among the virtio features */

#define VHOST_PROTOCOL_F_MQ 0
#define VHOST_PROTOCOL_F_REPLY_ACK 3
#define VHOST_PROTOCOL_F_BACKEND_REQ 5
#define VHOST_PROTOCOL_F_CONFIG 9

#define VHOST_CONFIG_MAX 256 /* bytes of configuration space in a message */
#define VHOST_REGIONS_MAX 8

struct vhost_msg_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t address; /* "user address"; those of rings refer to it */
	uint64_t offset;  /* in the file, in bytes */
};

struct vhost_msg_memory {
	uint32_t count;
	uint32_t padding;
	struct vhost_msg_region regions[VHOST_REGIONS_MAX];
};

struct vhost_msg_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags; /* 0: this is no live migration */
	uint8_t data[VHOST_CONFIG_MAX];
};
#define VHOST_MSG_CONFIG_HEAD offsetof(struct vhost_msg_config, data)

struct vhost_msg_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size; /* of the payload, in bytes */
};

struct vhost_message {
	struct vhost_msg_header header;
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct vhost_msg_memory memory;
		struct vhost_msg_config config;
	} payload __attribute__((packed, aligned(4)));
};
#define VHOST_MSG_PAYLOAD_MAX sizeof(((struct vhost_message *)0)->payload)

/* A message that may have come in part. All zeroes: nothing has come. */
struct vhost_message_in {
	struct vhost_message msg;
	size_t got; /* bytes of msg so far */
};

/* Sends the message and count descriptors, VHOST_REGIONS_MAX at most. 0 or
 * -errno: -EAGAIN means that the other side does not read what it is sent. A
 * part of the message may be sent then, so the connection is of no more use. */
int vhost_msg_send(int fd, struct vhost_message *msg, const int *fds,
		   unsigned count);

/* Receives what has come. 1 when in->msg is complete, and the next call begins
 * another message; 0 when more has to come; -ECONNRESET when the other side has
 * closed the socket; -EPROTO when what came is no message; else -errno. */
int vhost_msg_receive(int fd, struct vhost_message_in *in);
