/* A port of the host that leads into the guest: the value of --net user's
 * publish=, "[udp:][ADDRESS:]PORT:PORT", the second port the guest's. Plain
 * data.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct publish {
	bool udp;
	/* numeric, of the host; its loopback where none was given, since who
	 * wants the world to come in says so */
	char address[INET6_ADDRSTRLEN];
	uint16_t host;
	uint16_t guest;
};

/* -1 with err set, which names the text. */
int publish_parse(struct publish *publish, const char *text, struct error *err);
