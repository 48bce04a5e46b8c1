#include "vmm/machine/platform.h"

#include "vmm/machine/arch.h"

static void on_power_off(void *ctx, uint8_t exit_code)
{
	struct platform *platform = ctx;

	stop_request(platform->stop, STOP_POWEROFF, exit_code,
		     "the guest powered off");
}

static void on_reset(void *ctx)
{
	struct platform *platform = ctx;

	stop_request(platform->stop, STOP_REBOOT, 0,
		     "the guest reset the machine");
}

static void on_boot_mark(void *ctx)
{
	struct platform *platform = ctx;

	timeline_mark(platform->timeline, TIMELINE_USER_SPACE);
}

static const struct power_ops power_ops = {
	.power_off = on_power_off,
	.reset = on_reset,
	.boot_mark = on_boot_mark,
};

int platform_create_devices(struct platform *platform, struct console *console,
			    struct error *err)
{
	const struct irq_line none = { .fd = -1 };

	serial_init(&platform->serial, none, &console_backend, console);
	power_init(&platform->power, none, &power_ops, platform);
	return arch_create_devices(platform, err);
}

void platform_destroy_devices(struct platform *platform)
{
	power_destroy(&platform->power);
	serial_destroy(&platform->serial);
}

int platform_add_devices(struct platform *platform, struct bus *bus,
			 uint64_t serial_base, uint64_t power_base,
			 struct error *err)
{
	const struct bus_range serial = {
		.name = "serial port",
		.base = serial_base,
		.size = SERIAL_WINDOW,
		.ops = &serial_bus_ops,
		.dev = &platform->serial,
		.lock = &platform->serial.lock,
	};
	const struct bus_range power = {
		.name = "power registers",
		.base = power_base,
		.size = POWER_WINDOW,
		.ops = &power_bus_ops,
		.dev = &platform->power,
		.lock = &platform->power.lock,
	};

	return bus_add(bus, &serial, err) ? -1 : bus_add(bus, &power, err);
}

struct irq_line platform_irq(const struct platform *platform, uint32_t gsi)
{
	return (struct irq_line){
		.fd = platform->vm_fd,
		.gsi = gsi,
		.raise = arch_raise_irq,
	};
}
