#include "vmm/config/config_fields.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "devices/vsock/vsock_packet.h"
#include "vmm/config/config.h"

static const char *const log_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
	NULL,
};

static const char *const cache_names[] = {
	[CACHE_WRITEBACK] = "writeback",
	[CACHE_UNSAFE] = "unsafe",
	NULL,
};

_Static_assert(CONFIG_CPUS_MAX == 64, "as the help and the manual say");

#define AT(type, member) .offset = offsetof(struct type, member)

static const struct field memory_fields[] = {
	{ "size", FIELD_SIZE, AT(config_memory, size), .positional = true,
	  .preset = 256 << 20 },
	{ "hugepages", FIELD_FLAG, AT(config_memory, hugepages) },
	{ .name = NULL },
};

#define PART(type, member, part)                  \
	.offset = offsetof(struct type, member) + \
		  offsetof(struct config_limit, part)

#define LIMIT(type, member, bw_name, ops_name, bw_burst_name, ops_burst_name) \
	{ bw_name, FIELD_SIZE, PART(type, member, bw) },                      \
		{ ops_name, FIELD_UINT, PART(type, member, ops), .min = 1,    \
		  .max = CONFIG_OPS_MAX },                                    \
		{ bw_burst_name, FIELD_SIZE, PART(type, member, bw_burst) },  \
	{                                                                     \
		ops_burst_name, FIELD_UINT, PART(type, member, ops_burst),    \
			.min = 1, .max = CONFIG_OPS_MAX                       \
	}

static const struct field disk_fields[] = {
	{ "path", FIELD_STRING, AT(config_disk, path), .positional = true },
	/* printed in front of all others, where it is no path but a key */
	{ "vhost-user", FIELD_STRING, AT(config_disk, vhost_user) },
	{ "readonly", FIELD_FLAG, AT(config_disk, readonly) },
	{ "root", FIELD_FLAG, AT(config_disk, root) },
	{ "direct", FIELD_FLAG, AT(config_disk, direct) },
	{ "cache", FIELD_CHOICE, AT(config_disk, cache), .choices = cache_names,
	  .arg = "writeback|unsafe" },
	{ "queues", FIELD_UINT, AT(config_disk, queues), .min = 1,
	  .max = CONFIG_DISK_QUEUES_MAX },
	LIMIT(config_disk, limit, "bw", "iops", "bw-burst", "iops-burst"),
	{ "id", FIELD_STRING, AT(config_disk, id) },
	{ "serial", FIELD_STRING, AT(config_disk, serial) },
	{ "iothread", FIELD_STRING, AT(config_disk, iothread) },
	{ .name = NULL },
};

static const struct field pmem_fields[] = {
	{ "path", FIELD_STRING, AT(config_pmem, path), .positional = true },
	{ "readonly", FIELD_FLAG, AT(config_pmem, readonly) },
	{ "root", FIELD_FLAG, AT(config_pmem, root) },
	{ .name = NULL },
};

#define LIST(type, member, counter, maximum)                               \
	AT(type, member), .stride = sizeof(((struct type *)0)->member[0]), \
			  .count_offset = offsetof(struct type, counter),  \
			  .max = (maximum)

static const struct field net_fields[] = {
	{ "tap", FIELD_STRING, AT(config_net, tap) },
	{ "vhost", FIELD_FLAG, AT(config_net, vhost) },
	{ "user", FIELD_FLAG, AT(config_net, user) },
	{ "stream", FIELD_FLAG, AT(config_net, stream) },
	{ "vhost-user", FIELD_STRING, AT(config_net, vhost_user) },
	{ "publish", FIELD_STRING,
	  LIST(config_net, publish, publish_count, CONFIG_PUBLISH_MAX) },
	{ "queues", FIELD_UINT, AT(config_net, queues), .min = 1,
	  .max = CONFIG_NET_QUEUES_MAX },
	{ "mac", FIELD_MAC, AT(config_net, mac) },
	{ "mtu", FIELD_UINT, AT(config_net, mtu), .min = 68, .max = 65535 },
	LIMIT(config_net, rx_limit, "rx-bw", "rx-pps", "rx-bw-burst",
	      "rx-pps-burst"),
	LIMIT(config_net, tx_limit, "tx-bw", "tx-pps", "tx-bw-burst",
	      "tx-pps-burst"),
	{ "iothread", FIELD_STRING, AT(config_net, iothread) },
	{ .name = NULL },
};

