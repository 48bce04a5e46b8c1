/* The list of all sections, and what goes through it. */
#include "vmm/config/section.h"

#include <string.h>

#include "base/cleanup.h"

/* Help and the printed command have the options in this order. */
static const struct config_section *const sections[] = {
	&kernel_section,  &machine_section, &disk_section,    &pmem_section,
	&net_section,	  &share_section,   &vsock_section,   &balloon_section,
	&console_section, &rng_section,	    &process_section, &arch_section,
};

const struct field *config_option(unsigned index)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sections); i++)
		for (const struct field *f = sections[i]->options; f->name; f++)
			if (index-- == 0)
				return f;
	return NULL;
}

const struct field *config_find_option(const char *name)
{
	const struct field *found = NULL;

	for (unsigned i = 0; i < ARRAY_SIZE(sections) && !found; i++)
		found = field_find(sections[i]->options, name);
	return found;
}

bool config_is_foreign(const char *name, struct error *err)
{
	for (const struct foreign_option *o = foreign_options; o->name; o++) {
		if (strcmp(o->name, name) == 0) {
			error_usage(err, "%s: %s", name, o->why);
			return true;
		}
	}
	return false;
}

void config_init(struct vm_config *config)
{
	*config = (struct vm_config){ 0 };
	config_free(config); /* sets the defaults that are not 0 */
}

void config_free(struct vm_config *config)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sections); i++)
		field_clear_all(sections[i]->options, config);
}

int config_settle(struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sections); i++)
		if (sections[i]->settle && sections[i]->settle(config, err))
			return -1;
	return 0;
}

int config_check(const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < ARRAY_SIZE(sections); i++)
		if (sections[i]->check && sections[i]->check(config, err))
			return -1;
	return 0;
}
