/* Rings whose every byte is the input: addresses and sizes first, then the
 * memory that holds rings and buffers. All that is popped is read and written
 * to its end, as a device would.
 */
#include "devices/virtio/virtqueue.h"
#include "tests/fuzz/fuzz_ram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct params {
	uint16_t desc, avail, used;
	uint8_t size_log, flags;
	uint16_t next;
};

static uint32_t touch(const struct chain *chain)
{
	volatile uint8_t sum = 0;
	uint32_t written = 0;
	unsigned count = chain->out_count + chain->in_count;

	if (count > CHAIN_IOV_MAX)
		abort();
	for (unsigned i = 0; i < count; i++) {
		uint8_t *base = chain->iov[i].iov_base;
		size_t len = chain->iov[i].iov_len;

		if (!len)
			abort();
		sum = (uint8_t)(sum + base[0] + base[len - 1]);
		if (i < chain->out_count)
			continue;
		base[0] = 0xa5;
		base[len - 1] = 0x5a;
		written += (uint32_t)len;
	}
	return written;
}

static void serve(struct virtqueue *vq)
{
	struct chain chain;
	int budget = 512;
	int ret;

	do {
		virtqueue_kicks_disable(vq);
		while ((ret = virtqueue_pop(vq, &chain)) > 0 && budget-- > 0) {
			if (budget % 7 == 3) {
				virtqueue_unpop(vq);
				continue;
			}
			virtqueue_push(vq, chain.head, touch(&chain));
		}
	} while (ret == 0 && virtqueue_kicks_enable(vq) && budget-- > 0);
	virtqueue_needs_interrupt(vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct guest_mem mem = { 0 };
	uint8_t *ram = fuzz_ram_create(&mem);
	struct virtqueue vq;
	struct params p;

	fuzz_take(&in, &p, sizeof(p));
	fuzz_take(&in, ram, FUZZ_RAM_SIZE);
	virtqueue_init(&vq, 64);
	vq.state.size = p.flags & 2 ? p.size_log : 1u << (p.size_log % 8);
	vq.state.desc = FUZZ_RAM_BASE + p.desc % (2 * FUZZ_RAM_SIZE);
	vq.state.avail = FUZZ_RAM_BASE + p.avail % (2 * FUZZ_RAM_SIZE);
	vq.state.used = FUZZ_RAM_BASE + p.used % (2 * FUZZ_RAM_SIZE);
	vq.state.next_avail = p.next;
	vq.state.next_used = p.next;
	vq.state.last_interrupt = (uint16_t)(p.next - (p.flags >> 2));
	virtqueue_start(&vq, &mem, p.flags & 1);
	serve(&vq);
	serve(&vq);
	free(ram);
	return 0;
}
