#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Room for what does not fit yet. */
#define LONG_TEXT (2 * sizeof(((struct error *)0)->text))

/* Keeps both ends of a text that is too long: what it is about stands in
 * front, the reason at the end, a long name between them. */
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

/* Ends the text of at most LONG_TEXT bytes, used of which are written, with
 * ": TAIL". */
static void append(char *text, int used, const char *tail)
{
	size_t room = LONG_TEXT - strlen(tail) - sizeof(": ");
	size_t at = used < 0 ? 0 : (size_t)used;

	if (at > room)
		at = room;
	snprintf(text + at, LONG_TEXT - at, ": %s", tail);
}

int error_set(struct error *err, enum error_class class, int errnum,
	      const char *fmt, ...)
{
	char text[LONG_TEXT];
	va_list args;
	int used;

	err->class = class;
	va_start(args, fmt);
	used = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (errnum)
		append(text, used, strerror(errnum));
	keep_text(err, text);
	return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char text[LONG_TEXT];
	va_list args;
	int used;

	va_start(args, fmt);
	used = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	append(text, used, err->text);
	keep_text(err, text);
	return -1;
}
