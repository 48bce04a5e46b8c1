#include "vmm/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/arch.h"

/* Nothing but a panic on the console, which is slow: every byte is an exit.
 * ONGGI=1 ends up in init's environment: there is an exit code register. */
static void print_defaults(const struct vm_config *config,
			   const struct vm_layout *layout, FILE *out)
{
	fputs("quiet loglevel=3 ", out);
	arch_print_cmdline(config, layout, out);
	fputs(" ONGGI=1", out);
	for (unsigned i = 0; i < config->disk_count; i++)
		if (config->disks[i].root)
			fprintf(out, " root=/dev/vd%c %s", 'a' + (int)i,
				config->disks[i].readonly ? "ro" : "rw");
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

		fprintf(out, strpbrk(arg, " \t") ? " \"%s\"" : " %s", arg);
	}
	if (fclose(out)) {
		error_set(err, ERROR_IO, ENOMEM, "command line");
		return NULL;
	}
	return text;
}
