/* The socket device: rings, packets, programs of the host on both of its ends,
 * kicks and writes to guest memory in any order.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "devices/vsock/virtio_vsock.h"
#include "devices/vsock/vsock_packet.h"
#include "devices/vsock/vsock_socket.h"
#include "tests/fuzz/fuzz_driver.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS 24
#define CID 3
#define HOST_PORT 7 /* on which a program of the host's listens */
#define PROGRAMS 4

struct step {
	uint8_t op;
	uint8_t value;
};

struct params {
	uint8_t features; /* 0, 1: ring features */
	struct step steps[STEPS];
};

struct machine {
	struct virtio_mmio *mmio;
	uint8_t *ram;
	int listener;		/* of the program on HOST_PORT */
	int programs[PROGRAMS]; /* -1: none */
};

static char path[64];

static int open_socket(const char *name, bool listening)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	if (listening) {
		unlink(name);
		if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
		    listen(fd, 64))
			abort();
	} else if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The listening sockets of all runs; they go with the process. */
static int listeners[2];

static void remove_files(void)
{
	char name[80];

	unlink(path);
	snprintf(name, sizeof(name), "%s_%u", path, HOST_PORT);
	unlink(name);
}

static void open_listeners(void)
{
	char name[80];

	if (path[0])
		return;
	snprintf(path, sizeof(path), "/tmp/fuzz-vsock-%d", getpid());
	snprintf(name, sizeof(name), "%s_%u", path, HOST_PORT);
	listeners[0] = open_socket(path, true);
	listeners[1] = open_socket(name, true);
	atexit(remove_files);
}

/* The device's way to the program on HOST_PORT. */
static int connect_port(void *ctx, uint32_t port)
{
	char name[80];

	snprintf(name, sizeof(name), "%s_%u", (char *)ctx, port);
	return open_socket(name, false);
}

/* A program of the host's asks for a port of the guest, or says something
 * else. */
static int ask(uint8_t value)
{
	static const char *const lines[] = { "", "CONN", "HELLO\n",
					     "CONNECT 99999999999\n" };
	char line[32];
	int fd = open_socket(path, false);

	snprintf(line, sizeof(line), "CONNECT %u\nhello", value % 4);
	if (fd >= 0)
		send(fd, value & 0x80 ? lines[value % 4] : line,
		     strlen(value & 0x80 ? lines[value % 4] : line),
		     MSG_NOSIGNAL);
	return fd;
}

static void replace(int *program, int fd)
{
	if (*program >= 0)
		close(*program);
	*program = fd;
}

static void drain(int fd)
{
	static uint8_t bytes[1 << 18];

	while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
}

static void host_step(struct machine *m, unsigned op, uint8_t value)
{
	static const uint8_t bytes[1 << 16];
	int *program = &m->programs[value % PROGRAMS];

	switch (op) {
	case 0:
		replace(program, ask(value / PROGRAMS));
		break;
	case 1:
		replace(program,
			accept4(m->listener, NULL, NULL, SOCK_NONBLOCK));
		break;
	case 2:
		send(*program, bytes, (size_t)value << (value % 9),
		     MSG_NOSIGNAL | MSG_DONTWAIT);
		break;
	case 3:
		drain(*program);
		break;
	case 4:
		shutdown(*program, value / PROGRAMS % 3);
		break;
	case 5:
		replace(program, -1);
		break;
	}
}

/* Where the packet of the guest's ring entry n lies, for inputs that mean to
 * send one: behind the three rings. */
static void change_packet(struct machine *m, uint8_t value)
{
	size_t at = 0x780 + 0x40u * (value % 8u);

	switch (value >> 3) {
	case 0 ... 7: /* op */
		m->ram[at + 30] = value >> 3;
		break;
	case 8 ... 15: /* source port */
		m->ram[at + 16] = value >> 3;
		break;
	case 16 ... 23: /* flags */
		m->ram[at + 32] = value >> 3 & 3;
		break;
	default: /* len */
		m->ram[at + 24 + (value >> 3 & 1)] ^= 1 << (value >> 4 & 7);
	}
}

static void step(struct machine *m, uint8_t op, uint8_t value)
{
	switch (op % 12) {
	case 0:
	case 1:
	case 2:
		fuzz_write_register(m->mmio, VIRTIO_MMIO_QUEUE_NOTIFY, op % 12);
		break;
	case 3: /* more of a ring becomes available: avail.idx */
		m->ram[(FUZZ_RING(value >> 7) - FUZZ_RAM_BASE) + 0x102] +=
			value % 16;
		break;
	case 4:
		change_packet(m, value);
		break;
	case 5:
		if (value)
			break;
		fuzz_write_register(m->mmio, VIRTIO_MMIO_QUEUE_SEL, op >> 7);
		fuzz_write_register(m->mmio, VIRTIO_MMIO_QUEUE_READY, 0);
		break;
	default:
		host_step(m, op % 12 - 6, value);
	}
	event_loop_run(fuzz_loop());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	struct machine m = { .ram = fuzz_ram_create(&mem) };
	struct virtio_vsock_options options = { .guest_cid = CID };
	struct virtio_device *dev;
	struct params p;
	struct error err;
	int fd;

	open_listeners();
	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, m.ram, FUZZ_RAM_SIZE);
	options.listen_fd = listeners[0];
	options.connect = connect_port;
	options.connect_ctx = path;
	m.listener = listeners[1];
	memset(m.programs, -1, sizeof(m.programs));
	dev = virtio_vsock_create(&options, &mem, fuzz_loop(), &err);
	m.mmio = fuzz_attach(dev);
	fuzz_bring_up(m.mmio, 3, (p.features & 3u) << 28);
	for (unsigned i = 0; i < STEPS; i++)
		step(&m, p.steps[i].op, p.steps[i].value);
	virtio_mmio_destroy(m.mmio);
	virtio_device_destroy(dev);
	for (unsigned i = 0; i < PROGRAMS; i++)
		replace(&m.programs[i], -1);
	/* nothing waits for the next run */
	for (unsigned i = 0; i < 2; i++)
		while ((fd = accept(listeners[i], NULL, NULL)) >= 0)
			close(fd);
	free(m.ram);
	return 0;
}
