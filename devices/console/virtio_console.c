#include "devices/console/virtio_console.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "base/container_of.h"
#include "base/iov.h"
#include "base/le_types.h"

#define FEATURES \
	(1ULL << VIRTIO_CONSOLE_F_SIZE | 1ULL << VIRTIO_CONSOLE_F_EMERG_WRITE)

/* The cost of a turn, and that of a chain beside its bytes. */
#define TX_TURN (256 * 1024)
#define TX_CHAIN 1024
#define PUT_MAX (64 * 1024) /* bytes per write */

#define RX_TURN 64 /* buffers filled before others have a turn */

/* State saved in a snapshot. The size of the terminal is not part of it: the
 * driver is told that of the terminal where the device goes on. */
struct virtio_console_state {
	uint64_t tx_done;   /* bytes of the next chain that have gone out */
	uint8_t rx_open;    /* the driver is ready for input */
	uint8_t rx_starved; /* receive() refused; call room() */
	uint8_t pad[6];
};
static_assert(sizeof(struct virtio_console_state) == 16, "saved in snapshots");

struct virtio_console {
	struct virtio_device dev;
	struct virtio_console_config config;
	struct virtio_console_state state;
	const struct console_backend *backend;
	void *backend_ctx;
	bool blocked;	  /* put() refused; wait for resume() */
	unsigned rx_turn; /* buffers that may be filled in this turn */
};

static struct virtio_console *from_dev(struct virtio_device *dev)
{
	return container_of(dev, struct virtio_console, dev);
}

/* --- output: guest to host --- */

/* Puts out what is left of the chain. Returns whether nothing is left after
 * that. Nothing is left, too, if the driver has made the chain shorter. */
static bool tx_chain(struct virtio_console *console, const struct chain *chain,
		     size_t *taken)
{
	struct virtio_console_state *s = &console->state;
	size_t left = iov_length(chain->iov, chain->out_count);
	struct iov_cursor cursor = iov_cursor(chain->iov, chain->out_count);
	struct iovec iov[CHAIN_IOV_MAX];
	unsigned count;
	size_t want;

	*taken = 0;
	left -= iov_skip(&cursor, s->tx_done);
	if (!left)
		return true;
	want = left < PUT_MAX ? left : PUT_MAX;
	count = iov_take(&cursor, want, iov);
	*taken = console->backend->put(console->backend_ctx, iov, count);
	if (*taken > want)
		*taken = want;
	console->blocked = *taken < want;
	s->tx_done += *taken;
	return *taken == left;
}

static int tx_next(struct virtio_device *dev, struct virtqueue *vq)
{
	struct virtio_console *console = from_dev(dev);
	struct chain chain;
	size_t taken;
	int ret = virtqueue_pop(vq, &chain);

	if (ret <= 0)
		return ret;
	if (chain.in_count)
		return -EPROTO; /* 5.3.6: all buffers are readable */
	if (tx_chain(console, &chain, &taken)) {
		console->state.tx_done = 0;
		virtqueue_push(vq, chain.head, 0);
	} else {
		virtqueue_unpop(vq);
		if (console->blocked)
			return -EAGAIN;
	}
	return TX_CHAIN + (int)taken;
}

/* 5.3.5: the driver may write a character to configuration space in any state. */
static void config_write(struct virtio_device *dev, size_t offset,
			 const void *data, size_t size)
{
	struct virtio_console *console = from_dev(dev);
	uint8_t byte = *(const uint8_t *)data;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };

	(void)size;
	if (offset != offsetof(struct virtio_console_config, emerg_wr) ||
	    console->blocked)
		return;
	console->blocked =
		!console->backend->put(console->backend_ctx, &iov, 1);
}

static void port_resume(void *dev)
{
	from_dev(dev)->blocked = false;
	virtio_device_notify(dev, VIRTIO_CONSOLE_TX);
}

/* --- input: host to guest --- */

/* Fills one buffer. Returns how many bytes it took, 0 if there is no buffer, or
 * -EPROTO. */
static int rx_next(struct virtio_console *console, const uint8_t *data,
		   size_t len)
{
	struct virtio_device *dev = &console->dev;
	struct virtqueue *vq = &dev->queues[VIRTIO_CONSOLE_RX];
	struct iov_cursor cursor;
	struct chain chain;
	size_t done;
	int ret;

	/* another vCPU may give new buffers for ever */
	if (!console->rx_turn) {
		virtio_device_again(dev, VIRTIO_CONSOLE_RX);
		return 0;
	}
	ret = virtqueue_pop(vq, &chain);
	if (ret == 0 && virtqueue_kicks_enable(vq))
		ret = virtqueue_pop(vq, &chain);
	if (ret <= 0)
		return ret;
	if (chain.out_count || !chain.in_count)
		return -EPROTO;
	cursor = iov_cursor(chain.iov, chain.in_count);
	done = iov_write(&cursor, data, len);
	virtqueue_push(vq, chain.head, (uint32_t)done);
	console->rx_turn--;
	return (int)done;
}

