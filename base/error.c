#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, enum error_class class, int errnum,
	      const char *fmt, ...)
{
	va_list args;
	int used;

	err->class = class;
	va_start(args, fmt);
	used = vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	if (errnum && used >= 0 && (size_t)used < sizeof(err->text))
		snprintf(err->text + used, sizeof(err->text) - (size_t)used,
			 ": %s", strerror(errnum));
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
	if (used >= 0 && (size_t)used < sizeof(err->text))
		snprintf(err->text + used, sizeof(err->text) - (size_t)used,
			 ": %s", inner);
	return -1;
}
