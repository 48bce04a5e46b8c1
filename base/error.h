/* Errors of set-up code: one line of text and an exit status.
 *
 * A function that can fail takes a `struct error *err` as its last argument. It
 * fills err once and returns -1. Each caller on the way up may put its context
 * in front ("disk0: open root.ext4: Permission denied"), and only the command
 * prints the text. No memory is allocated. A text that is too long loses its
 * middle. Any thread, with a struct of its own.
 */
#pragma once

#include <limits.h>

/* The exit status of the process. Values are those of sysexits.h where it has a
 * fitting one. README.md documents them. */
enum error_class {
	ERROR_USAGE = 64,	 /* command line or configuration */
	ERROR_IMAGE = 65,	 /* content of a kernel or an initrd */
	ERROR_KVM = 69,		 /* no /dev/kvm, or it lacks something */
	ERROR_KVM_INTERNAL = 70, /* KVM gave up on an instruction or entry */
	ERROR_IO = 74,		 /* a host file, device or resource failed */
	ERROR_GUEST_PANIC = 80,
	ERROR_TRIPLE_FAULT = 81,
};

struct error {
	enum error_class class;
	char text[PATH_MAX + 400]; /* a path, and what is wrong with it */
};

/* Sets the text, followed by ": " and strerror(errnum) unless errnum is 0.
 * Always returns -1. */
int error_set(struct error *err, enum error_class class, int errnum,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define error_usage(err, ...) error_set(err, ERROR_USAGE, 0, __VA_ARGS__)
#define error_image(err, ...) error_set(err, ERROR_IMAGE, 0, __VA_ARGS__)
#define error_io(err, ...) error_set(err, ERROR_IO, 0, __VA_ARGS__)

/* Puts "PREFIX: " in front of the text. Always returns -1. */
int error_wrap(struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
