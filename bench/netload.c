/*
 * Both ends of the network benchmarks. Packets are small, so that the time
 * which a monitor spends on each packet counts.
 *
 *	netload serve			the far end of all others but ping
 *	netload ping ADDRESS COUNT	ICMP echo, one every 10 ms
 *	netload rr ADDRESS MS		one byte to and fro over TCP
 *	netload udp-to ADDRESS MS	datagrams of 64 bytes to the server
 *	netload udp-from ADDRESS MS	datagrams of 64 bytes from the server
 *
 * Each client prints two numbers: the result and the number of all packets or
 * transactions. The result of ping is the median in microseconds. The others'
 * is a number per second, without the first 50 ms.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bench/load/load.h"

#define PORT 7100
#define DATAGRAM 64
#define WARM_UP (50 * 1000000ULL)
#define SILENCE_MS 200 /* no more datagrams come after such a gap */
#define PATIENCE_MS 10000
#define PING_GAP_US 10000

/* What a client sends to the server, and the answer to UDP_TO. */
enum { RR, UDP_TO, UDP_FROM };
struct request {
	uint32_t what;
	uint32_t ms;
};
struct tally {
	uint64_t per_second;
	uint64_t total;
};

static void set_patience(int fd, unsigned ms)
{
	struct timeval time = { .tv_sec = ms / 1000,
				.tv_usec = ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
}

static void set_no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* local: the socket is bound to PORT. */
static int open_socket(int type, int protocol, bool local)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_port = htons(PORT) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);
	int one = 1;

	if (fd < 0)
		err(1, "socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (local && bind(fd, (struct sockaddr *)&any, sizeof(any)))
		err(1, "bind");
	set_patience(fd, PATIENCE_MS);
	return fd;
}

static void connect_to(int fd, struct in_addr host)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons(PORT),
				       .sin_addr = host };

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err(1, "connect");
}

/* -- Datagrams ------------------------------------------------------------ */

static void send_datagrams(int fd, unsigned ms)
{
	uint64_t end = now() + ms * 1000000ULL + 2 * WARM_UP;
	char data[DATAGRAM] = { 0 };

	/* A full queue, or a peer that does not listen yet, is no error. */
	while (now() < end)
		if (send(fd, data, sizeof(data), 0) < 0 && errno != ENOBUFS &&
		    errno != ECONNREFUSED)
			err(1, "send");
}

/* Takes datagrams until no more come. The rate counts those that come within ms
 * milliseconds after warming up, and so neither the start nor what waits in
 * queues at the end. */
static struct tally receive_datagrams(int fd, unsigned ms)
{
	uint64_t begin = 0, end = 0, last = 0, first = 0, counted = 0;
	struct tally tally = { 0 };
	char data[DATAGRAM];

	while (recv(fd, data, sizeof(data), 0) >= 0) {
		uint64_t time = now();

		if (!tally.total++) {
			set_patience(fd, SILENCE_MS);
			begin = time + WARM_UP;
			end = begin + ms * 1000000ULL;
		}
		if (time < begin || time > end)
			continue;
		if (!first)
			first = time;
		else
			counted++;
		last = time;
	}
	if (counted)
		tally.per_second = counted * 1000000000 / (last - first);
	return tally;
}

/* -- The server ----------------------------------------------------------- */

static void echo(int fd)
{
	char data[64];
	ssize_t len;

	while ((len = recv(fd, data, sizeof(data), 0)) > 0)
		if (send(fd, data, (size_t)len, MSG_NOSIGNAL) != len)
			return;
}

static void serve_udp_to(int control, unsigned ms)
{
	int fd = open_socket(SOCK_DGRAM, 0, true);
	struct tally tally = { 0 };

	/* One byte tells the client that the socket is there. */
	if (send(control, &tally, 1, MSG_NOSIGNAL) == 1) {
		tally = receive_datagrams(fd, ms);
		send(control, &tally, sizeof(tally), MSG_NOSIGNAL);
	}
	close(fd);
}

static void serve_udp_from(int control, unsigned ms)
{
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int fd = open_socket(SOCK_DGRAM, 0, false);

	if (!getpeername(control, (struct sockaddr *)&peer, &size)) {
		connect_to(fd, peer.sin_addr);
		send_datagrams(fd, ms);
	}
	close(fd);
}

static void serve_connection(int fd)
{
	struct request request;

	set_no_delay(fd);
	set_patience(fd, PATIENCE_MS);
	if (recv(fd, &request, sizeof(request), MSG_WAITALL) != sizeof(request))
		return;
	switch (request.what) {
	case RR:
		echo(fd);
		break;
	case UDP_TO:
		serve_udp_to(fd, request.ms);
		break;
	case UDP_FROM:
		serve_udp_from(fd, request.ms);
		break;
	}
}

static void serve(void)
{
	int listener = open_socket(SOCK_STREAM, 0, true);

	set_patience(listener, 0);
	if (listen(listener, 8))
		err(1, "listen");
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			err(1, "accept");
		serve_connection(fd);
		close(fd);
	}
}

