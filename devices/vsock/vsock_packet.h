/* The header of the socket device's packets (virtio 1.2, 5.10.6): as it lies in
 * guest memory, and decoded into host byte order. Any thread.
 */
#pragma once

#include <assert.h>
#include <linux/virtio_vsock.h>
#include <stdint.h>

#include "base/le_types.h"

#define VSOCK_HOST_CID 2 /* 5.10.4 */
#define VSOCK_GUEST_CID_MIN 3
#define VSOCK_GUEST_CID_MAX 0xfffffffe

/* Both bits of an OP_SHUTDOWN. */
#define VSOCK_SHUTDOWN_BOTH \
	(VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

struct vsock_header {
	le64_t src_cid;
	le64_t dst_cid;
	le32_t src_port;
	le32_t dst_port;
	le32_t len; /* bytes of payload behind the header */
	le16_t type;
	le16_t op;
	le32_t flags;
	le32_t buf_alloc; /* the sender's receive buffer, in bytes */
	le32_t fwd_cnt;	  /* bytes it has taken out of that, modulo 2^32 */
};
static_assert(sizeof(struct vsock_header) == 44, "virtio 1.2, 5.10.6");

struct vsock_packet {
	uint64_t src_cid;
	uint64_t dst_cid;
	uint32_t src_port;
	uint32_t dst_port;
	uint32_t len;
	uint16_t type; /* VIRTIO_VSOCK_TYPE_* */
	uint16_t op;   /* VIRTIO_VSOCK_OP_* */
	uint32_t flags;
	uint32_t buf_alloc;
	uint32_t fwd_cnt;
};

static inline struct vsock_packet
vsock_packet_decode(const struct vsock_header *header)
{
	return (struct vsock_packet){
		.src_cid = le64_get(header->src_cid),
		.dst_cid = le64_get(header->dst_cid),
		.src_port = le32_get(header->src_port),
		.dst_port = le32_get(header->dst_port),
		.len = le32_get(header->len),
		.type = le16_get(header->type),
		.op = le16_get(header->op),
		.flags = le32_get(header->flags),
		.buf_alloc = le32_get(header->buf_alloc),
		.fwd_cnt = le32_get(header->fwd_cnt),
	};
}

static inline struct vsock_header
vsock_packet_encode(const struct vsock_packet *packet)
{
	return (struct vsock_header){
		.src_cid = le64(packet->src_cid),
		.dst_cid = le64(packet->dst_cid),
		.src_port = le32(packet->src_port),
		.dst_port = le32(packet->dst_port),
		.len = le32(packet->len),
		.type = le16(packet->type),
		.op = le16(packet->op),
		.flags = le32(packet->flags),
		.buf_alloc = le32(packet->buf_alloc),
		.fwd_cnt = le32(packet->fwd_cnt),
	};
}
