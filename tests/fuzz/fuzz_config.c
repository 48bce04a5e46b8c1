/* Takes any bytes for a configuration file. What is accepted is settled,
 * checked and printed as a command line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct vm_config *config)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		abort();
	config_print_command(config, out);
	fclose(out);
	if (!len)
		abort();
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_config config;
	struct error err;

	config_init(&config);
	if (config_parse_json(&config, (const char *)data, size, &err) == 0 &&
	    config_settle(&config, &err) == 0 &&
	    config_check(&config, &err) == 0)
		print(&config);
	config_free(&config);
	return 0;
}
