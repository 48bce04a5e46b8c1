/* What the guest boots: kernel, initrd, command line, arguments of its init. */
#include <string.h>

#include "vmm/config/section.h"

static const struct field options[] = {
	{ "kernel", FIELD_STRING, FIELD_AT(vm_config, kernel), .arg = "FILE",
	  .help = "kernel image; without it, the built, the installed or the "
		  "host's kernel, in this order" },
	{ "initrd", FIELD_STRING, FIELD_AT(vm_config, initrd), .arg = "FILE",
	  .help = "initial RAM disk" },
	{ "cmdline", FIELD_STRING, FIELD_AT(vm_config, cmdline),
	  .may_be_empty = true, .arg = "STR",
	  .help = "append STR to the default kernel command line" },
	{ "cmdline-only", FIELD_STRING, FIELD_AT(vm_config, cmdline_only),
	  .may_be_empty = true, .arg = "STR",
	  .help = "use STR instead of the default kernel command line" },
	{ "args", FIELD_STRING, FIELD_LIST(vm_config, args, arg_count),
	  .may_be_empty = true },
	{ .name = NULL },
};

/* Divides the text into words as Linux does, which knows no escapes. Sets *open
 * when the last quote is not closed, and *dashes when "--" is a word: Linux
 * leaves the words behind it to init. */
static void scan_words(const char *text, bool *open, bool *dashes)
{
	const char *word = text;

	*open = *dashes = false;
	for (const char *c = text;; c++) {
		if (*c && (*open || !strchr(CONFIG_CMDLINE_BLANKS, *c))) {
			*open ^= *c == '"';
			continue;
		}
		if (c - word == 2 && strncmp(word, "--", 2) == 0)
			*dashes = true;
		if (!*c)
			return;
		word = c + 1;
	}
}

static int check_text(const char *name, const char *text, bool has_args,
		      struct error *err)
{
	bool open, dashes;

	if (!text)
		return 0;
	scan_words(text, &open, &dashes);
	if (strchr(text, '\n'))
		return error_usage(err, "%s: contains a line break", name);
	if (open)
		return error_usage(err, "%s: a double quote is not closed",
				   name);
	if (dashes && has_args)
		return error_usage(err,
				   "%s: contains --, and onggi adds another "
				   "-- before INIT-ARGS; the kernel ignores "
				   "what follows a second one",
				   name);
	return 0;
}

static int check_arg(const char *arg, struct error *err)
{
	if (strpbrk(arg, "\"\n"))
		return error_usage(err,
				   "args: %s: a kernel command line cannot "
				   "carry a double quote or a line break",
				   arg);
	if (strcmp(arg, "--") == 0)
		return error_usage(err,
				   "args: no argument can be --: the kernel "
				   "ignores what follows it; put the command "
				   "into a script: sh -c '...'");
	return 0;
}

static unsigned count_roots(const struct vm_config *config)
{
	unsigned roots = 0;

	for (unsigned i = 0; i < config->disk_count; i++)
		roots += config->disks[i].root;
	for (unsigned i = 0; i < config->pmem_count; i++)
		roots += config->pmems[i].root;
	return roots;
}

bool config_has_root(const struct vm_config *config)
{
	return count_roots(config) > 0;
}

static int check(const struct vm_config *config, struct error *err)
{
	bool has_args = config->arg_count > 0;
	unsigned roots = count_roots(config);

	if (config->cmdline && config->cmdline_only)
		return error_usage(
			err, "cmdline and cmdline-only exclude each other");
	if (check_text("cmdline", config->cmdline, has_args, err) ||
	    check_text("cmdline-only", config->cmdline_only, has_args, err))
		return -1;
	for (unsigned i = 0; i < config->arg_count; i++)
		if (check_arg(config->args[i], err))
			return -1;
	if (roots > 1)
		return error_usage(err, "disk, pmem: only one can have root");
	return 0;
}

const struct config_section kernel_section = { options, NULL, check };
