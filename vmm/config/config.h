/* The configuration of one VM: plain data, no open files.
 *
 * Command line and JSON file fill the same struct through the one table of
 * fields in config_fields.c; config_validate() then holds all rules that go
 * beyond a single value. Strings are heap copies owned by the struct. Main
 * thread, before anything is opened.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "arch_config.h"
#include "base/error.h"

#define CONFIG_CPUS_MAX 64
#define CONFIG_DISKS_MAX 8
#define CONFIG_DISK_QUEUES_MAX 16
#define CONFIG_OPS_MAX 1000000000
#define CONFIG_BW_MIN 4096
#define CONFIG_PMEMS_MAX 4
#define CONFIG_NETS_MAX 8
#define CONFIG_SHARES_MAX 8
#define CONFIG_NET_QUEUES_MAX 8
#define CONFIG_PUBLISH_MAX 32
#define CONFIG_USER_MTU 65520 /* an IP packet of passt's, in 32-bit words */
#define CONFIG_ARGS_MAX 32    /* Linux panics at more */
/* KVM prepares its tables for all of it at once, deaf to signals: seconds per
 * TiB where it shadows page tables. More than 8 TiB it does not take at all. */
#define CONFIG_MEMORY_MAX (1ULL << 40)

struct config_memory {
	uint64_t size; /* bytes */
	bool hugepages;
};

struct config_limit {
	uint64_t bw;	   /* bytes a second; 0: no limit */
	uint64_t ops;	   /* a second */
	uint64_t bw_burst; /* 0: a tenth of a second's */
	uint64_t ops_burst;
};

enum config_cache { CACHE_WRITEBACK, CACHE_UNSAFE };

/* One of path and vhost_user is set. */
struct config_disk {
	char *path;
	char *vhost_user; /* the socket of a server that has the disk */
	bool readonly;
	bool root;
	bool direct;
	char *id;	 /* name in messages; "diskN" when not given */
	int cache;	 /* enum config_cache */
	uint64_t queues; /* 0: one per vCPU */
	struct config_limit limit;
	char *serial;	/* what the guest reads as the serial number */
	char *iothread; /* name of its event loop; NULL: the VM's own */
};

struct config_pmem {
	char *path;
	bool readonly; /* the guest's writes are its own, until it ends */
	bool root;
};

struct config_mac {
	bool set;
	uint8_t bytes[6];
};

/* Exactly one of tap, user and vhost_user is set. */
struct config_net {
	char *tap;
	bool vhost;			   /* the kernel serves the tap */
	bool user;			   /* behind passt */
	bool stream;			   /* over a stream socket */
	char *vhost_user;		   /* the socket of a server */
	char *publish[CONFIG_PUBLISH_MAX]; /* publish.h */
	unsigned publish_count;
	struct config_mac mac;
	uint64_t mtu;		      /* bytes; 0: left to the guest */
	uint64_t queues;	      /* pairs of them; 0: one */
	struct config_limit rx_limit; /* what the guest gets, in frames */
	struct config_limit tx_limit;
	char *iothread;
};

/* What messages call it. */
static inline const char *config_net_name(const struct config_net *net)
{
	if (net->user)
		return "user";
	return net->tap ? net->tap : net->vhost_user ? net->vhost_user : "";
}

struct config_vsock {
	char *path;   /* of the Unix socket; NULL: no device */
	uint64_t cid; /* of the guest; 3 when not given */
};

struct config_balloon {
	bool given;	   /* there is a balloon */
	uint64_t size;	   /* bytes that it is to hold from the start */
	uint64_t stats;	   /* seconds from one to the next; 0: none */
	bool no_reporting; /* what the guest frees stays with it */
};

/* A folder of the host's, as a file system of the guest's. */
struct config_share {
	char *path; /* with ":TAG" at its end, until validation takes it off */
	char *tag;
	bool readonly;
};

/* Exactly one is set, once the rules have been looked at. */
struct config_console {
	bool stdio;
	bool pty;
	bool none;
	char *file;
};

struct vm_config {
	char *name;
	char *kernel;
	char *initrd;
	char *cmdline;
	char *cmdline_only;
	uint64_t cpus;
	struct config_memory memory;
	struct config_disk disks[CONFIG_DISKS_MAX];
	unsigned disk_count;
	struct config_pmem pmems[CONFIG_PMEMS_MAX];
	unsigned pmem_count;
	struct config_net nets[CONFIG_NETS_MAX];
	struct config_share shares[CONFIG_SHARES_MAX];
	unsigned net_count;
	unsigned share_count;
	struct config_vsock vsock;
	struct config_balloon balloon;
	struct config_console console; /* the serial port */
	struct config_console hvc;     /* the virtio console; none: no device */
	struct arch_config arch;
	bool no_rng;
	bool no_reboot;
	char *pidfile;
	int log_level;	       /* enum log_level */
	uint64_t stop_timeout; /* seconds */
	bool timeline;
	bool dry_run;
	char *args[CONFIG_ARGS_MAX]; /* for the guest's init */
	unsigned arg_count;
};

void config_init(struct vm_config *config); /* the defaults */
void config_free(struct vm_config *config);

/* Fills config from the words behind `onggi run`. Options of the command line
 * win over those of a --config file wherever it stands, and later files over
 * earlier ones. Lists and groups are replaced, not joined. Sets *help instead
 * when help was asked for. */
int config_parse(struct vm_config *config, int argc, char **argv, bool *help,
		 struct error *err);

/* Reads one JSON object with the options' names as keys. */
int config_load_json(struct vm_config *config, const char *path,
		     struct error *err);
int config_parse_json(struct vm_config *config, const char *text, size_t len,
		      struct error *err);

/* Checks what single values cannot show, and fills in what was left open: the
 * consoles, disk names, the CID. */
int config_validate(struct vm_config *config, struct error *err);

/* Whether the card's frames must come by here, even if another process could
 * serve its queues. */
bool config_net_needs_frames(const struct config_net *net);

/* The command line that gives this configuration, quoted for a shell. */
void config_print_command(const struct vm_config *config, FILE *out);

/* The options, one per line with their meaning; or for shell completion, the
 * bare names. */
void config_print_options(FILE *out);
void config_print_names(FILE *out);
