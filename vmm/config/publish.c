/* Ports of the host that lead into the guest: --net user,publish=. */
#include <assert.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/config/section.h"

static_assert(CONFIG_ADDRESS_SIZE == INET6_ADDRSTRLEN, "as inet_ntop() says");

static bool take_prefix(char **text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*text, prefix, len) != 0)
		return false;
	*text += len;
	return true;
}

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	/* strtoul() accepts a sign and leading blanks. */
	if (*end || text[0] < '0' || text[0] > '9' || !value || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

/* Cuts ":PORT" off the end of *text. A text without a colon is all port; *text
 * is NULL afterwards. */
static bool cut_port(char **text, uint16_t *port)
{
	char *colon = *text ? strrchr(*text, ':') : NULL;
	char *digits = colon ? colon + 1 : *text;

	if (!digits || !parse_port(digits, port))
		return false;
	if (colon)
		*colon = '\0';
	else
		*text = NULL;
	return true;
}

static bool parse_address(char *text, char address[static CONFIG_ADDRESS_SIZE])
{
	size_t len = strlen(text);
	struct in6_addr binary;
	int family = AF_INET;

	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		text[len - 1] = '\0';
		text++;
		family = AF_INET6;
	}
	return inet_pton(family, text, &binary) == 1 &&
	       inet_ntop(family, &binary, address, CONFIG_ADDRESS_SIZE);
}

int config_parse_publish(struct config_publish *publish, const char *text,
			 struct error *err)
{
	autofree char *copy = strdup(text);
	char *rest = copy;
	bool valid;

	if (!copy)
		return error_usage(err, "out of memory");
	*publish = (struct config_publish){ .address = "127.0.0.1" };
	publish->udp = take_prefix(&rest, "udp:");
	valid = cut_port(&rest, &publish->guest) &&
		cut_port(&rest, &publish->host) &&
		(!rest || parse_address(rest, publish->address));
	if (valid)
		return 0;
	return error_usage(err,
			   "publish: '%s' does not have a form such as "
			   "8080:80, 0.0.0.0:8080:80 or udp:5353:53",
			   text);
}
