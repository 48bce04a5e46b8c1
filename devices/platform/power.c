#include "devices/platform/power.h"

#include "base/fair_lock.h"

static uint8_t read_byte(struct power_state *s, uint64_t offset)
{
	uint8_t events;

	switch (offset) {
	case POWER_EVENTS:
		events = s->events;
		s->events = 0;
		return events;
	case POWER_EXIT_CODE:
		return s->exit_code;
	}
	return 0; /* 4.8.3.7: SLP_EN reads as zero, and WAK_STS is never set */
}

static void write_byte(struct power *power, uint64_t offset, uint8_t value)
{
	struct power_state *s = &power->state;

	switch (offset) {
	case POWER_SLEEP_CONTROL:
		if ((value & POWER_OFF_MASK) == POWER_OFF_VALUE)
			power->ops->power_off(power->ctx, s->exit_code);
		break;
	case POWER_RESET:
		if (value == POWER_RESET_VALUE)
			power->ops->reset(power->ctx);
		break;
	case POWER_BOOT_MARK:
		if (!s->boot_marked) {
			s->boot_marked = 1;
			power->ops->boot_mark(power->ctx);
		}
		break;
	case POWER_EXIT_CODE:
		s->exit_code = value;
		break;
	}
}

static uint64_t power_read(void *dev, uint64_t offset, unsigned size)
{
	struct power *power = dev;
	uint64_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_byte(&power->state, offset + i)
			 << 8 * i;
	return value;
}

static void power_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	for (unsigned i = 0; i < size; i++)
		write_byte(dev, offset + i, (uint8_t)(value >> 8 * i));
}

const struct bus_ops power_bus_ops = {
	.read = power_read,
	.write = power_write,
};

void power_init(struct power *power, struct irq_line irq,
		const struct power_ops *ops, void *ctx)
{
	*power = (struct power){ .irq = irq, .ops = ops, .ctx = ctx };
	fair_lock_init(&power->lock);
}

void power_destroy(struct power *power)
{
	pthread_mutex_destroy(&power->lock);
}

uint8_t power_exit_code(struct power *power)
{
	uint8_t code;

	pthread_mutex_lock(&power->lock);
	code = power->state.exit_code;
	pthread_mutex_unlock(&power->lock);
	return code;
}

void power_press_button(struct power *power)
{
	pthread_mutex_lock(&power->lock);
	power->state.events |= POWER_EVENT_BUTTON;
	irq_line_raise(power->irq);
	pthread_mutex_unlock(&power->lock);
}
