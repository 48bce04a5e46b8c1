/* A virtio device that does nothing but note what its transport tells it. */
#pragma once

#include "devices/virtio/virtio_device.h"

#define MOCK_FEATURE 3 /* a device feature it offers */
#define MOCK_CONFIG 12 /* bytes of configuration space */
#define MOCK_QUEUE_MAX 16
#define MOCK_STATE_BAD 666

struct mock_device {
	struct virtio_device dev;
	uint8_t config[MOCK_CONFIG];
	unsigned activations, notifications, config_reads, config_writes;
	unsigned stops; /* a bit per queue */
	unsigned last_queue;
	int activate_result;
	bool drain; /* pop and push everything on a notification */
	unsigned drained;
	int pop_result; /* of the last pop */
	int kick_fd;	/* its own eventfd for kicks, -1: none */
	unsigned quiesces, resumes;
	int resume_result;
	struct mock_state {
		uint64_t value; /* MOCK_STATE_BAD is one that it cannot have */
	} state;
};

/* virtio_device_destroy() destroys it. */
struct mock_device *mock_create(const struct guest_mem *mem,
				struct event_loop *loop);

/* The same with other ops, which have MOCK_SIZES among them. */
#define MOCK_SIZES \
	.size = sizeof(struct mock_device), .queue_size = MOCK_QUEUE_MAX

struct mock_device *mock_create_as(const struct virtio_device_ops *ops,
				   const struct guest_mem *mem,
				   struct event_loop *loop);
