#include "tests/fake_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/le_types.h"

#define HEADER sizeof(struct vhost_msg_header)
#define EXCESS 32 /* descriptors in a message */
#define WAIT_S 60

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fake back-end: %s\n", what);
	abort();
}

/* --- messages --- */

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* All of len bytes, and the descriptors that come with them, which are closed
 * where nobody wants them; false at the end. */
static bool receive(int fd, void *to, size_t len, int *fds, unsigned *count)
{
	union {
		struct cmsghdr align;
		uint8_t room[CMSG_SPACE(VHOST_REGIONS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { to, len };
	struct msghdr in = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	int got[VHOST_REGIONS_MAX];
	struct cmsghdr *c;
	unsigned some;

	if (recvmsg(fd, &in, MSG_WAITALL | MSG_CMSG_CLOEXEC) != (ssize_t)len)
		return false;
	c = CMSG_FIRSTHDR(&in);
	if (!c)
		return true;
	some = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(got, CMSG_DATA(c), some * sizeof(int));
	for (unsigned i = 0; i < some; i++) {
		if (fds)
			fds[(*count)++] = got[i];
		else
			close(got[i]);
	}
	return true;
}

static void send_bytes(int fd, const void *data, size_t len, size_t at_once)
{
	const uint8_t *from = data;

	while (len > 0) {
		size_t some = len < at_once ? len : at_once;

		/* the other side may have had enough */
		if (send(fd, from, some, MSG_NOSIGNAL) < 0)
			return;
		from += some;
		len -= some;
		if (at_once == 1)
			usleep(100);
	}
}

static void send_with_fds(int fd, const struct vhost_message *msg,
			  unsigned count)
{
	union {
		struct cmsghdr header;
		uint8_t room[CMSG_SPACE(EXCESS * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)msg,
			     HEADER + msg->header.size };
	struct msghdr out = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen =
				      CMSG_SPACE(count * sizeof(int)) };
	int zero = 0;

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	for (unsigned i = 0; i < count; i++)
		memcpy(CMSG_DATA(&control.header) + i * sizeof(int), &zero,
		       sizeof(zero));
	if (sendmsg(fd, &out, MSG_NOSIGNAL) < 0)
		return;
}

static unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* Descriptors for which the receiver has no room are closed by the kernel;
 * QEMU's user-mode emulation forgets them, so there shall be none there. What
 * the first call finds out that way stays open. */
static unsigned most_fds(void)
{
	static unsigned most;
	struct vhost_message msg = { .header = { .size = 8 } };
	unsigned before;
	int ends[2];

	if (most)
		return most;
	before = open_fds();
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "a socket pair");
	send_with_fds(ends[0], &msg, EXCESS);
	must(receive(ends[1], &msg, HEADER + 8, NULL, NULL), "descriptors");
	close(ends[0]);
	close(ends[1]);
	most = open_fds() == before ? EXCESS : VHOST_REGIONS_MAX;
	return most;
}

void fake_backend_init(struct fake_backend *b)
{
	*b = (struct fake_backend){
		.features = 1ULL << VIRTIO_F_VERSION_1 |
			    1ULL << VHOST_F_PROTOCOL_FEATURES |
			    1ULL << VIRTIO_RING_F_INDIRECT_DESC |
			    1ULL << VIRTIO_RING_F_EVENT_IDX |
			    1ULL << VIRTIO_BLK_F_FLUSH |
			    1ULL << VIRTIO_BLK_F_CONFIG_WCE,
		.protocol = 1ULL << VHOST_PROTOCOL_F_MQ |
			    1ULL << VHOST_PROTOCOL_F_REPLY_ACK |
			    1ULL << VHOST_PROTOCOL_F_BACKEND_REQ |
			    1ULL << VHOST_PROTOCOL_F_CONFIG | 1ULL << 15,
		.queues = 1,
		.config_size = 60,
		.back_fd = -1,
		.fd = -1,
		.listener = -1,
		.fds = most_fds(),
	};
	for (unsigned i = 0; i < b->config_size; i++)
		b->config[i] = (uint8_t)(0x40 + i);
	for (unsigned i = 0; i < FAKE_BACKEND_RINGS; i++)
		b->rings[i].kick = b->rings[i].call = -1;
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->changed, NULL);
}

/* False when it is dead by that. */
static bool reply(struct fake_backend *b, struct vhost_message *msg, bool bad)
{
	enum fake_mischief how = bad ? b->mischief : FAKE_GOOD;
	uint8_t bytes[sizeof(*msg) + 8] = { 0 };
	size_t at_once = how == FAKE_SLOW ? 1 : sizeof(bytes);

	msg->header.flags = VHOST_MSG_VERSION | VHOST_MSG_REPLY;
	if (how == FAKE_WRONG_ID)
		msg->header.request++;
	if (how == FAKE_NO_REPLY)
		msg->header.flags = VHOST_MSG_VERSION;
	if (how == FAKE_WRONG_VERSION)
		msg->header.flags = VHOST_MSG_REPLY | 2;
	if (how == FAKE_SHORT)
		msg->header.size -= 8;
	if (how == FAKE_LONG)
		msg->header.size += 8;
	if (how == FAKE_REFUSES)
		memset(&msg->payload, 0xff, msg->header.size);
	if (how == FAKE_WITH_FD || how == FAKE_WITH_FDS) {
		send_with_fds(b->fd, msg, how == FAKE_WITH_FD ? 1 : b->fds);
		return true;
	}
	memcpy(bytes, msg, HEADER + msg->header.size);
	if (how == FAKE_HUGE) {
		msg->header.size = 1 << 30;
		memcpy(bytes, msg, HEADER);
		msg->header.size = 8;
	}
	for (int i = 0; i < (how == FAKE_TWICE ? 2 : 1); i++)
		send_bytes(b->fd, bytes, HEADER + msg->header.size, at_once);
	return true;
}

/* --- requests --- */

static struct fake_backend_ring *ring_of(struct fake_backend *b, uint64_t index)
{
	must((index & 0xff) < FAKE_BACKEND_RINGS, "no such ring");
	return &b->rings[index & 0xff];
}

static void take_config(struct fake_backend *b, struct vhost_message *msg)
{
	size_t size = msg->payload.config.size;

	must(msg->header.size == VHOST_MSG_CONFIG_HEAD + size, "config size");
	if (size > b->config_size)
		msg->header.size = 0;
	else
		memcpy(msg->payload.config.data, b->config, size);
}

/* Notes what it says; true when msg is the reply then. */
static bool handle(struct fake_backend *b, struct vhost_message *msg, int *fds,
		   unsigned count)
{
	const uint32_t type = msg->header.request;
	struct vhost_vring_state state = msg->payload.state;
	struct fake_backend_ring *ring = &b->rings[0];
	uint64_t answer = 0;

	switch (type) {
	case VHOST_GET_FEATURES_MSG:
		answer = b->features;
		break;
	case VHOST_GET_PROTOCOL_FEATURES_MSG:
		answer = b->protocol;
		break;
	case VHOST_GET_QUEUE_NUM_MSG:
		answer = b->queues;
		break;
	case VHOST_GET_CONFIG_MSG:
		take_config(b, msg);
		return true;
	case VHOST_GET_VRING_BASE_MSG:
		ring = ring_of(b, state.index);
		ring->stopped = true;
		close_fd(&ring->kick);
		close_fd(&ring->call);
		msg->payload.state.num = ring->base;
		return true;
	case VHOST_SET_FEATURES_MSG:
		b->features_set = msg->payload.u64;
		return false;
	case VHOST_SET_PROTOCOL_FEATURES_MSG:
		b->protocol_set = msg->payload.u64;
		return false;
	case VHOST_SET_MEM_TABLE_MSG:
		b->memory = msg->payload.memory;
		b->memory_fds = count;
		must(msg->header.size == 8 + 32 * b->memory.count,
		     "memory table's size");
		return false;
	case VHOST_SET_VRING_NUM_MSG:
		ring_of(b, state.index)->size = state.num;
		return false;
	case VHOST_SET_VRING_BASE_MSG:
		ring_of(b, state.index)->base = state.num;
		return false;
	case VHOST_SET_VRING_ADDR_MSG:
		ring = ring_of(b, msg->payload.addr.index);
		ring->desc = msg->payload.addr.desc_user_addr;
		ring->avail = msg->payload.addr.avail_user_addr;
		ring->used = msg->payload.addr.used_user_addr;
		return false;
	case VHOST_SET_VRING_KICK_MSG:
	case VHOST_SET_VRING_CALL_MSG:
		ring = ring_of(b, msg->payload.u64);
		must(count == 1, "an eventfd");
		close_fd(type == VHOST_SET_VRING_KICK_MSG ? &ring->kick
							  : &ring->call);
		*(type == VHOST_SET_VRING_KICK_MSG ? &ring->kick
						   : &ring->call) = fds[0];
		ring->stopped = false;
		fds[0] = -1;
		return false;
	case VHOST_SET_VRING_ENABLE_MSG:
		ring_of(b, state.index)->enabled = state.num;
		return false;
	case VHOST_SET_BACKEND_REQ_FD_MSG:
		must(count == 1, "a channel");
		close_fd(&b->back_fd);
		b->back_fd = fds[0];
		fds[0] = -1;
		return false;
	case VHOST_SET_CONFIG_MSG:
		b->config_written = msg->payload.config;
		return false;
	case VHOST_SET_OWNER_MSG:
		must(msg->header.size == 0, "empty");
		return false;
	default:
		must(false, "a request that it does not know");
	}
	msg->header.size = sizeof(answer);
	msg->payload.u64 = answer;
	return true;
}

/* One request; false at the end. */
static bool serve_one(struct fake_backend *b)
{
	struct vhost_message msg = { 0 };
	int fds[VHOST_REGIONS_MAX];
	unsigned count = 0;
	bool bad, need, good = true;
	uint32_t type;

	if (!receive(b->fd, &msg.header, HEADER, fds, &count))
		return false;
	type = msg.header.request;
	must(msg.header.size <= VHOST_MSG_PAYLOAD_MAX &&
		     type < FAKE_BACKEND_REQUESTS &&
		     (msg.header.flags & 3) == 1,
	     "a bad request");
	if (msg.header.size &&
	    !receive(b->fd, &msg.payload, msg.header.size, NULL, NULL))
		return false;
	pthread_mutex_lock(&b->lock);
	bad = type == b->bad_request && b->counts[type] + 1 >= b->bad_count;
	if (bad && b->mischief == FAKE_DIES) {
		pthread_mutex_unlock(&b->lock);
		return false;
	}
	need = msg.header.flags & VHOST_MSG_NEED_REPLY;
	must(!need || (b->protocol_set >> VHOST_PROTOCOL_F_REPLY_ACK & 1),
	     "a reply that was not negotiated");
	if (handle(b, &msg, fds, count)) {
		need = true;
	} else {
		msg.header.size = sizeof(uint64_t);
		msg.payload.u64 = 0;
	}
	for (unsigned i = 0; i < count; i++)
		close_fd(&fds[i]);
	/* before the answer, after which the front-end goes on */
	b->counts[type]++;
	if (need && !(bad && b->mischief == FAKE_SILENT))
		good = reply(b, &msg, bad);
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	/* nothing more than that it is there */
	while (bad && b->mischief == FAKE_SILENT &&
	       receive(b->fd, &msg.header, 1, NULL, NULL))
		;
	return good && !(bad && b->mischief == FAKE_SILENT);
}

/* False when it is to end. */
static bool accept_one(struct fake_backend *b)
{
	int fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
	bool stopping;

	pthread_mutex_lock(&b->lock);
	close_fd(&b->fd);
	b->fd = fd;
	stopping = b->stopping;
	pthread_mutex_unlock(&b->lock);
	return fd >= 0 && !stopping;
}

static void *serve(void *arg)
{
	struct fake_backend *b = arg;

	if (b->listener >= 0 && !accept_one(b))
		return NULL;
	do {
		while (serve_one(b))
			;
		shutdown(b->fd, SHUT_RDWR);
	} while (b->again && accept_one(b));
	return NULL;
}

/* --- life --- */

static void start(struct fake_backend *b)
{
	b->running = true;
	b->stopping = false;
	must(pthread_create(&b->thread, NULL, serve, b) == 0, "a thread");
}

int fake_backend_start(struct fake_backend *b)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0,
	     "a pair");
	b->fd = ends[0];
	start(b);
	return ends[1];
}

