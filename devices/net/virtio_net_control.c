/* The control queue of virtio-net (virtio 1.2, 5.1.6.5): what a driver sets
 * while the device runs.
 *
 * A driver also says which frames it wants to see: promiscuous mode, and
 * addresses. Such a command is only checked. The driver gets all frames, as
 * 5.1.6.5.1 allows.
 */
#include <errno.h>

#include "base/iov.h"
#include "base/le_types.h"
#include "devices/net/virtio_net_device.h"

/* A command; `left` bytes of its readable part have not been read yet. */
struct command {
	uint8_t class;
	uint8_t code;
	struct iov_cursor data;
	size_t left;
};

/* Reads all that is left. False if that is not size bytes long. */
static bool take_all(struct command *command, void *data, size_t size)
{
	return command->left == size &&
	       iov_read(&command->data, data, size) == size;
}

/* 5.1.6.5.1: one byte says on or off. */
static bool set_receive_mode(struct command *command)
{
	uint8_t on;

	return command->code <= VIRTIO_NET_CTRL_RX_ALLMULTI &&
	       take_all(command, &on, sizeof(on)) && on <= 1;
}

/* Reads a table: the number of its addresses, then the addresses. */
static bool take_addresses(struct command *command)
{
	le32_t entries;
	size_t bytes;

	if (command->left < sizeof(entries))
		return false;
	iov_read(&command->data, &entries, sizeof(entries));
	command->left -= sizeof(entries);
	bytes = (size_t)le32_get(entries) * NET_MAC_LEN;
	if (command->left < bytes)
		return false;
	iov_skip(&command->data, bytes);
	command->left -= bytes;
	return true;
}

/* 5.1.6.5.2: two tables, of unicast and of multicast addresses. */
static bool set_addresses(struct command *command)
{
	return command->code == VIRTIO_NET_CTRL_MAC_TABLE_SET &&
	       take_addresses(command) && take_addresses(command) &&
	       !command->left;
}

static bool execute(struct virtio_net *net, struct command *command)
{
	const struct virtio_device *dev = &net->dev;
	le16_t pairs;
	le64_t offloads;

	switch (command->class) {
	case VIRTIO_NET_CTRL_RX:
		return virtio_has_feature(dev, VIRTIO_NET_F_CTRL_RX) &&
		       set_receive_mode(command);
	case VIRTIO_NET_CTRL_MAC:
		return virtio_has_feature(dev, VIRTIO_NET_F_CTRL_RX) &&
		       set_addresses(command);
	case VIRTIO_NET_CTRL_MQ:
		return virtio_has_feature(dev, VIRTIO_NET_F_MQ) &&
		       command->code == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET &&
		       take_all(command, &pairs, sizeof(pairs)) &&
		       net_set_pairs(net, le16_get(pairs));
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return virtio_has_feature(dev,
					  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) &&
		       command->code == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET &&
		       take_all(command, &offloads, sizeof(offloads)) &&
		       net_set_offloads(net, le64_get(offloads));
	}
	return false;
}

int net_control_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct command command;
	struct chain chain;
	struct iov_cursor answer;
	uint8_t header[2], ack = VIRTIO_NET_ERR;
	int ret = virtqueue_pop(vq, &chain);

	if (ret <= 0)
		return ret;
	if (!chain.in_count) {
		virtqueue_push(vq, chain.head, 0);
		return -EPROTO;
	}
	command.data = iov_cursor(chain.iov, chain.out_count);
	command.left = iov_length(chain.iov, chain.out_count);
	if (iov_read(&command.data, header, sizeof(header)) == sizeof(header)) {
		command.class = header[0];
		command.code = header[1];
		command.left -= sizeof(header);
		if (execute(net_from_dev(dev), &command))
			ack = VIRTIO_NET_OK;
	}
	answer = iov_cursor(chain.iov + chain.out_count, chain.in_count);
	iov_write(&answer, &ack, sizeof(ack));
	virtqueue_push(vq, chain.head, sizeof(ack));
	return 1;
}
