/* The configuration of one VM: plain data, no open files.
 *
 * Command line and JSON files fill the same struct. config_settle() then fills
 * in what the user left open, and config_check() refuses what cannot work. The
 * main thread does all this before it opens anything else; afterwards the
 * configuration is constant. A char * is a heap copy that the struct owns, or
 * NULL where the user gave none. All functions that can fail return -1 with err
 * set, of class ERROR_USAGE.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "arch_config.h"
#include "base/error.h"
#include "vmm/config/fields.h"

#define CONFIG_ARGS_MAX 32 /* Linux panics at more */
#define CONFIG_CPUS_MAX 64
#define CONFIG_DISKS_MAX 8
#define CONFIG_DISK_QUEUES_MAX 16
#define CONFIG_NETS_MAX 8
#define CONFIG_NET_QUEUES_MAX 8
#define CONFIG_PUBLISH_MAX 32
#define CONFIG_PMEMS_MAX 4
#define CONFIG_SHARES_MAX 8

#define CONFIG_BW_MIN 4096 /* bytes a second */
#define CONFIG_OPS_MAX 1000000000
#define CONFIG_ADDRESS_SIZE 46 /* bytes of an IPv6 address in text */
#define CONFIG_USER_MTU 65520  /* passt's largest IP packet, in 32-bit words */

/* KVM sets up its tables for all memory in one call, which no signal
 * interrupts. Where KVM shadows page tables, the call takes seconds for each
 * TiB. KVM refuses more than 8 TiB. */
#define CONFIG_MEMORY_MAX (1ULL << 40)

/* The characters at which Linux ends a word of its command line, unless a
 * double quote is open: those of its isspace(). 0xa0 is the no-break space of
 * Latin-1. In UTF-8 it is a byte of many letters. */
#define CONFIG_CMDLINE_BLANKS " \t\n\v\f\r\xa0"

struct config_memory {
	uint64_t size;	/* bytes; 8 MiB to CONFIG_MEMORY_MAX, whole pages */
	bool hugepages; /* size is a multiple of 2 MiB then */
};

struct config_limit {
	uint64_t bw;	   /* bytes a second, from CONFIG_BW_MIN; 0: no limit */
	uint64_t ops;	   /* a second, to CONFIG_OPS_MAX; 0: no limit */
	uint64_t bw_burst; /* bytes; 0: a tenth of a second's */
	uint64_t ops_burst;
};

enum config_cache { CACHE_WRITEBACK, CACHE_UNSAFE };
enum config_engine { ENGINE_AUTO, ENGINE_THREAD };

/* Either path or vhost_user is set. */
struct config_disk {
	char *path;	  /* an image or a block device */
	char *vhost_user; /* the socket of the server that has the disk */
	bool readonly;
	bool root;
	bool direct;
	int cache;	 /* enum config_cache */
	int engine;	 /* enum config_engine */
	uint64_t queues; /* to CONFIG_DISK_QUEUES_MAX; 0: one per vCPU */
	struct config_limit limit;
	char *id;	/* the name in messages; settled as "diskN" */
	char *serial;	/* the serial number for the guest; NULL: the id */
	char *iothread; /* the name of its event loop; NULL: the VM's own */
};

/* A file as persistent memory. */
struct config_pmem {
	char *path;
	bool readonly; /* what the guest writes is lost when the VM ends */
	bool root;
};

/* A port of the host that leads into the guest. */
struct config_publish {
	bool udp;
	char address[CONFIG_ADDRESS_SIZE]; /* of the host, numeric */
	uint16_t host;
	uint16_t guest;
};

/* Exactly one of tap, user and vhost_user is set. */
struct config_net {
	char *tap;			   /* the name of the interface */
	bool vhost;			   /* the kernel serves the tap */
	bool user;			   /* passt is the back end */
	bool stream;			   /* passt on a stream socket */
	char *vhost_user;		   /* the socket of a server */
	char *publish[CONFIG_PUBLISH_MAX]; /* "[udp:][ADDRESS:]PORT:PORT" */
	unsigned publish_count;
	struct config_publish ports[CONFIG_PUBLISH_MAX]; /* settled: publish */
	struct config_mac mac;
	uint64_t mtu;	 /* 68 to 65535 bytes; 0: the guest chooses */
	uint64_t queues; /* pairs, to CONFIG_NET_QUEUES_MAX; 0: one */
	struct config_limit rx_limit; /* of what the guest receives */
	struct config_limit tx_limit; /* of what the guest sends */
	char *iothread;		      /* its event loop; NULL: the VM's own */
};

/* A folder of the host that the guest mounts as a file system. */
struct config_share {
	char *path; /* ends with ":TAG" until it is settled, if tag is NULL */
	char *tag;  /* 1 to VHOST_USER_FS_TAG_MAX bytes */
	bool readonly;
};

struct config_vsock {
	char *path;   /* of the Unix socket; NULL: there is no device */
	uint64_t cid; /* of the guest; settled as the first free one, 3 */
};

struct config_balloon {
	bool given;	/* there is a balloon */
	uint64_t size;	/* bytes that the guest does without from its start */
	uint64_t stats; /* seconds between two statistics; 0: none */
	bool no_reporting; /* the guest keeps the memory that it frees */
};

/* Exactly one is set once the configuration is settled and checked. */
struct config_console {
	bool stdio;
	bool pty;
	bool none;
	char *file;
};

struct vm_config {
	/* what the guest boots */
	char *kernel;
	char *initrd;
	char *cmdline;		     /* added to the default command line */
	char *cmdline_only;	     /* the whole command line */
	char *args[CONFIG_ARGS_MAX]; /* for the guest's init */
	unsigned arg_count;
	/* the machine */
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
	/* the process */
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
 * over earlier ones. Lists and groups are replaced, not joined. Sets *help when
 * the user asked for help, and leaves the options out then. */
int config_parse(struct vm_config *config, int argc, char **argv, bool *help,
		 struct error *err);

/* Reads one JSON object whose keys are the names of the options. */
int config_load_json(struct vm_config *config, const char *path,
		     struct error *err);
int config_parse_json(struct vm_config *config, const char *text, size_t len,
		      struct error *err);

/* Fills in what the user left open, such as names of disks, the CID and the
 * consoles. arch_settle_config() settles later what the kernel file decides. */
int config_settle(struct vm_config *config, struct error *err);

/* Refuses what single values cannot show. The configuration is settled. */
int config_check(const struct vm_config *config, struct error *err);

/* Whether a device holds the guest's root file system. */
bool config_has_root(const struct vm_config *config);

/* The name of the card in messages: its tap, its socket or "user". */
const char *config_net_name(const struct config_net *net);

/* Whether the frames must pass through onggi, even if passt could serve the
 * queues itself. */
bool config_net_needs_frames(const struct config_net *net);

/* Prints the command line that gives this configuration, quoted for a shell. */
void config_print_command(const struct vm_config *config, FILE *out);

/* Prints the options and their keys, each with its meaning. */
void config_print_options(FILE *out);

/* Prints the bare names of the options, for shell completion. */
void config_print_names(FILE *out);