static const struct field vsock_fields[] = {
	{ "path", FIELD_STRING, AT(config_vsock, path), .positional = true },
	{ "cid", FIELD_UINT, AT(config_vsock, cid), .min = VSOCK_GUEST_CID_MIN,
	  .max = VSOCK_GUEST_CID_MAX },
	{ .name = NULL },
};

static const struct field balloon_fields[] = {
	{ "size", FIELD_SIZE, AT(config_balloon, size) },
	{ "stats", FIELD_UINT, AT(config_balloon, stats), .min = 1,
	  .max = 86400 },
	{ "no-reporting", FIELD_FLAG, AT(config_balloon, no_reporting) },
	{ .name = NULL },
};

static const struct field share_fields[] = {
	{ "path", FIELD_STRING, AT(config_share, path), .positional = true },
	{ "tag", FIELD_STRING, AT(config_share, tag) },
	{ "readonly", FIELD_FLAG, AT(config_share, readonly) },
	{ .name = NULL },
};

static const struct field console_fields[] = {
	{ "stdio", FIELD_FLAG, AT(config_console, stdio) },
	{ "pty", FIELD_FLAG, AT(config_console, pty) },
	{ "none", FIELD_FLAG, AT(config_console, none) },
	{ "file", FIELD_STRING, AT(config_console, file) },
	{ .name = NULL },
};

const struct field config_fields[] = {
	{ "kernel", FIELD_STRING, AT(vm_config, kernel), .arg = "FILE",
	  .help = "bzImage or ELF vmlinux; without it, the first found of the "
		  "built, the installed and the host's own" },
	{ "initrd", FIELD_STRING, AT(vm_config, initrd), .arg = "FILE",
	  .help = "initial ram disk" },
	{ "cmdline", FIELD_STRING, AT(vm_config, cmdline), .arg = "STR",
	  .may_be_empty = true,
	  .help = "added to the default kernel command line" },
	{ "cmdline-only", FIELD_STRING, AT(vm_config, cmdline_only),
	  .may_be_empty = true, .arg = "STR",
	  .help = "the whole kernel command line" },
	{ "cpus", FIELD_UINT, AT(vm_config, cpus), .preset = 1, .min = 1,
	  .max = CONFIG_CPUS_MAX, .arg = "N", .help = "vCPUs, 1 to 64 (1)" },
	{ "memory", FIELD_GROUP, AT(vm_config, memory), .group = memory_fields,
	  .arg = "SIZE[,hugepages]",
	  .help = "guest memory with K, M, G or T (256M); on 2 MiB pages" },
	{ "disk", FIELD_GROUP,
	  LIST(vm_config, disks, disk_count, CONFIG_DISKS_MAX),
	  .group = disk_fields,
	  .arg = "PATH|vhost-user=SOCK[,readonly][,root][,direct][,cache=C]"
		 "[,queues=N][,bw=SIZE][,iops=N][,bw-burst=SIZE]"
		 "[,iops-burst=N][,id=S][,serial=S][,iothread=NAME]",
	  .help = "raw image or block device, or what a vhost-user server "
		  "has; repeatable; root adds root= to the command line, "
		  "direct bypasses the page cache, iothread serves it in a "
		  "thread of that name" },
	{ "pmem", FIELD_GROUP,
	  LIST(vm_config, pmems, pmem_count, CONFIG_PMEMS_MAX),
	  .group = pmem_fields, .arg = "PATH[,readonly][,root]",
	  .help = "file as persistent memory, for file systems with DAX; up "
		  "to 4" },
	{ "net", FIELD_GROUP, LIST(vm_config, nets, net_count, CONFIG_NETS_MAX),
	  .group = net_fields,
	  .arg = "tap=NAME[,vhost|,queues=N]|user[,stream][,publish=PORT:PORT]."
		 "..|"
		 "vhost-user=SOCK[,mac=M][,mtu=N][,rx-bw=SIZE][,rx-pps=N]"
		 "[,tx-bw=SIZE][,tx-pps=N][,rx-bw-burst=SIZE][,rx-pps-burst=N]"
		 "[,tx-bw-burst=SIZE][,tx-pps-burst=N][,iothread=NAME]",
	  .help = "network card on a tap, which is made if it is not there, "
		  "served here or with vhost by the kernel, or behind passt, "
		  "which needs no rights and leads ports of the host to the "
		  "guest's, or on a vhost-user server; repeatable" },
	{ "share", FIELD_GROUP,
	  LIST(vm_config, shares, share_count, CONFIG_SHARES_MAX),
	  .group = share_fields, .arg = "DIR:TAG[,readonly]",
	  .help = "folder that the guest mounts with mount -t virtiofs TAG; "
		  "repeatable" },
	{ "vsock", FIELD_GROUP, AT(vm_config, vsock), .group = vsock_fields,
	  .arg = "PATH[,cid=N]",
	  .help = "socket device, reached through the Unix socket PATH, which "
		  "is made; the guest's connections lead to PATH_<port>" },
	{ "balloon", FIELD_GROUP, AT(vm_config, balloon),
	  .group = balloon_fields, .may_be_empty = true,
	  .arg = "[size=SIZE][,stats=SECONDS][,no-reporting]",
	  .help = "memory that the guest frees goes back to the host; size is "
		  "taken from the guest, stats are logged at level info" },
	{ "console", FIELD_GROUP, AT(vm_config, console),
	  .group = console_fields, .arg = "stdio|pty|file=PATH|none",
	  .help = "where the serial port goes (stdio); Ctrl-A x quits, "
		  "Ctrl-A h lists the keys" },
	{ "hvc", FIELD_GROUP, AT(vm_config, hvc), .group = console_fields,
	  .arg = "stdio|pty|file=PATH|none",
	  .help = "where a virtio console goes, the guest's hvc0 (none); "
		  "with one, the serial port goes to /dev/null if --console "
		  "is not given" },
	{ "name", FIELD_STRING, AT(vm_config, name), .arg = "S",
	  .help = "name of the process in ps" },
	{ "no-rng", FIELD_FLAG, AT(vm_config, no_rng),
	  .help = "leave out the entropy device" },
	{ "no-reboot", FIELD_FLAG, AT(vm_config, no_reboot),
	  .help = "end when the guest reboots instead of starting it again" },
	{ "pidfile", FIELD_STRING, AT(vm_config, pidfile), .arg = "FILE",
	  .is_output = true,
	  .help = "write the process id there while the VM exists" },
	{ "stop-timeout", FIELD_UINT, AT(vm_config, stop_timeout), .preset = 10,
	  .max = 86400, .arg = "SECONDS",
	  .help = "how long SIGTERM's press of the power button may take "
		  "before the VM is ended (10)" },
	{ "log-level", FIELD_CHOICE, AT(vm_config, log_level),
	  .preset = LOG_WARN, .choices = log_names,
	  .arg = "error|warn|info|debug",
	  .help = "how much goes to stderr (warn)" },
	{ "timeline", FIELD_FLAG, AT(vm_config, timeline),
	  .help = "print when each stage of the start was reached" },
	{ "dry-run", FIELD_FLAG, AT(vm_config, dry_run),
	  .help = "print the complete command line and the memory map, start "
		  "nothing" },
#include "arch_fields.h"
	{ "args", FIELD_STRING,
	  LIST(vm_config, args, arg_count, CONFIG_ARGS_MAX),
	  .may_be_empty = true },
	{ .name = NULL },
};

