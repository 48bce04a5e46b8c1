#include "vmm/machine/cmdline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/machine/arch.h"

/* Where Linux ends a word, unless a double quote is open: its isspace(). 0xa0,
 * Latin-1's no-break space, is part of many a UTF-8 letter. */
static const char blanks[] = " \t\n\v\f\r\xa0";

/* Whether the last quote is open, and whether "--" is a word, behind which all
 * is init's. There are no escapes. */
static void scan(const char *text, bool *open, bool *dashes)
{
	const char *word = text;

	*open = *dashes = false;
	for (const char *c = text;; c++) {
		if (*c && (*open || !strchr(blanks, *c))) {
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

static int validate_text(const char *name, const char *text, bool has_args,
			 struct error *err)
{
	bool open, dashes;

	if (!text)
		return 0;
	scan(text, &open, &dashes);
	if (strchr(text, '\n'))
		return error_set(err, ERROR_USAGE, 0, "%s: holds a line break",
				 name);
	if (open)
		return error_set(err, ERROR_USAGE, 0,
				 "%s: a double quote is not closed", name);
	if (dashes && has_args)
		return error_set(err, ERROR_USAGE, 0,
				 "%s: has a --, so that the kernel would drop "
				 "the arguments after onggi's own --",
				 name);
	return 0;
}

int cmdline_validate(const struct vm_config *config, struct error *err)
{
	bool has_args = config->arg_count > 0;

	if (validate_text("cmdline", config->cmdline, has_args, err) ||
	    validate_text("cmdline-only", config->cmdline_only, has_args, err))
		return -1;
	for (unsigned i = 0; i < config->arg_count; i++) {
		const char *arg = config->args[i];

		if (strpbrk(arg, "\"\n"))
			return error_set(err, ERROR_USAGE, 0,
					 "args: %s: a kernel command line "
					 "cannot carry a double quote or a "
					 "line break",
					 arg);
		if (strcmp(arg, "--") == 0)
			return error_set(err, ERROR_USAGE, 0,
					 "args: the kernel drops what stands "
					 "after a second --; put it into a "
					 "script: sh -c '...'");
	}
	return 0;
}

/* Linux reports free memory in blocks of 2 MiB and leaves 32 of them alone: all
 * that a small guest has free. It gets blocks of 128 KiB, for which the host
 * takes huge pages apart. */
#define SMALL_GUEST (1ULL << 30)

static void print_reporting(const struct vm_config *config, FILE *out)
{
	const struct config_balloon *balloon = &config->balloon;

	if (balloon->given && !balloon->no_reporting &&
	    config->memory.size < SMALL_GUEST)
		fputs(" page_reporting.page_reporting_order=5", out);
}

/* Nothing but a panic on the console, which is slow: every byte is an exit.
 * Ciphers are not tested at each boot (but with fips=1), which takes a stock
 * distribution's kernel half of it. ONGGI=1 ends up in init's environment:
 * there is an exit code register. */
static void print_defaults(const struct vm_config *config,
			   const struct vm_layout *layout, FILE *out)
{
	fputs("quiet loglevel=3 cryptomgr.notests ", out);
	arch_print_cmdline(config, layout, out);
	/* Linux's /dev/console is the one that is named last */
	if (!config->hvc.none)
		fputs(" console=hvc0", out);
	print_reporting(config, out);
	fputs(" ONGGI=1", out);
	for (unsigned i = 0; i < config->disk_count; i++)
		if (config->disks[i].root)
			fprintf(out, " root=/dev/vd%c %s", 'a' + (int)i,
				config->disks[i].readonly ? "ro" : "rw");
	for (unsigned i = 0; i < config->pmem_count; i++)
		if (config->pmems[i].root)
			fprintf(out, " root=/dev/pmem%u rootflags=dax rw", i);
	if (config->cmdline && *config->cmdline)
		fprintf(out, " %s", config->cmdline);
}

char *cmdline_build(const struct vm_config *config,
		    const struct vm_layout *layout, struct error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out) {
		error_set(err, ERROR_IO, errno, "command line");
		return NULL;
	}
	if (config->cmdline_only)
		fputs(config->cmdline_only, out);
	else
		print_defaults(config, layout, out);
	if (config->arg_count)
		fputs(" --", out);
	for (unsigned i = 0; i < config->arg_count; i++) {
		const char *arg = config->args[i];

		fprintf(out, *arg && !strpbrk(arg, blanks) ? " %s" : " \"%s\"",
			arg);
	}
	if (fclose(out)) {
		error_set(err, ERROR_IO, ENOMEM, "command line");
		return NULL;
	}
	return text;
}
