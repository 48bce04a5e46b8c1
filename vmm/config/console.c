/* Consoles: --console, the serial port, and --hvc, the virtio console. */
#include <errno.h>
#include <string.h>

#include "vmm/config/section.h"

static const struct field keys[] = {
	{ "stdio", FIELD_FLAG, FIELD_AT(config_console, stdio),
	  .help = "standard input and output" },
	{ "pty", FIELD_FLAG, FIELD_AT(config_console, pty),
	  .help = "a new pseudo-terminal; its name is printed on stderr" },
	{ "none", FIELD_FLAG, FIELD_AT(config_console, none),
	  .help = "discard the output; no input" },
	{ "file", FIELD_STRING, FIELD_AT(config_console, file),
	  .is_output = true, .arg = "PATH",
	  .help = "a file, which is truncated, or a named pipe" },
	{ .name = NULL },
};

static const struct field options[] = {
	{ "console", FIELD_GROUP, FIELD_AT(vm_config, console), .group = keys,
	  .arg = "stdio|pty|file=PATH|none",
	  .help = "where the serial port goes (stdio); on a terminal, Ctrl-A h "
		  "lists the keys" },
	{ "hvc", FIELD_GROUP, FIELD_AT(vm_config, hvc), .group = keys,
	  .arg = "stdio|pty|file=PATH|none",
	  .help = "where the virtio console, hvc0, goes (none); the serial "
		  "port then goes to /dev/null" },
	{ .name = NULL },
};

static int count_places(const struct config_console *console)
{
	return console->stdio + console->pty + console->none +
	       (console->file != NULL);
}

/* The serial port stays beside a virtio console, even if nobody asked for it: a
 * kernel whose driver of the virtio console is a module needs another console
 * until that module is loaded. Without one, Debian's initrd does not get so
 * far. */
static int settle(struct vm_config *config, struct error *err)
{
	struct config_console *console = &config->console, *hvc = &config->hvc;

	if (!count_places(hvc))
		hvc->none = true;
	if (count_places(console))
		return 0;
	if (hvc->none) {
		console->stdio = true;
		return 0;
	}
	console->file = strdup("/dev/null");
	return console->file ? 0
			     : error_set(err, ERROR_USAGE, ENOMEM, "console");
}

static int check_console(const char *name, const struct config_console *console,
			 struct error *err)
{
	if (count_places(console) <= 1)
		return 0;
	return error_usage(
		err, "%s: stdio, pty, file and none exclude each other", name);
}

static int check(const struct vm_config *config, struct error *err)
{
	if (check_console("console", &config->console, err) ||
	    check_console("hvc", &config->hvc, err))
		return -1;
	if (config->console.stdio && config->hvc.stdio)
		return error_usage(err, "hvc: console uses stdio already");
	return 0;
}

const struct config_section console_section = { options, settle, check };