void fake_backend_listen(struct fake_backend *b)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };

	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* an abstract address that the kernel chooses */
	must(bind(b->listener, (struct sockaddr *)&any, sizeof(sa_family_t)) ==
			     0 &&
		     listen(b->listener, 1) == 0,
	     "a listener");
	start(b);
}

int fake_backend_connect(void *ctx, struct error *err)
{
	struct fake_backend *b = ctx;
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (getsockname(b->listener, (struct sockaddr *)&address, &size) == 0 &&
	    connect(fd, (struct sockaddr *)&address, size) == 0)
		return fd;
	error_set(err, ERROR_IO, errno, "the fake");
	close(fd);
	return -1;
}

void fake_backend_stop(struct fake_backend *b)
{
	if (!b->running)
		return;
	pthread_mutex_lock(&b->lock);
	b->stopping = true;
	if (b->listener >= 0)
		shutdown(b->listener, SHUT_RDWR);
	if (b->fd >= 0)
		shutdown(b->fd, SHUT_RDWR);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	b->running = false;
	close_fd(&b->listener);
	close_fd(&b->fd);
	close_fd(&b->back_fd);
	for (unsigned i = 0; i < FAKE_BACKEND_RINGS; i++) {
		close_fd(&b->rings[i].kick);
		close_fd(&b->rings[i].call);
	}
}