const struct field *field_find(const struct field *fields, const char *name)
{
	for (; fields->name; fields++)
		if (strcmp(fields->name, name) == 0)
			return fields;
	return NULL;
}

bool field_is_foreign(const char *name, struct error *err)
{
	for (const struct foreign_option *o = foreign_options; o->name; o++) {
		if (strcmp(o->name, name) == 0) {
			error_set(err, ERROR_USAGE, 0, "%s: %s", name, o->why);
			return true;
		}
	}
	return false;
}

void *field_append(const struct field *field, void *base, struct error *err)
{
	unsigned *count = field_count(field, base);

	if (*count == field->max) {
		error_set(err, ERROR_USAGE, 0, "%s: more than %llu of them",
			  field->name, (unsigned long long)field->max);
		return NULL;
	}
	return field_at(field, base, (*count)++);
}

static int parse_number(const struct field *field, const char *text,
			uint64_t *value, struct error *err)
{
	char *end;
	unsigned shift = 0;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (field->type == FIELD_SIZE && *end) {
		static const char units[] = "KMGT";
		const char *unit = strchr(units, *end & ~0x20);

		if (unit && *unit) {
			shift = 10 * (unsigned)(unit - units + 1);
			end++;
		}
	}
	/* strtoull would take a sign and leading blanks */
	if (errno || *end || text[0] < '0' || text[0] > '9' ||
	    *value > UINT64_MAX >> shift)
		return error_set(err, ERROR_USAGE, 0, "%s: '%s' is not a %s",
				 field->name, text,
				 field->type == FIELD_SIZE ? "size such as 512M"
							   : "number");
	*value <<= shift;
	if (field->type == FIELD_UINT &&
	    (*value < field->min || *value > field->max))
		return error_set(err, ERROR_USAGE, 0,
				 "%s: %s is outside %llu to %llu", field->name,
				 text, (unsigned long long)field->min,
				 (unsigned long long)field->max);
	return 0;
}

