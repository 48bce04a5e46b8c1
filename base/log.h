/* Log lines on stderr: "onggi: LEVEL: text". Control characters in the text are
 * printed as \n or \xNN. A line that stderr does not take within 200 ms is
 * dropped.
 *
 * The level is a global variable that is set once, before any thread starts. A
 * line that a guest can cause again and again is printed by log_guest(). In
 * LOG_INTERVAL_S seconds, it prints at most LOG_BURST lines for each place in
 * the code, and counts those that it drops. Any thread.
 */
#pragma once

#include <stdarg.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

#define LOG_BURST 10
#define LOG_INTERVAL_S 5

struct log_limit {
	int64_t window_start_s;
	unsigned printed;
	unsigned dropped;
};

void log_set_level(enum log_level level);

void log_write(enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void log_write_limited(struct log_limit *limit, enum log_level level,
		       const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

#define log_guest(level, ...)                                   \
	do {                                                    \
		static struct log_limit limit_;                 \
		log_write_limited(&limit_, level, __VA_ARGS__); \
	} while (0)