/* -- Clients -------------------------------------------------------------- */

static int ask_server(struct in_addr host, unsigned what, unsigned ms)
{
	struct request request = { .what = what, .ms = ms };
	int fd = open_socket(SOCK_STREAM, 0, false);

	connect_to(fd, host);
	set_no_delay(fd);
	if (send(fd, &request, sizeof(request), 0) != sizeof(request))
		err(1, "send");
	return fd;
}

static void wait_for(int fd, void *data, size_t size)
{
	if (recv(fd, data, size, MSG_WAITALL) != (ssize_t)size)
		err(1, "no answer");
}

static struct tally round_trips(struct in_addr host, unsigned ms)
{
	int fd = ask_server(host, RR, ms);
	uint64_t begin = now() + WARM_UP, end = begin + ms * 1000000ULL;
	uint64_t time = 0, first = 0, counted = 0;
	struct tally tally = { 0 };
	char byte = 0;

	while (time < end) {
		if (send(fd, &byte, 1, 0) != 1)
			err(1, "send");
		wait_for(fd, &byte, 1);
		time = now();
		tally.total++;
		if (first)
			counted++;
		else if (time >= begin)
			first = time;
	}
	if (counted)
		tally.per_second = counted * 1000000000 / (time - first);
	close(fd);
	return tally;
}

static struct tally udp_to(struct in_addr host, unsigned ms)
{
	int control = ask_server(host, UDP_TO, ms);
	int fd = open_socket(SOCK_DGRAM, 0, false);
	struct tally tally;

	connect_to(fd, host);
	wait_for(control, &tally, 1);
	send_datagrams(fd, ms);
	wait_for(control, &tally, sizeof(tally));
	return tally;
}

static struct tally udp_from(struct in_addr host, unsigned ms)
{
	int fd = open_socket(SOCK_DGRAM, 0, true);

	ask_server(host, UDP_FROM, ms);
	return receive_datagrams(fd, ms);
}

/* -- Ping ----------------------------------------------------------------- */

struct echo {
	struct icmphdr header;
	char data[56];
};

/* RFC 1071 */
static uint16_t checksum(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static bool is_reply(const uint8_t *packet, ssize_t len,
		     const struct echo *sent)
{
	size_t header = (size_t)(packet[0] & 15) * 4; /* IP's */
	struct icmphdr reply;

	if ((size_t)len < header + sizeof(reply))
		return false;
	memcpy(&reply, packet + header, sizeof(reply));
	return reply.type == ICMP_ECHOREPLY &&
	       reply.un.echo.id == sent->header.un.echo.id &&
	       reply.un.echo.sequence == sent->header.un.echo.sequence;
}

/* Nanoseconds. */
static uint64_t ping_once(int fd, unsigned sequence)
{
	struct echo echo = { .header.type = ICMP_ECHO };
	uint64_t begin;
	uint8_t packet[128];
	ssize_t len;

	echo.header.un.echo.id = htons((uint16_t)getpid());
	echo.header.un.echo.sequence = htons((uint16_t)sequence);
	echo.header.checksum = checksum(&echo, sizeof(echo));
	begin = now();
	if (send(fd, &echo, sizeof(echo), 0) != sizeof(echo))
		err(1, "send");
	do {
		len = recv(fd, packet, sizeof(packet), 0);
		if (len < 0)
			err(1, "no reply");
	} while (!is_reply(packet, len, &echo));
	return now() - begin;
}

static double ping(struct in_addr host, unsigned count)
{
	int fd = open_socket(SOCK_RAW, IPPROTO_ICMP, false);
	double *times = calloc(count, sizeof(*times)); /* microseconds */
	double result;

	if (!times)
		err(1, "memory");
	connect_to(fd, host);
	for (unsigned i = 0; i < count; i++) {
		usleep(PING_GAP_US);
		times[i] = (double)ping_once(fd, i) / 1000;
	}
	result = median(times, count);
	free(times);
	return result;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		struct tally (*run)(struct in_addr host, unsigned ms);
	} loads[] = {
		{ "rr", round_trips },
		{ "udp-to", udp_to },
		{ "udp-from", udp_from },
	};
	struct in_addr host;
	unsigned number;

	if (argc == 2 && strcmp(argv[1], "serve") == 0)
		serve();
	number = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	if (!number || number > 60000 || !inet_aton(argv[2], &host))
		errx(64, "see the head of bench/netload.c");
	if (strcmp(argv[1], "ping") == 0) {
		printf("%.3f %u\n", ping(host, number), number);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(loads); i++) {
		struct tally tally;

		if (strcmp(argv[1], loads[i].name) != 0)
			continue;
		tally = loads[i].run(host, number);
		printf("%" PRIu64 " %" PRIu64 "\n", tally.per_second,
		       tally.total);
		return 0;
	}
	errx(64, "%s: no such load", argv[1]);
}