static int parse_mac(const struct field *field, const char *text,
		     struct config_mac *mac, struct error *err)
{
	const char *at = text;

	for (int i = 0; i < 6; i++) {
		char *end;
		unsigned long byte = strtoul(at, &end, 16);

		/* two digits each, with colons between and nothing behind */
		if (!isxdigit(at[0]) || end != at + 2 ||
		    *end != (i < 5 ? ':' : '\0'))
			return error_set(err, ERROR_USAGE, 0,
					 "%s: '%s' is not like "
					 "02:00:00:00:00:01",
					 field->name, text);
		mac->bytes[i] = (uint8_t)byte;
		at = end + 1;
	}
	if (mac->bytes[0] & 1)
		return error_set(err, ERROR_USAGE, 0,
				 "%s: %s is a multicast address", field->name,
				 text);
	mac->set = true;
	return 0;
}

static int parse_choice(const struct field *field, const char *text, int *value,
			struct error *err)
{
	for (int i = 0; field->choices[i]; i++) {
		if (strcmp(field->choices[i], text) == 0) {
			*value = i;
			return 0;
		}
	}
	return error_set(err, ERROR_USAGE, 0, "%s: '%s' is not one of %s",
			 field->name, text, field->arg);
}

/* Cuts the next comma-separated piece off *rest, in place; ",," becomes a
 * literal comma. */
static char *next_piece(char **rest)
{
	char *piece = *rest, *from = *rest, *to = *rest;

	if (!piece)
		return NULL;
	*rest = NULL;
	while (*from) {
		if (from[0] == ',' && from[1] == ',') {
			from++;
		} else if (*from == ',') {
			*rest = from + 1;
			break;
		}
		*to++ = *from++;
	}
	*to = '\0';
	return piece;
}

/* "vhost-user=SOCK" in front is no path; a file of such a name has another:
 * "./vhost-user=SOCK", or "path=vhost-user=SOCK". */
static bool names_field(const struct field *group, const char *text)
{
	const size_t len = strcspn(text, "=");

	if (!text[len])
		return false;
	for (; group->name; group++)
		if (strlen(group->name) == len &&
		    strncmp(group->name, text, len) == 0)
			return true;
	return false;
}

static int parse_piece(const struct field *group, void *at, char *piece,
		       bool first, struct error *err)
{
	const struct field *field;
	char *value;
	void *to;

	if (first && group->positional && !names_field(group, piece))
		return field_parse(group, field_at(group, at, 0), piece, err);
	value = strchr(piece, '=');
	if (value)
		*value++ = '\0';
	field = field_find(group, piece);
	if (!field)
		return error_set(err, ERROR_USAGE, 0, "unknown key '%s'",
				 piece);
	if (!value && field->type != FIELD_FLAG)
		return error_set(err, ERROR_USAGE, 0,
				 "%s needs a value: %s=", piece, piece);
	to = field->stride ? field_append(field, at, err)
			   : field_at(field, at, 0);
	return to ? field_parse(field, to, value, err) : -1;
}

void field_set_given(const struct field *field, void *at)
{
	if (field_may_stand_alone(field))
		*(bool *)at = true;
}

static int parse_group(const struct field *field, void *at, const char *text,
		       struct error *err)
{
	autofree char *copy = strdup(text);
	char *rest = copy, *piece;
	bool first = true;

	if (!copy)
		return error_set(err, ERROR_USAGE, ENOMEM, "%s", field->name);
	field_set_given(field, at);
	if (!*text && field_may_stand_alone(field))
		return 0;
	while ((piece = next_piece(&rest))) {
		if (parse_piece(field->group, at, piece, first, err))
			return error_wrap(err, "%s", field->name);
		first = false;
	}
	return 0;
}

static int parse_flag(const struct field *field, const char *text, bool *value,
		      struct error *err)
{
	if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return error_set(err, ERROR_USAGE, 0,
				 "%s: '%s' is neither true nor false",
				 field->name, text);
	*value = !text || text[0] == 't';
	return 0;
}

