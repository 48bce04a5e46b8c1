#include "devices/platform/arm64/pl061.h"

#include <assert.h>
#include <stddef.h>

#include "base/fair_lock.h"

/* DDI 0190B, 3.2 */
enum pl061_register {
	GPIODATA_END = 0x400, /* 256 addresses: bits 9:2 choose lines */
	GPIODIR = 0x400,
	GPIOIS = 0x404,
	GPIOIBE = 0x408,
	GPIOIEV = 0x40c,
	GPIOIE = 0x410,
	GPIORIS = 0x414,
	GPIOMIS = 0x418,
	GPIOIC = 0x41c,
	GPIOAFSEL = 0x420,
	GPIO_ID = 0xfe0,
};

/* GPIOPeriphID0-3 and GPIOPCellID0-3 */
static const uint8_t pl061_id[8] = {
	0x61, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1,
};

static_assert(sizeof(struct pl061_state) == 11, "no padding");

/* Raises the interrupt when a masked status bit becomes set. */
static void update_irq(struct pl061 *pl061)
{
	struct pl061_state *s = &pl061->state;
	uint8_t masked = s->ris & s->ie;

	if (masked & ~s->raised)
		irq_line_raise(pl061->irq);
	s->raised = masked;
}

/* Brings the status bits up to date. A line that detects levels has the bit
 * while its input has the level; changed has the lines whose input changed. */
static void sense(struct pl061 *pl061, uint8_t changed)
{
	struct pl061_state *s = &pl061->state;
	uint8_t wanted = (uint8_t) ~(s->input ^ s->iev);
	uint8_t edges = changed & (s->ibe | wanted);

	s->ris |= edges & ~s->is & ~s->dir;
	s->ris = (s->ris & ~s->is) | (wanted & s->is & ~s->dir);
	update_irq(pl061);
}

static void set_input(struct pl061 *pl061, uint8_t input)
{
	uint8_t changed = pl061->state.input ^ input;

	pl061->state.input = input;
	sense(pl061, changed);
}

static uint8_t read_data(struct pl061 *pl061, uint8_t mask)
{
	struct pl061_state *s = &pl061->state;
	uint8_t value = (s->data & s->dir) | (s->input & ~s->dir);
	uint8_t seen = s->pressed & mask & ~s->dir;

	s->pressed &= ~seen;
	set_input(pl061, s->input & ~seen);
	return value & mask;
}

/* The place in struct pl061_state of a register that the guest reads and writes
 * as it is; -1 if it is not such a register. */
static int plain_register(uint64_t offset)
{
	switch (offset) {
	case GPIODIR:
		return offsetof(struct pl061_state, dir);
	case GPIOIS:
		return offsetof(struct pl061_state, is);
	case GPIOIBE:
		return offsetof(struct pl061_state, ibe);
	case GPIOIEV:
		return offsetof(struct pl061_state, iev);
	case GPIOIE:
		return offsetof(struct pl061_state, ie);
	case GPIOAFSEL:
		return offsetof(struct pl061_state, afsel);
	}
	return -1;
}

static uint8_t read_register(struct pl061 *pl061, uint64_t offset)
{
	struct pl061_state *s = &pl061->state;
	int plain = plain_register(offset);

	if (plain >= 0)
		return ((const uint8_t *)s)[plain];
	if (offset % 4 != 0)
		return 0;
	if (offset < GPIODATA_END)
		return read_data(pl061, (uint8_t)(offset / 4));
	if (offset >= GPIO_ID && offset < GPIO_ID + 4 * sizeof(pl061_id))
		return pl061_id[(offset - GPIO_ID) / 4];
	if (offset == GPIORIS)
		return s->ris;
	return offset == GPIOMIS ? s->ris & s->ie : 0;
}

static uint64_t pl061_read(void *dev, uint64_t offset, unsigned size)
{
	(void)size;
	return read_register(dev, offset);
}

static void write_data(struct pl061_state *s, uint8_t mask, uint8_t value)
{
	mask &= s->dir;
	s->data = (s->data & ~mask) | (value & mask);
}

/* A line whose level still asks for an interrupt raises another one. */
static void clear_interrupts(struct pl061_state *s, uint8_t lines)
{
	s->ris &= ~lines;
	s->raised &= ~lines;
}

static void pl061_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	struct pl061 *pl061 = dev;
	struct pl061_state *s = &pl061->state;
	int plain = plain_register(offset);
	uint8_t byte = (uint8_t)value;

	(void)size;
	if (offset % 4 != 0)
		return;
	if (offset < GPIODATA_END) {
		write_data(s, (uint8_t)(offset / 4), byte);
		return;
	}
	if (plain >= 0)
		((uint8_t *)s)[plain] = byte;
	else if (offset == GPIOIC)
		clear_interrupts(s, byte);
	sense(pl061, 0);
}

const struct bus_ops pl061_bus_ops = {
	.read = pl061_read,
	.write = pl061_write,
};

void pl061_init(struct pl061 *pl061, struct irq_line irq)
{
	*pl061 = (struct pl061){ .irq = irq };
	fair_lock_init(&pl061->lock);
}

void pl061_destroy(struct pl061 *pl061)
{
	pthread_mutex_destroy(&pl061->lock);
}

void pl061_set_input(struct pl061 *pl061, unsigned line, int level)
{
	uint8_t bit = (uint8_t)(1 << line % PL061_LINES);
	uint8_t input;

	pthread_mutex_lock(&pl061->lock);
	input = pl061->state.input;
	set_input(pl061, level ? input | bit : input & ~bit);
	pthread_mutex_unlock(&pl061->lock);
}

void pl061_press(struct pl061 *pl061, unsigned line)
{
	uint8_t bit = (uint8_t)(1 << line % PL061_LINES);

	pthread_mutex_lock(&pl061->lock);
	pl061->state.pressed |= bit;
	set_input(pl061, pl061->state.input | bit);
	pthread_mutex_unlock(&pl061->lock);
}
