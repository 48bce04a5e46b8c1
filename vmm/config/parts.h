/* Parts that several kinds of device have: limits, a thread of their own, and
 * the socket of a vhost-user server.
 *
 * The checks return -1 with err set, which names the key but not the device.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/config/fields.h"

#define CONFIG_BW_MIN 4096 /* bytes a second */
#define CONFIG_OPS_MAX 1000000000

struct config_limit {
	uint64_t bw;	   /* bytes a second, from CONFIG_BW_MIN; 0: no limit */
	uint64_t ops;	   /* a second, to CONFIG_OPS_MAX; 0: no limit */
	uint64_t bw_burst; /* bytes; 0: a tenth of a second's */
	uint64_t ops_burst;
};

/* The range of a key for operations. */
#define CONFIG_OPS_RANGE .min = 1, .max = CONFIG_OPS_MAX, .arg = "N"

bool config_is_limited(const struct config_limit *limit);

/* In messages the keys' names begin with way, as in "rx-bw", and unit stands
 * for operations, as in "rx-pps". */
int config_check_limit(const struct config_limit *limit, const char *way,
		       const char *unit, struct error *err);

/* The name of a device's event loop, at most 15 bytes; NULL is fine. */
int config_check_iothread(const char *name, struct error *err);

/* The path of a vhost-user server's socket. */
int config_check_server(const char *path, struct error *err);
