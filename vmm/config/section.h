/* Sections: the parts of a VM's configuration.
 *
 * Each kind of device is one section, in a file of its own; so are the kernel,
 * the machine and the process. A section has the options (fields of struct
 * vm_config) and the rules about them. config.c lists all sections, and
 * everything that goes through the options does so by that list. Constant data.
 */
#pragma once

#include "base/error.h"
#include "vmm/config/fields.h"

struct vm_config;

struct config_section {
	/* The options; their base is struct vm_config. Ends with a NULL name. */
	const struct field *options;
	/* Fills in what the user left open. Does nothing when it is called
	 * again. NULL: there is nothing to fill in. */
	int (*settle)(struct vm_config *config, struct error *err);
	/* Refuses what a single value cannot show, once every section is
	 * settled. NULL: there are no such rules. */
	int (*check)(const struct vm_config *config, struct error *err);
};

/* The option at this place of the list of all, or NULL behind the last. */
const struct field *config_option(unsigned index);

/* The option of that name, or NULL. */
const struct field *config_find_option(const char *name);

/* An option that onggi has for another architecture's machine, and why not for
 * this one's. Each architecture has its own list, which ends with a NULL
 * name. */
struct foreign_option {
	const char *name;
	const char *why;
};

extern const struct foreign_option foreign_options[];

/* Whether the name is in that list; err then says why. */
bool config_is_foreign(const char *name, struct error *err);
