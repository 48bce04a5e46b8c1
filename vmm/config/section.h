/* Sections: the parts of a VM's configuration. Only this room includes this.
 *
 * Each kind of device is one section, in a file of its own; so are the kernel,
 * the machine and the process. A section has options, which are fields of
 * struct vm_config, and the rules about them. config.c lists all sections, and
 * everything that walks through the options uses that list. Constant data.
 */
#pragma once

#include "vmm/config/config.h"

struct config_section {
	/* The options; their base is struct vm_config. Ends with a NULL name. */
	const struct field *options;
	/* Fills in what the user left open. A second call changes nothing.
	 * NULL: there is nothing to fill in. */
	int (*settle)(struct vm_config *config, struct error *err);
	/* Refuses what a single value cannot show, once every section is
	 * settled. NULL: there are no such rules. */
	int (*check)(const struct vm_config *config, struct error *err);
};

extern const struct config_section arch_section, balloon_section,
	console_section, disk_section, kernel_section, machine_section,
	net_section, pmem_section, process_section, rng_section, share_section,
	vsock_section;

/* The option of this number, from 0, in the order of the help; NULL when there
 * are no more. */
const struct field *config_option(unsigned index);

/* The option of that name, or NULL. */
const struct field *config_find_option(const char *name);

/* An option that only the machine of another architecture has, and why. Each
 * architecture has a list of its own, which ends with a NULL name. */
struct foreign_option {
	const char *name;
	const char *why;
};

extern const struct foreign_option foreign_options[];

/* Whether the name is in that list; err then says why. */
bool config_is_foreign(const char *name, struct error *err);

/* --- rules that several kinds of device have --- */

/* The range of a key for operations. */
#define CONFIG_OPS_RANGE .min = 1, .max = CONFIG_OPS_MAX, .arg = "N"

bool config_is_limited(const struct config_limit *limit);

/* The following return -1 with err set, which names the key but not the device.
 * Keys of a limit begin with way, as in "rx-bw", and call operations by unit,
 * as in "rx-pps". */
int config_check_limit(const struct config_limit *limit, const char *way,
		       const char *unit, struct error *err);

/* The name of a device's event loop, at most 15 bytes; NULL is fine. */
int config_check_iothread(const char *name, struct error *err);

/* Parses "[udp:][ADDRESS:]PORT:PORT". The address defaults to the host's
 * loopback: who wants to let the world in says so. -1 with err set, which names
 * the text. */
int config_parse_publish(struct config_publish *publish, const char *text,
			 struct error *err);

/* The path of a vhost-user server's socket. */
int config_check_server(const char *path, struct error *err);