int field_parse(const struct field *field, void *at, const char *text,
		struct error *err)
{
	switch (field->type) {
	case FIELD_STRING:
		if (!*text && !field->may_be_empty)
			return error_set(err, ERROR_USAGE, 0, "%s: is empty",
					 field->name);
		free(*(char **)at);
		*(char **)at = strdup(text);
		if (!*(char **)at)
			return error_set(err, ERROR_USAGE, ENOMEM, "%s",
					 field->name);
		return 0;
	case FIELD_FLAG:
		return parse_flag(field, text, at, err);
	case FIELD_UINT:
	case FIELD_SIZE:
		return parse_number(field, text, at, err);
	case FIELD_MAC:
		return parse_mac(field, text, at, err);
	case FIELD_CHOICE:
		return parse_choice(field, text, at, err);
	case FIELD_GROUP:
		return parse_group(field, at, text, err);
	}
	return -1;
}

void field_clear(const struct field *field, void *at)
{
	switch (field->type) {
	case FIELD_STRING:
		free(*(char **)at);
		*(char **)at = NULL;
		break;
	case FIELD_FLAG:
		*(bool *)at = false;
		break;
	case FIELD_UINT:
	case FIELD_SIZE:
		*(uint64_t *)at = field->preset;
		break;
	case FIELD_MAC:
		*(struct config_mac *)at = (struct config_mac){ 0 };
		break;
	case FIELD_CHOICE:
		*(int *)at = (int)field->preset;
		break;
	case FIELD_GROUP:
		if (field_may_stand_alone(field))
			*(bool *)at = false;
		for (const struct field *f = field->group; f->name; f++) {
			if (f->stride)
				field_clear_list(f, at);
			else
				field_clear(f, field_at(f, at, 0));
		}
		break;
	}
}

void field_clear_list(const struct field *field, void *base)
{
	unsigned *count = field_count(field, base);

	while (*count)
		field_clear(field, field_at(field, base, --*count));
}

/* "NAME=VALUE" with commas doubled, behind *comma; nothing for an unset one. */
static void print_member(const struct field *group, const struct field *field,
			 const void *at, const char **comma, FILE *out)
{
	autofree char *text = NULL;
	size_t len = 0;
	FILE *mem = open_memstream(&text, &len);
	bool set;

	if (!mem)
		return;
	/* a choice that nobody made goes without saying */
	set = field_print(field, at, mem) &&
	      (field->type != FIELD_CHOICE ||
	       *(const int *)at != (int)field->preset);
	fclose(mem);
	if (!set)
		return;
	fputs(*comma, out);
	if (field->type == FIELD_FLAG)
		fputs(field->name, out);
	else if (!field->positional || names_field(group, text))
		fprintf(out, "%s=", field->name);
	for (const char *c = text; *c; c++)
		fputs(*c == ',' ? ",," : (char[]){ *c, 0 }, out);
	*comma = ",";
}

static bool print_group(const struct field *group, const void *at, FILE *out)
{
	const char *comma = "";

	for (const struct field *f = group; f->name; f++) {
		const char *value = (const char *)at + f->offset;
		unsigned count = f->stride ? field_length(f, at) : 1;

		for (unsigned i = 0; i < count; i++)
			print_member(group, f, value + i * f->stride, &comma,
				     out);
	}
	return *comma;
}

bool field_print(const struct field *field, const void *at, FILE *out)
{
	const struct config_mac *mac = at;
	const char *string;
	uint64_t number;

	switch (field->type) {
	case FIELD_STRING:
		string = *(char *const *)at;
		if (string)
			fputs(string, out);
		return string;
	case FIELD_FLAG:
		return *(const bool *)at;
	case FIELD_UINT:
		number = *(const uint64_t *)at;
		fprintf(out, "%llu", (unsigned long long)number);
		return number || !field->min;
	case FIELD_SIZE:
		number = *(const uint64_t *)at;
		if (number % (1 << 20) == 0)
			fprintf(out, "%lluM", (unsigned long long)number >> 20);
		else if (number % (1 << 10) == 0)
			fprintf(out, "%lluK", (unsigned long long)number >> 10);
		else
			fprintf(out, "%llu", (unsigned long long)number);
		return number || field->preset;
	case FIELD_MAC:
		if (mac->set)
			fprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x",
				mac->bytes[0], mac->bytes[1], mac->bytes[2],
				mac->bytes[3], mac->bytes[4], mac->bytes[5]);
		return mac->set;
	case FIELD_CHOICE:
		fputs(field->choices[*(const int *)at], out);
		return true;
	case FIELD_GROUP:
		if (field_may_stand_alone(field) && !*(const bool *)at)
			return false;
		return print_group(field->group, at, out) ||
		       field_may_stand_alone(field);
	}
	return false;
}
