/*
 * What init and its compiler would otherwise take from a C library: system
 * calls, text and base64.
 */
#pragma once

#include <linux/fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#include "init-x86_64.h"
#elif defined(__aarch64__)
#include "init-arm64.h"
#else
#error "init: not written for this architecture yet"
#endif

#define call1(n, a) system_call(n, (long)(a), 0, 0, 0, 0)
#define call2(n, a, b) system_call(n, (long)(a), (long)(b), 0, 0, 0)
#define call3(n, a, b, c) \
	system_call(n, (long)(a), (long)(b), (long)(c), 0, 0)
#define call5(n, a, b, c, d, e) \
	system_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

/* The compiler makes calls of it. */
void *memset(void *to, int byte, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((volatile char *)to)[i] = (char)byte;
	return to;
}

static size_t length_of(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

static int equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/* The rest of text after prefix, or NULL. */
static const char *after(const char *text, const char *prefix)
{
	while (*prefix)
		if (*text++ != *prefix++)
			return NULL;
	return text;
}

static const char *get_environment(char **environment, const char *name)
{
	for (; *environment; environment++) {
		const char *value = after(*environment, name);

		if (value && *value == '=')
			return value + 1;
	}
	return NULL;
}

static void complain(const char *name, const char *reason)
{
	const char *parts[] = { "init: ", name, ": ", reason, "\n" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		call3(SYS_write, 2, parts[i], length_of(parts[i]));
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decodes in place, which always fits. 0, or -1 if it is not base64. */
static int decode_base64(char *text)
{
	unsigned bits = 0, count = 0;
	char *out = text;

	for (; *text && *text != '='; text++) {
		int value = base64_value(*text);

		if (value < 0)
			return -1;
		bits = bits << 6 | (unsigned)value;
		count += 6;
		if (count >= 8) {
			count -= 8;
			*out++ = (char)(bits >> count);
		}
	}
	*out = '\0';
	return 0;
}
