#include "vmm/machine/cmdline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/machine/arch.h"

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

		fprintf(out,
			*arg && !strpbrk(arg, CONFIG_CMDLINE_BLANKS)
				? " %s"
				: " \"%s\"",
			arg);
	}
	if (fclose(out)) {
		error_set(err, ERROR_IO, ENOMEM, "command line");
		return NULL;
	}
	return text;
}
