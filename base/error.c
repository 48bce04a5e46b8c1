#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for a text before its middle is cut out. */
#define LONG_TEXT (2 * sizeof(((struct error *)0)->text))

/* Keeps both ends of a text that is too long. The subject is in front, the
 * reason at the end, and a long name between them. */
static void keep_text(struct error *err, const char *text)
{
	static const char gap[] = "...";
	const size_t size = sizeof(err->text);
	const size_t head = size / 2, tail = size - head - strlen(gap) - 1;
	size_t len = strlen(text);

	if (len < size) {
		memcpy(err->text, text, len + 1);
		return;
	}
	memcpy(err->text, text, head);
	memcpy(err->text + head, gap, strlen(gap));
	memcpy(err->text + head + strlen(gap), text + len - tail, tail + 1);
}

/* Formats the text, and appends ": TAIL" unless tail is empty. tail may be
 * err->text itself. */
__attribute__((format(printf, 2, 0))) static void
build_text(struct error *err, const char *fmt, va_list args, const char *tail)
{
	char text[LONG_TEXT];
	int used = vsnprintf(text, sizeof(text), fmt, args);
	size_t at = used < 0 ? 0 : (size_t)used, room;

	if (*tail) {
		room = sizeof(text) - strlen(tail) - sizeof(": ");
		if (at > room)
			at = room;
		snprintf(text + at, sizeof(text) - at, ": %s", tail);
	}
	keep_text(err, text);
}

int error_set(struct error *err, enum error_class class, int errnum,
	      const char *fmt, ...)
{
	va_list args;

	err->class = class;
	va_start(args, fmt);
	build_text(err, fmt, args, errnum ? strerror(errnum) : "");
	va_end(args);
	return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	build_text(err, fmt, args, err->text);
	va_end(args);
	return -1;
}
