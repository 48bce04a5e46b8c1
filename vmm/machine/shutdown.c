#include "vmm/machine/shutdown.h"

#include <signal.h>
#include <string.h>

#include "base/container_of.h"
#include "base/log.h"
#include "vmm/machine/arch.h"

static void quit(struct shutdown *shutdown, int number)
{
	stop_request(shutdown->platform->stop, STOP_QUIT, 128 + number, "%s",
		     strsignal(number));
}

static void on_timeout(struct timer *timer)
{
	struct shutdown *shutdown = container_of(timer, struct shutdown, timer);

	log_warn("the guest did not power off in %llu s",
		 (unsigned long long)shutdown->platform->config->stop_timeout);
	quit(shutdown, SIGTERM);
}

int shutdown_create(struct shutdown *shutdown, struct event_loop *loop,
		    struct platform *platform, struct error *err)
{
	int ret;

	*shutdown = (struct shutdown){ .platform = platform };
	ret = timer_open(&shutdown->timer, loop, NULL, on_timeout);
	return ret ? error_set(err, ERROR_IO, -ret, "timer") : 0;
}

void shutdown_destroy(struct shutdown *shutdown)
{
	timer_close(&shutdown->timer);
}

void shutdown_signal(struct shutdown *shutdown, int number)
{
	uint64_t timeout = shutdown->platform->config->stop_timeout;

	if (number != SIGTERM || shutdown->asked || !timeout ||
	    !arch_press_power_button(shutdown->platform)) {
		quit(shutdown, number);
		return;
	}
	shutdown->asked = true;
	timer_set_ns(&shutdown->timer, (int64_t)timeout * 1000000000);
}
