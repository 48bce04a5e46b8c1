#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Appends ": TEXT" at text[used], cutting off what does not fit. */
static void append(struct error *err, int used, const char *text)
{
	size_t room = sizeof(err->text);

	if (used < 0 || (size_t)used + 2 >= room)
		return;
	memcpy(err->text + used, ": ", 2);
	room -= (size_t)used + 2;
	if (!memccpy(err->text + used + 2, text, 0, room))
		err->text[sizeof(err->text) - 1] = 0;
}

int error_set(struct error *err, enum error_class class, int errnum,
	      const char *fmt, ...)
{
	va_list args;
	int used;

	err->class = class;
	va_start(args, fmt);
	used = vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	if (errnum)
		append(err, used, strerror(errnum));
	return -1;
}

int error_wrap(struct error *err, const char *fmt, ...)
{
	char inner[sizeof(err->text)];
	va_list args;
	int used;

	memcpy(inner, err->text, sizeof(inner));
	va_start(args, fmt);
	used = vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	append(err, used, inner);
	return -1;
}