static size_t port_receive(void *opaque, const uint8_t *data, size_t len)
{
	struct virtio_device *dev = opaque;
	struct virtio_console *console = from_dev(dev);
	bool open = virtio_device_up(dev) && console->state.rx_open &&
		    dev->queues[VIRTIO_CONSOLE_RX].state.ready;
	size_t taken = 0;
	int ret = 0;

	while (open && taken < len &&
	       (ret = rx_next(console, data + taken, len - taken)) > 0)
		taken += (size_t)ret;
	if (ret < 0)
		virtio_device_broken(dev, "bad receive ring or buffer");
	if (taken < len)
		console->state.rx_starved = true;
	if (taken)
		virtio_device_interrupt(dev, VIRTIO_CONSOLE_RX);
	return taken;
}

/* The driver gives buffers without kicks, as there may be no input for them. */
static void rx_serve(struct virtio_console *console)
{
	virtqueue_kicks_disable(&console->dev.queues[VIRTIO_CONSOLE_RX]);
	console->rx_turn = RX_TURN;
	if (!console->state.rx_starved)
		return;
	console->state.rx_starved = false;
	console->backend->room(console->backend_ctx);
}

static void rx_open(struct virtio_console *console)
{
	if (console->state.rx_open)
		return;
	console->state.rx_open = true;
	virtio_device_notify(&console->dev, VIRTIO_CONSOLE_RX);
}

/* --- the terminal's size --- */

static void tell_size(struct virtio_console *console)
{
	if (virtio_has_feature(&console->dev, VIRTIO_CONSOLE_F_SIZE))
		virtio_device_config_changed(&console->dev);
}

static void config_read(struct virtio_device *dev, size_t offset, size_t size)
{
	(void)size;
	if (virtio_device_up(dev) &&
	    offset < offsetof(struct virtio_console_config, max_nr_ports))
		rx_open(from_dev(dev));
}

static void port_resize(void *dev, uint16_t columns, uint16_t rows)
{
	struct virtio_console *console = from_dev(dev);
	const le16_t size[2] = { le16(columns), le16(rows) };

	/* 5.3.4: configuration space begins with these two */
	if (memcmp(&console->config, size, sizeof(size)) == 0)
		return;
	memcpy(&console->config, size, sizeof(size));
	tell_size(console);
}

/* --- the driver --- */

static void notify(struct virtio_device *dev, unsigned queue)
{
	struct virtio_console *console = from_dev(dev);

	if (queue == VIRTIO_CONSOLE_RX) {
		rx_serve(console);
		return;
	}
	/* If the queue has output, the driver has printed. It has none if the
	 * queue is served only because a pause has ended. */
	if (virtqueue_waiting(&dev->queues[queue]))
		rx_open(console);
	if (!console->blocked)
		virtio_device_serve(dev, queue, TX_TURN, tx_next);
}

static int activate(struct virtio_device *dev)
{
	if (virtio_has_feature(dev, VIRTIO_CONSOLE_F_SIZE))
		tell_size(from_dev(dev));
	else /* 3.1.1: no kick will come for buffers that are there already */
		rx_open(from_dev(dev));
	return 0;
}

static void queue_stop(struct virtio_device *dev, unsigned queue)
{
	struct virtio_console *console = from_dev(dev);

	if (queue == VIRTIO_CONSOLE_TX)
		console->state.tx_done = 0;
	else
		console->state.rx_open = false;
}

static const struct virtio_device_ops console_ops = {
	.name = "virtio console",
	.device_id = VIRTIO_ID_CONSOLE,
	.size = sizeof(struct virtio_console),
	.queue_size = VIRTIO_CONSOLE_QUEUE_SIZE,
	.activate = activate,
	.notify = notify,
	.queue_stop = queue_stop,
	.config_read = config_read,
	.config_write = config_write,
	.kick_inline = true,
};

struct virtio_device *
virtio_console_create(const struct virtio_console_options *options,
		      const struct guest_mem *mem, struct event_loop *loop,
		      struct error *err)
{
	struct virtio_device *dev =
		virtio_device_create(&console_ops, mem, loop, FEATURES, 2, err);
	struct virtio_console *console;

	if (!dev)
		return NULL;
	console = from_dev(dev);
	dev->config = &console->config;
	dev->config_size = sizeof(console->config);
	dev->state = &console->state;
	dev->state_size = sizeof(console->state);
	console->backend = options->backend;
	console->backend_ctx = options->backend_ctx;
	return dev;
}

struct console_port virtio_console_port(struct virtio_device *dev)
{
	static const struct console_port_ops ops = {
		.receive = port_receive,
		.resume = port_resume,
		.resize = port_resize,
	};

	return (struct console_port){ &ops, dev, &dev->lock };
}
