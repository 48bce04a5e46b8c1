#include "vmm/machine/cmdline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/machine/arch.h"

/* Linux reports free memory in blocks of 2 MiB, and never the last 32 of them,
 * which is all that a small guest has free. A guest with less memory than this,
 * in bytes, reports blocks of 128 KiB, for which the host splits huge pages. */
#define SMALL_GUEST (1ULL << 30)

/* The kernel prints nothing but a panic, because each byte on the console is an
 * exit. It does not test its ciphers, unless fips=1 says so: the tests take
 * half of the boot of a distribution's kernel. ONGGI=1 ends up in init's
 * environment and tells it that there is an exit code register. */
static void print_defaults(const struct vm_config *config,
			   const struct vm_layout *layout, FILE *out)
{
	const struct config_balloon *balloon = &config->balloon;

	fputs("quiet loglevel=3 cryptomgr.notests ", out);
	arch_print_cmdline(config, layout, out);
	/* Linux takes the last console= for /dev/console */
	if (!config->hvc.none)
		fputs(" console=hvc0", out);
	if (balloon->given && !balloon->no_reporting &&
	    config->memory.size < SMALL_GUEST)
		fputs(" page_reporting.page_reporting_order=5", out);
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
