/* onggi run: from the command line to the exit status. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/kernel_search.h"
#include "vmm/config/config.h"
#include "vmm/machine/arch.h"
#include "vmm/machine/cmdline.h"
#include "vmm/machine/resources.h"
#include "vmm/machine/vm.h"

static void print_help(void)
{
	puts("usage: onggi run [OPTIONS] [-- INIT-ARGS]\n\n"
	     "Boots a guest and ends with its exit status. INIT-ARGS go to "
	     "the guest's init.\nDefaults are in parentheses; onggi(1), the "
	     "manual, explains everything.\n");
	config_print_options(stdout);
	puts("\nexit status: that of the guest's command, or 0, when the guest "
	     "powered off;\n64 usage error, 65 bad image, 69 KVM missing or "
	     "unfit, 70 KVM internal error,\n74 host I/O failure, 80 guest "
	     "panic, 81 triple fault, 128 + N ended by signal N");
}

static int print_dry_run(const struct vm_config *config,
			 const struct vm_layout *layout, struct error *err)
{
	autofree char *cmdline = cmdline_build(config, layout, err);

	if (!cmdline)
		return -1;
	config_print_command(config, stdout);
	printf("\nkernel command line:\n%s\n\nmemory map:\n", cmdline);
	layout_print(config, layout, stdout);
	return 0;
}

/* Boots the guest, and boots it again as long as it asks for that. Returns the
 * exit status, or -1 with err set. */
static int run_vm(struct resources *resources, struct error *err)
{
	autofree struct vm *vm = malloc(sizeof(*vm));
	const struct stop_cause *cause;

	if (!vm)
		return error_io(err, "out of memory");
	do {
		if (vm_create(vm, vm_stages, resources, err))
			return -1;
		vm_run(vm);
		vm_destroy(vm);
	} while (vm_boots_again(vm));
	timeline_mark(resources->timeline, TIMELINE_EXIT);
	cause = &vm->stop.cause;
	if (cause->reason == STOP_ERROR)
		return error_set(err, cause->exit_code, 0, "%s", cause->text);
	return cause->exit_code;
}

static int run(int argc, char **argv, struct vm_config *config,
	       struct timeline *timeline, struct error *err)
{
	struct vm_layout layout;
	struct resources resources;
	bool help;
	int status;

	if (config_parse(config, argc, argv, &help, err))
		return -1;
	if (help) {
		print_help();
		return 0;
	}
	if (config_settle(config, err) || config_check(config, err) ||
	    arch_layout(config, &layout, err))
		return -1;
	log_set_level((enum log_level)config->log_level);
	/* from here on a signal must not leave anything behind */
	signals_block();
	if (kernel_search(config, err))
		return -1;
	arch_settle_config(config);
	if (config->dry_run)
		return print_dry_run(config, &layout, err);
	if (config->name)
		prctl(PR_SET_NAME, config->name);
	if (resources_open(&resources, config, &layout, timeline, err))
		return -1;
	status = run_vm(&resources, err);
	resources_close(&resources);
	if (config->timeline)
		timeline_print(timeline, stderr);
	return status;
}

int command_run(int argc, char **argv)
{
	struct timeline timeline = { 0 };
	struct vm_config config;
	struct error err;
	int status;

	timeline_start(&timeline);
	config_init(&config);
	status = run(argc, argv, &config, &timeline, &err);
	if (status < 0) {
		log_error("%s", err.text);
		status = (int)err.class;
	}
	config_free(&config);
	return status;
}
