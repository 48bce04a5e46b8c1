#include "base/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

static enum log_level log_threshold = LOG_WARN;
static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_set_level(enum log_level level)
{
	log_threshold = level;
}

/* Appends text to line[used]. Control characters, which file names may have,
 * become visible, so that a message stays one line and cannot control a
 * terminal.
 */
static size_t append_escaped(char *line, size_t used, size_t size,
			     const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (; *text && used + 4 <= size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c != 0x7f) {
			line[used++] = *text;
			continue;
		}
		line[used++] = '\\';
		line[used++] = c == '\n' ? 'n' : 'x';
		if (c == '\n')
			continue;
		line[used++] = hex[c >> 4];
		line[used++] = hex[c & 0xf];
	}
	return used;
}

/* The longest time that a line waits for the reader of stderr, because the
 * guest and the signals that end it must not wait. */
#define WAIT_MS 200

/* Writes a line at once, so that lines of several threads do not mix. */
__attribute__((format(printf, 2, 0))) static void
write_line(enum log_level level, const char *fmt, va_list args)
{
	char text[sizeof(((struct error *)0)->text)];
	char line[sizeof(text) + 256];
	size_t used = (size_t)snprintf(line, sizeof(line),
				       "onggi: %s: ", level_names[level]);
	struct pollfd out = { .fd = STDERR_FILENO, .events = POLLOUT };

	vsnprintf(text, sizeof(text), fmt, args);
	used = append_escaped(line, used, sizeof(line) - 1, text);
	line[used++] = '\n';
	if (poll(&out, 1, WAIT_MS) == 1 && write(STDERR_FILENO, line, used) < 0)
		return; /* There is no other place to report it. */
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level > log_threshold)
		return;
	va_start(args, fmt);
	write_line(level, fmt, args);
	va_end(args);
}

void log_write_limited(struct log_limit *limit, enum log_level level,
		       const char *fmt, ...)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	int64_t now_s = clock_ns() / 1000000000;
	unsigned dropped = 0;
	bool print;
	va_list args;

	if (level > log_threshold)
		return;
	pthread_mutex_lock(&lock);
	if (limit->printed == 0 ||
	    now_s - limit->window_start_s >= LOG_INTERVAL_S) {
		dropped = limit->dropped;
		*limit = (struct log_limit){ .window_start_s = now_s };
	}
	print = limit->printed < LOG_BURST;
	if (print)
		limit->printed++;
	else
		limit->dropped++;
	pthread_mutex_unlock(&lock);
	if (dropped)
		log_write(level, "(%u more lines like the next one dropped)",
			  dropped);
	if (print) {
		va_start(args, fmt);
		write_line(level, fmt, args);
		va_end(args);
	}
}
