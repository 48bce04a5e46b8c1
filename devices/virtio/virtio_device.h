/* A virtio device as its model sees it (virtio 1.2, chapter 2).
 *
 * A device model embeds a struct virtio_device and gives it const ops. It says
 * "interrupt queue q" or "the configuration changed", and does not know which
 * transport carries that to the driver. Transports pass on what the driver asks
 * of the device by the functions of virtio_negotiation.h.
 *
 * Threads: every function below, and every one of the ops, is called with the
 * device's lock held, from a vCPU's thread or the device's event loop. The bus
 * and the loop take the lock, so that a device model never does. While the
 * device is being created or destroyed, nobody else knows of it, and no lock is
 * needed.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/event_loop.h"
#include "base/guest_mem.h"
#include "devices/virtio/queue_batch.h"
#include "devices/virtio/queue_kick.h"
#include "devices/virtio/virtqueue.h"

#define VIRTIO_QUEUES_MAX 17 /* eight pairs and control of a network card */

struct virtio_device;

struct virtio_device_ops {
	const char *name;    /* for messages */
	uint32_t device_id;  /* virtio 1.2, chapter 5 */
	size_t size;	     /* bytes of the model's struct, which begins with
			      * its struct virtio_device */
	uint16_t queue_size; /* most entries of a queue, a power of two */

	/* The driver is up (DRIVER_OK): features are settled, and all ready
	 * queues are started. -errno makes the device ask for a reset. May be
	 * NULL. */
	int (*activate)(struct virtio_device *dev);

	/* The driver kicked this queue, which is ready and started. */
	void (*notify)(struct virtio_device *dev, unsigned queue);

	/* For a ready queue that a server or the kernel serves: returns the
	 * eventfd that its kicks signal. Called after activate(). The device
	 * keeps the eventfd open until queue_stop(), or until
	 * virtio_device_kick_fd_changed() has returned. Kicks that the
	 * transport cannot send there go to notify(). If this is NULL or
	 * returns -1, all kicks do. */
	int (*kick_fd)(struct virtio_device *dev, unsigned queue);

	/* The driver takes a queue back: by itself, or by a reset, which stops
	 * all queues. On return nothing of the device touches the queue's rings
	 * and buffers any more. May be NULL. */
	void (*queue_stop)(struct virtio_device *dev, unsigned queue);

	/* The driver wrote configuration space; the range lies inside it.
	 * NULL for a space that is read-only. */
	void (*config_write)(struct virtio_device *dev, size_t offset,
			     const void *data, size_t size);

	/* The driver is about to read configuration space; the range lies
	 * inside it. May be NULL. */
	void (*config_read)(struct virtio_device *dev, size_t offset,
			    size_t size);

	/* The device is held (virtio_state.h). On return nothing of the guest's
	 * is in flight: each chain that was popped has been pushed, given back
	 * to its ring, or noted in the state, from which resume() begins it
	 * anew. The driver cannot make this wait for more than a few MiB. NULL
	 * if the device never keeps a chain from one call to the next. */
	void (*quiesce)(struct virtio_device *dev);

	/* The device goes on as its state says. If the driver is up, ready
	 * queues are started before this call and served after it. If
	 * dev->loaded is set, the state was saved by another device. -errno
	 * makes the device ask for a reset. May be NULL. */
	int (*resume)(struct virtio_device *dev);

	/* Whether the device can have this state, which is not trusted and is
	 * aligned to 8 bytes. resume() checks what depends on features. NULL if
	 * any bytes will do. */
	bool (*state_valid)(struct virtio_device *dev, const void *state);

	/* Closes and frees what the device has besides its struct, also if its
	 * creation has failed half-way. Called without the lock, by
	 * virtio_device_destroy(). NULL if there is nothing else. */
	void (*destroy)(struct virtio_device *dev);

	/* Why the device cannot be saved, as text for a message; NULL: it can
	 * be. */
	const char *unsaved;

	/* What the device's own kick_inline starts as. */
	bool kick_inline;

	/* Drivers keep many requests under way. With kick_inline, the device
	 * makes them collect some before they kick (queue_batch.h). */
	bool batched;
};

/* What a device asks of its transport. */
struct virtio_transport_ops {
	/* Buffers of this queue were used. */
	void (*interrupt)(void *transport, unsigned queue);

	/* The configuration changed. The driver is up. */
	void (*config_changed)(void *transport);