void fake_backend_wait(struct fake_backend *b, uint32_t request, unsigned count)
{
	struct timespec end;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += WAIT_S;
	pthread_mutex_lock(&b->lock);
	while (b->counts[request] < count && ret == 0)
		ret = pthread_cond_timedwait(&b->changed, &b->lock, &end);
	pthread_mutex_unlock(&b->lock);
	if (ret)
		fprintf(stderr, "request %u came %u times, not %u\n", request,
			b->counts[request], count);
	must(ret == 0, "waited in vain");
}

/* --- rings --- */

void *fake_backend_ptr(struct fake_backend *b, uint64_t address)
{
	const struct vhost_msg_region *region = &b->memory.regions[0];

	must(address - region->address < region->size, "an address");
	return b->ram + (address - region->address);
}

void fake_backend_use(struct fake_backend *b, unsigned index, uint32_t head,
		      uint32_t len)
{
	struct fake_backend_ring *ring = &b->rings[index];
	uint16_t *used = fake_backend_ptr(b, ring->used); /* flags, idx */
	le32_t element[2] = { le32(head), le32(len) };
	uint64_t one = 1;

	memcpy(&used[2 + 4 * (used[1] % ring->size)], element, sizeof(element));
	__atomic_store_n(&used[1], (uint16_t)(used[1] + 1), __ATOMIC_RELEASE);
	must(write(ring->call, &one, sizeof(one)) == sizeof(one), "a call");
}

uint64_t fake_backend_kicks(struct fake_backend *b, unsigned index)
{
	uint64_t count;

	if (read(b->rings[index].kick, &count, sizeof(count)) != sizeof(count))
		return 0;
	return count;
}
