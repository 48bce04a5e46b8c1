/* A driver that must not be able to tell that its device was paused, or saved
 * and loaded into another one.
 *
 * It gives chains at random, kicks only when the device wants that, and looks
 * for used ones only when it was interrupted. In between, the device is held
 * still and goes on, or is replaced by a fresh one over a copy of guest memory.
 * What the old one had is overwritten, and every interrupt that the driver has
 * not taken yet is lost. At the end every chain has come back exactly once.
 * Failures abort.
 */
#pragma once

#include "tests/fake_driver.h"
#include "tests/mock_transport.h"

#define STATE_CHAINS_MAX 16
#define STATE_ROOM 2048 /* bytes of guest memory that each chain has */

struct state_harness;

struct state_chain {
	bool busy; /* the device's */
	uint64_t gpa;
	uint64_t tag; /* the test's: what it expects of the chain */
};

/* What a test says of its device. Constant. */
struct state_device {
	struct virtio_device *(*create)(struct state_harness *h);
	void (*destroy)(struct virtio_device *dev);
	uint64_t features;   /* for the driver to take; EVENT_IDX is random */
	uint16_t queue_size; /* as many for each queue */
	unsigned descs;	     /* of a chain, at most: a power of two */
	uint32_t keeps; /* queues, as bits, whose chains need not come back */

	/* One random deed of the driver's or the host's. */
	void (*step)(struct state_harness *h);

	/* Device and host go on until nothing is to come. May be NULL. */
	void (*settle)(struct state_harness *h);

	/* A chain came back, with len bytes written. */
	void (*used)(struct state_harness *h, unsigned queue,
		     struct state_chain *chain, uint32_t len);
};

struct state_harness {
	struct fake_driver d;
	struct mock_transport transport;
	const struct state_device *device;
	void *ctx; /* the test's */
	uint32_t random;
	bool event_idx;
	bool damaged; /* a state was: bytes and chains are not to be checked */
	unsigned moves, pauses;
	struct state_chain chains[VIRTIO_QUEUES_MAX][STATE_CHAINS_MAX];
};

/* Many runs, each with its own seed. */
void state_run_all(const struct state_device *device, void *ctx);

/* Loads states in which some bytes are others, and lets the device serve with
 * what it takes of them. Nothing but a sanitizer checks that. */
void state_load_damaged(const struct state_device *device, void *ctx);

/* A number below `below`. */
unsigned state_random(struct state_harness *h, unsigned below);

/* A chain that is the driver's; NULL when there is none. */
struct state_chain *state_free_chain(struct state_harness *h, unsigned queue);

/* Gives it to the device. Buffers lie in its memory, one after the other. */
void state_give(struct state_harness *h, unsigned queue,
		struct state_chain *chain, const uint32_t *lens, unsigned outs,
		unsigned ins);

/* The event loop runs once, and the driver takes what it was interrupted for. */
void state_collect(struct state_harness *h);

void *state_ptr(struct state_harness *h, const struct state_chain *chain);
