/* The configuration of one VM: plain data, no open files.
 *
 * Command line and JSON file fill the same struct. config_settle() then fills
 * in what the user left open, and config_check() refuses what cannot be.
 * Strings are heap copies that the struct owns. Main thread, before anything is
 * opened. All functions that can fail return -1 with err set, of class
 * ERROR_USAGE.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "arch_config.h"
#include "base/error.h"
#include "vmm/config/balloon.h"
#include "vmm/config/console.h"
#include "vmm/config/disk.h"
#include "vmm/config/kernel.h"
#include "vmm/config/machine.h"
#include "vmm/config/net.h"
#include "vmm/config/pmem.h"
#include "vmm/config/process.h"
#include "vmm/config/rng.h"
#include "vmm/config/share.h"
#include "vmm/config/vsock.h"

struct vm_config {
	/* kernel.h */
	char *kernel;
	char *initrd;
	char *cmdline;		     /* added to the default command line */
	char *cmdline_only;	     /* the whole command line */
	char *args[CONFIG_ARGS_MAX]; /* for the guest's init */
	unsigned arg_count;
	/* machine.h */
	uint64_t cpus; /* 1 to CONFIG_CPUS_MAX */
	struct config_memory memory;
	struct arch_config arch;
	/* devices */
	struct config_disk disks[CONFIG_DISKS_MAX];
	struct config_pmem pmems[CONFIG_PMEMS_MAX];
	struct config_net nets[CONFIG_NETS_MAX];
	struct config_share shares[CONFIG_SHARES_MAX];
	unsigned disk_count;
	unsigned pmem_count;
	unsigned net_count;
	unsigned share_count;
	struct config_vsock vsock;
	struct config_balloon balloon;
	struct config_console console; /* the serial port */
	struct config_console hvc;     /* the virtio console; none: no device */
	bool no_rng;
	/* process.h */
	bool no_reboot;
	char *name;
	char *pidfile;
	uint64_t stop_timeout; /* seconds */
	int log_level;	       /* enum log_level */
	bool timeline;
	bool dry_run;
};

void config_init(struct vm_config *config); /* sets the defaults */
void config_free(struct vm_config *config);

/* Fills config from the words behind `onggi run`. Options of the command line
 * win over those of a --config file wherever it stands, and later files win
 * over earlier ones. Lists and groups are replaced, not joined. Sets *help
 * instead when the user asked for help. */
int config_parse(struct vm_config *config, int argc, char **argv, bool *help,
		 struct error *err);

/* Reads one JSON object whose keys are the names of the options. */
int config_load_json(struct vm_config *config, const char *path,
		     struct error *err);
int config_parse_json(struct vm_config *config, const char *text, size_t len,
		      struct error *err);

/* Fills in what the user left open, such as names of disks, the CID and the
 * consoles. What the kernel file decides is settled later, by
 * arch_settle_config(). */
int config_settle(struct vm_config *config, struct error *err);

/* Refuses what single values cannot show. The configuration is settled. */
int config_check(const struct vm_config *config, struct error *err);

/* Prints the command line that gives this configuration, quoted for a shell. */
void config_print_command(const struct vm_config *config, FILE *out);

/* Prints the options and their keys, each with its meaning. */
void config_print_options(FILE *out);

/* Prints the bare names of the options, for shell completion. */
void config_print_names(FILE *out);
