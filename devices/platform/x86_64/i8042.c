#include "devices/platform/x86_64/i8042.h"

#define STATUS_OUTPUT_FULL 0x01
#define COMMAND_PULSE_RESET 0xfe

static uint64_t i8042_read(void *dev, uint64_t offset, unsigned size)
{
	(void)dev;
	(void)offset;
	(void)size;
	return STATUS_OUTPUT_FULL;
}

static void i8042_write(void *dev, uint64_t offset, unsigned size,
			uint64_t value)
{
	const struct i8042 *i8042 = dev;

	(void)offset;
	(void)size;
	if ((uint8_t)value == COMMAND_PULSE_RESET)
		i8042->reset(i8042->ctx);
}

const struct bus_ops i8042_bus_ops = {
	.read = i8042_read,
	.write = i8042_write,
};