	/* From now on the driver's kicks of this queue signal fd, which stays
	 * open until detach_kick(), and do not arrive at virtio_device_kick().
	 * 0, also from a transport that cannot do that at all; -errno if the
	 * host runs out of resources. */
	int (*attach_kick)(void *transport, unsigned queue, int fd);
	void (*detach_kick)(void *transport, unsigned queue, int fd);
};

struct virtio_device {
	const struct virtio_device_ops *ops;
	const struct guest_mem *mem;
	struct event_loop *loop;
	pthread_mutex_t lock;

	/* Kicks are served where they arrive, in the vCPU's thread, and not by
	 * an ioeventfd in the event loop. For devices that answer most requests
	 * at once, without blocking, and share their event loop. */
	bool kick_inline;

	uint64_t features; /* offered; VERSION_1 and the ring ones included */
	uint64_t driver_features; /* acknowledged, valid after FEATURES_OK */
	uint32_t status;	  /* virtio 1.2, 2.1 */
	uint32_t config_generation;
	const void *config; /* configuration space; the device's */
	size_t config_size;
	void *state; /* the device's own struct NAME_state; NULL: none */
	size_t state_size;

	unsigned holds; /* of virtio_state.h: no queue is served while any is */
	bool loaded;	/* a state was loaded, and the device is still held */

	unsigned queue_count;
	struct virtqueue queues[VIRTIO_QUEUES_MAX];
	struct queue_kick kicks[VIRTIO_QUEUES_MAX];
	struct queue_batch batches[VIRTIO_QUEUES_MAX];

	const struct virtio_transport_ops *transport_ops; /* NULL: none */
	void *transport;
};

/* Allocates the model's struct, all zeroes but for the struct virtio_device,
 * and opens all descriptors that queues which onggi serves need. features are
 * the model's own; VERSION_1, EVENT_IDX and INDIRECT_DESC are added. mem and
 * loop outlive the device. NULL with err set when memory or descriptors run
 * out. */
struct virtio_device *virtio_device_create(const struct virtio_device_ops *ops,
					   const struct guest_mem *mem,
					   struct event_loop *loop,
					   uint64_t features,
					   unsigned queue_count,
					   struct error *err);

/* Frees a device of any kind. Its transport is gone and has reset it. NULL is
 * fine. */
void virtio_device_destroy(struct virtio_device *dev);

/* Has the event loop, which serves only this device, get all kicks. Called
 * before the driver is up. */
void virtio_device_kick_in_loop(struct virtio_device *dev);

static inline bool virtio_has_feature(const struct virtio_device *dev,
				      unsigned bit)
{
	return dev->driver_features >> bit & 1;
}

/* Whether queues may be served: the driver is up and has not broken anything,
 * and nobody holds the device. */
bool virtio_device_up(const struct virtio_device *dev);

/* Calls ops->notify for a queue that may be served; does nothing for another
 * one. queue: any number. */
void virtio_device_notify(struct virtio_device *dev, uint32_t queue);

/* Serves a queue until it is empty, and interrupts the driver at the end if it
 * wants that. next() pops one chain and serves or keeps it. It returns what
 * that cost of the turn, 1 or more; 0 when there was no chain; -EPROTO when
 * ring or chain are broken; -EAGAIN when the device will come back to this
 * queue by itself. Once the costs reach `turn`, the rest waits until other
 * devices had their turn, since another vCPU may refill the queue for ever. */
void virtio_device_serve(struct virtio_device *dev, unsigned queue,
			 unsigned turn,
			 int (*next)(struct virtio_device *dev,
				     struct virtqueue *vq));

/* Has ops->notify called for the queue once more, from the event loop, after
 * other devices had their turn. A device bounds the work of one turn by it. */
void virtio_device_again(struct virtio_device *dev, unsigned queue);

/* Interrupts the driver if it wants to hear of what was pushed to queue. */
void virtio_device_interrupt(struct virtio_device *dev, unsigned queue);

/* Interrupts the driver for a queue that a server or the kernel serves, which
 * has asked the driver already. */
void virtio_device_interrupt_always(struct virtio_device *dev, unsigned queue);

/* Kicks go to another eventfd now, which ops->kick_fd returns. The one before
 * is still open. */
void virtio_device_kick_fd_changed(struct virtio_device *dev, unsigned queue);

/* Tells the driver that configuration space changed; by an interrupt, if it is
 * up. */
void virtio_device_config_changed(struct virtio_device *dev);

/* The driver broke the rules: sets DEVICE_NEEDS_RESET, says so to the driver
 * and, rate-limited, in the log. Nothing is served until the reset. */
void virtio_device_broken(struct virtio_device *dev, const char *why);
