#include "vmm/config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "devices/net/net_tap.h"
#include "devices/vhost_user_fs.h"
#include "devices/vsock/vsock_packet.h"
#include "devices/vsock/vsock_socket.h"
#include "vmm/config/config_fields.h"
#include "vmm/config/publish.h"
#include "vmm/machine/cmdline.h"

#define MIB (1ULL << 20)
#define MEMORY_MIN (8 * MIB)
#define HUGE_PAGE (2 * MIB)
#define BALLOON_PAGE 4096 /* virtio 1.2, 5.5.6: whatever the guest's pages */

void config_init(struct vm_config *config)
{
	*config = (struct vm_config){ 0 };
	config_free(config); /* which sets what is not 0 by default */
}

void config_free(struct vm_config *config)
{
	for (const struct field *f = config_fields; f->name; f++) {
		if (f->stride)
			field_clear_list(f, config);
		else
			field_clear(f, field_at(f, config, 0));
	}
}

/* --- command line --- */

/* One option of argv: "--name value", "--name=value" or "--flag". */
struct option {
	const struct field *field; /* NULL: --config or --help */
	bool help;
	const char *value;
};

/* Reads the option at argv[*index] and moves past it. */
static int next_option(int argc, char **argv, int *index, struct option *option,
		       struct error *err)
{
	const char *given = argv[(*index)++];
	const char *word = strcmp(given, "-h") == 0 ? "--help" : given;
	char name[32];
	size_t len = strcspn(word, "=");
	bool needs_value;

	if (strncmp(word, "--", 2) != 0 || len < 3 || len >= sizeof(name))
		return error_set(err, ERROR_USAGE, 0,
				 "unexpected '%s' (see 'onggi run --help')",
				 word);
	memcpy(name, word + 2, len - 2);
	name[len - 2] = '\0';
	option->value = word[len] ? word + len + 1 : NULL;
	option->field = field_find(config_fields, name);
	if (option->field && !option->field->help)
		option->field = NULL; /* JSON only */
	option->help = strcmp(name, "help") == 0;
	if (option->help && option->value)
		return error_set(err, ERROR_USAGE, 0, "--help takes no value");
	if (option->help)
		return 0;
	if (!option->field && field_is_foreign(name, err))
		return -1;
	if (!option->field && strcmp(name, "config") != 0)
		return error_set(err, ERROR_USAGE, 0,
				 "unknown option --%s (see 'onggi run --help')",
				 name);
	needs_value = !option->field || option->field->type != FIELD_FLAG;
	if (needs_value && !option->value) {
		/* no value starts with a dash */
		if (option->field && field_may_stand_alone(option->field) &&
		    (*index == argc || argv[*index][0] == '-')) {
			option->value = "";
			return 0;
		}
		if (*index == argc)
			return error_set(err, ERROR_USAGE, 0,
					 "--%s needs a value", name);
		option->value = argv[(*index)++];
	}
	return 0;
}

/* --config files come first wherever they stand, so that flags win. */
static int load_config_files(struct vm_config *config, int argc, char **argv,
			     bool *help, struct error *err)
{
	struct option option = { 0 };
	int i = 0;

	while (i < argc && strcmp(argv[i], "--") != 0) {
		if (next_option(argc, argv, &i, &option, err))
			return -1;
		if (option.help)
			*help = true;
		else if (!option.field &&
			 config_load_json(config, option.value, err))
			return -1;
	}
	return 0;
}

static int add_args(struct vm_config *config, int argc, char **argv,
		    struct error *err)
{
	const struct field *args = field_find(config_fields, "args");

	field_clear_list(args, config);
	for (int i = 0; i < argc; i++) {
		void *at = field_append(args, config, err);

		if (!at || field_parse(args, at, argv[i], err))
			return -1;
	}
	return 0;
}

static int apply_option(struct vm_config *config, const struct option *option,
			uint64_t *seen, struct error *err)
{
	const struct field *field = option->field;
	uint64_t bit = 1ULL << (field - config_fields);
	void *at = field_at(field, config, 0);

	if (field->stride) {
		/* the first on the command line drops the file's list */
		if (!(*seen & bit))
			field_clear_list(field, config);
		at = field_append(field, config, err);
		if (!at)
			return -1;
	} else if (field->type == FIELD_GROUP) {
		field_clear(field, at);
	}
	*seen |= bit;
	return field_parse(field, at, option->value, err);
}

static int apply_options(struct vm_config *config, int argc, char **argv,
			 struct error *err)
{
	struct option option = { 0 };
	uint64_t seen = 0;
	int i = 0;

	while (i < argc) {
		if (strcmp(argv[i], "--") == 0)
			return add_args(config, argc - i - 1, argv + i + 1,
					err);
		if (next_option(argc, argv, &i, &option, err))
			return -1;
		if (option.field && apply_option(config, &option, &seen, err))
			return -1;
	}
	return 0;
}

/* Such as --config vm.json --console file=vm.json. */
static int refuse_config_file(const char *path, const char *name,
			      const char *output, struct error *err)
{
	struct stat file, out;

	if (!output || stat(path, &file) || stat(output, &out) ||
	    !S_ISREG(file.st_mode) || file.st_dev != out.st_dev ||
	    file.st_ino != out.st_ino)
		return 0;
	return error_set(err, ERROR_USAGE, 0,
			 "%s: %s is a configuration file of this VM", name,
			 output);
}

static int check_outputs_against(struct vm_config *config, const char *path,
				 struct error *err)
{
	if (refuse_config_file(path, "console", config->console.file, err) ||
	    refuse_config_file(path, "hvc", config->hvc.file, err))
		return -1;
	for (const struct field *f = config_fields; f->name; f++)
		if (f->is_output &&
		    refuse_config_file(path, f->name,
				       *(char **)field_at(f, config, 0), err))
			return -1;
	return 0;
}

/* No output goes into what was read; resources.c sees to the other files. */
static int check_outputs(struct vm_config *config, int argc, char **argv,
			 struct error *err)
{
	struct option option = { 0 };
	int i = 0;

	while (i < argc && strcmp(argv[i], "--") != 0) {
		if (next_option(argc, argv, &i, &option, err))
			return -1;
		if (!option.field && option.value &&
		    check_outputs_against(config, option.value, err))
			return -1;
	}
	return 0;
}

int config_parse(struct vm_config *config, int argc, char **argv, bool *help,
		 struct error *err)
{
	*help = false;
	if (load_config_files(config, argc, argv, help, err) || *help)
		return *help ? 0 : -1;
	if (apply_options(config, argc, argv, err))
		return -1;
	return check_outputs(config, argc, argv, err);
}

/* --- rules --- */

static int validate_memory(const struct config_memory *memory,
			   struct error *err)
{
	unsigned long long size = memory->size;
	unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);

	/* a number without its unit is in bytes, and hardly meant so */
	if (size > 0 && size <= 32768)
		return error_set(err, ERROR_USAGE, 0,
				 "memory: %llu bytes is less than 8 MiB "
				 "(%lluM?)",
				 size, size);
	if (size < MEMORY_MIN)
		return error_set(err, ERROR_USAGE, 0,
				 "memory: %llu KiB is less than 8 MiB",
				 size >> 10);
	if (size > CONFIG_MEMORY_MAX)
		return error_set(err, ERROR_USAGE, 0,
				 "memory: %llu GiB is more than %llu GiB",
				 size >> 30, CONFIG_MEMORY_MAX >> 30);
	if (memory->size % page)
		return error_set(err, ERROR_USAGE, 0,
				 "memory: not a multiple of %lu KiB, this "
				 "host's page",
				 page >> 10);
	if (memory->hugepages && memory->size % HUGE_PAGE)
		return error_set(err, ERROR_USAGE, 0,
				 "memory: hugepages need a multiple of 2 MiB");
	return 0;
}

static bool same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

static int validate_socket(const char *path, struct error *err)
{
	if (strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path))
		return 0;
	return error_set(err, ERROR_USAGE, 0,
			 "vhost-user: a socket's path has at most 107 bytes");
}

static bool is_limited(const struct config_limit *limit)
{
	return limit->bw || limit->ops || limit->bw_burst || limit->ops_burst;
}

static int validate_server_disk(const struct config_disk *disk,
				struct error *err)
{
	if (disk->path || disk->readonly || disk->direct || disk->cache ||
	    disk->queues || is_limited(&disk->limit) || disk->serial ||
	    disk->iothread)
		return error_set(
			err, ERROR_USAGE, 0,
			"disk: vhost-user goes with root and id alone: "
			"what else there is, its server knows");
	return validate_socket(disk->vhost_user, err) ? error_wrap(err, "disk")
						      : 0;
}

/* As the kernel takes it for a thread, and ps shows it. */
static int validate_iothread(const char *name, struct error *err)
{
	if (!name || strlen(name) <= 15)
		return 0;
	return error_set(err, ERROR_USAGE, 0,
			 "iothread: '%s' is longer than 15 bytes", name);
}

/* A second's bytes without their unit are hardly meant so. */
static int validate_limit(const struct config_limit *limit, const char *way,
			  const char *ops, struct error *err)
{
	unsigned long long bw = limit->bw;

	if (bw && bw < CONFIG_BW_MIN)
		return error_set(err, ERROR_USAGE, 0,
				 "%sbw: %llu bytes a second is less than %u "
				 "KiB (%lluM?)",
				 way, bw, CONFIG_BW_MIN >> 10, bw);
	if (limit->bw_burst && !bw)
		return error_set(err, ERROR_USAGE, 0, "%sbw-burst needs %sbw",
				 way, way);
	if (limit->ops_burst && !limit->ops)
		return error_set(err, ERROR_USAGE, 0, "%s%s-burst needs %s%s",
				 way, ops, way, ops);
	return 0;
}

static int validate_disks(struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		struct config_disk *disk = &config->disks[i];

		if (!disk->path && !disk->vhost_user)
			return error_set(err, ERROR_USAGE, 0,
					 "disk: needs a path");
		if (disk->vhost_user && validate_server_disk(disk, err))
			return -1;
		if (disk->serial && strlen(disk->serial) > 20)
			return error_set(err, ERROR_USAGE, 0,
					 "disk %s: serial is longer than 20 "
					 "bytes",
					 disk->path);
		if (validate_iothread(disk->iothread, err) ||
		    validate_limit(&disk->limit, "", "iops", err))
			return error_wrap(err, "disk %s", disk->path);
		if (!disk->id && asprintf(&disk->id, "disk%u", i) < 0)
			return error_set(err, ERROR_USAGE, ENOMEM, "disk");
		for (unsigned j = 0; j < i; j++)
			if (strcmp(config->disks[j].id, disk->id) == 0)
				return error_set(err, ERROR_USAGE, 0,
						 "disk: two are called %s",
						 disk->id);
	}
	return 0;
}

static int validate_pmems(const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->pmem_count; i++)
		if (!config->pmems[i].path)
			return error_set(err, ERROR_USAGE, 0,
					 "pmem: needs a path");
	return 0;
}

static int validate_root(const struct vm_config *config, struct error *err)
{
	unsigned roots = 0;

	for (unsigned i = 0; i < config->disk_count; i++)
		roots += config->disks[i].root;
	for (unsigned i = 0; i < config->pmem_count; i++)
		roots += config->pmems[i].root;
	if (roots > 1)
		return error_set(err, ERROR_USAGE, 0,
				 "disk, pmem: %u are marked root", roots);
	return 0;
}

/* passt sees no difference between one port at two addresses. */
static int validate_publish(const struct config_net *net, struct error *err)
{
	for (unsigned i = 0; i < net->publish_count; i++) {
		struct publish one, other;

		if (publish_parse(&one, net->publish[i], err))
			return -1;
		for (unsigned j = 0; j < i; j++)
			if (publish_parse(&other, net->publish[j], err) == 0 &&
			    one.udp == other.udp && one.host == other.host)
				return error_set(err, ERROR_USAGE, 0,
						 "publish: port %u is named "
						 "twice",
						 one.host);
	}
	return 0;
}

static int validate_server_net(const struct config_net *net, struct error *err)
{
	if (net->queues || is_limited(&net->rx_limit) ||
	    is_limited(&net->tx_limit) || net->iothread)
		return error_set(err, ERROR_USAGE, 0,
				 "vhost-user goes with mac and mtu alone");
	return validate_socket(net->vhost_user, err);
}

static int validate_kernel_net(const struct config_net *net, struct error *err)
{
	if (!net->tap)
		return error_set(err, ERROR_USAGE, 0,
				 "vhost goes with tap=NAME alone");
	if (net->queues > 1)
		return error_set(err, ERROR_USAGE, 0,
				 "queues: vhost has one pair");
	if (is_limited(&net->rx_limit) || is_limited(&net->tx_limit))
		return error_set(err, ERROR_USAGE, 0,
				 "vhost has no limits: no frame comes by here");
	return 0;
}

static int validate_net(const struct config_net *net, struct error *err)
{
	if ((net->tap != NULL) + net->user + (net->vhost_user != NULL) != 1)
		return error_set(err, ERROR_USAGE, 0,
				 "needs one of tap=NAME, user and "
				 "vhost-user=SOCK");
	if (net->publish_count && !net->user)
		return error_set(err, ERROR_USAGE, 0,
				 "publish is for user alone");
	if (net->stream && !net->user)
		return error_set(err, ERROR_USAGE, 0,
				 "stream is for user alone");
	if (net->queues > 1 && net->user)
		return error_set(err, ERROR_USAGE, 0,
				 "queues: passt has one pair");
	if (net->tap && !net_tap_is_name(net->tap))
		return error_set(err, ERROR_USAGE, 0,
				 "'%s' is not an interface name", net->tap);
	if (net->user && net->mtu > CONFIG_USER_MTU)
		return error_set(err, ERROR_USAGE, 0,
				 "mtu: passt has %d at most", CONFIG_USER_MTU);
	if (net->vhost_user && validate_server_net(net, err))
		return -1;
	if (net->vhost && validate_kernel_net(net, err))
		return -1;
	if (validate_publish(net, err))
		return -1;
	if (validate_iothread(net->iothread, err) ||
	    validate_limit(&net->rx_limit, "rx-", "pps", err) ||
	    validate_limit(&net->tx_limit, "tx-", "pps", err))
		return error_wrap(err, "%s", config_net_name(net));
	return 0;
}

/* What serves one card serves no other; nor do two of passt's help anybody. */
static bool same_net(const struct config_net *a, const struct config_net *b)
{
	return (a->user && b->user) || same(a->tap, b->tap) ||
	       same(a->vhost_user, b->vhost_user);
}

static int validate_nets(const struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->net_count; i++) {
		const struct config_net *net = &config->nets[i];

		if (validate_net(net, err))
			return error_wrap(err, "net");
		for (unsigned j = 0; j < i; j++)
			if (same_net(net, &config->nets[j]))
				return error_set(err, ERROR_USAGE, 0,
						 "net: %s is named twice",
						 config_net_name(net));
	}
	return 0;
}

/* Takes TAG off "DIR:TAG", where DIR may have colons, too. NULL with err set. */
static char *split_share(char *path, struct error *err)
{
	char *colon = strrchr(path, ':');
	char *tag = colon ? strdup(colon + 1) : NULL;

	if (tag)
		*colon = '\0';
	else if (colon)
		error_set(err, ERROR_USAGE, ENOMEM, "share");
	else
		error_set(err, ERROR_USAGE, 0,
			  "share: '%s' is not like DIR:TAG", path);
	return tag;
}

static int validate_share(struct config_share *share, struct error *err)
{
	if (!share->path)
		return error_set(err, ERROR_USAGE, 0, "share: needs DIR:TAG");
	if (!share->tag)
		share->tag = split_share(share->path, err);
	if (!share->tag)
		return -1;
	if (!*share->path)
		return error_set(err, ERROR_USAGE, 0,
				 "share %s: needs a folder: DIR:TAG",
				 share->tag);
	if (!*share->tag || strlen(share->tag) > VHOST_USER_FS_TAG_MAX)
		return error_set(err, ERROR_USAGE, 0,
				 "share %s: the tag must have 1 to %d bytes",
				 share->path, VHOST_USER_FS_TAG_MAX);
	return 0;
}

static int validate_shares(struct vm_config *config, struct error *err)
{
	for (unsigned i = 0; i < config->share_count; i++) {
		if (validate_share(&config->shares[i], err))
			return -1;
		for (unsigned j = 0; j < i; j++)
			if (same(config->shares[j].tag, config->shares[i].tag))
				return error_set(err, ERROR_USAGE, 0,
						 "share: two are called %s",
						 config->shares[i].tag);
	}
	return 0;
}

static int validate_vsock(struct config_vsock *vsock, struct error *err)
{
	if (!vsock->path && vsock->cid)
		return error_set(err, ERROR_USAGE, 0, "vsock: needs a path");
	if (!vsock->path)
		return 0;
	if (strlen(vsock->path) > VSOCK_PATH_MAX)
		return error_set(err, ERROR_USAGE, 0,
				 "vsock %s: longer than the %d bytes that a "
				 "socket's name may have",
				 vsock->path, VSOCK_PATH_MAX);
	if (!vsock->cid)
		vsock->cid = VSOCK_GUEST_CID_MIN;
	return 0;
}

static int validate_balloon(const struct vm_config *config, struct error *err)
{
	const struct config_balloon *balloon = &config->balloon;
	unsigned long long memory = config->memory.size;

	if (!balloon->given)
		return 0;
	if (config->memory.hugepages)
		return error_set(err, ERROR_USAGE, 0,
				 "balloon: memory on huge pages stays reserved "
				 "for the guest, so that none can go back to "
				 "the host");
	if (balloon->size >= memory)
		return error_set(err, ERROR_USAGE, 0,
				 "balloon: size: leaves nothing of the guest's "
				 "%llu MiB",
				 memory >> 20);
	if (balloon->size % BALLOON_PAGE)
		return error_set(err, ERROR_USAGE, 0,
				 "balloon: size: not a multiple of 4 KiB");
	return 0;
}

static int count_kinds(const struct config_console *console)
{
	return console->stdio + console->pty + console->none +
	       (console->file != NULL);
}

static int validate_console(const char *name,
			    const struct config_console *console,
			    struct error *err)
{
	if (count_kinds(console) <= 1)
		return 0;
	return error_set(err, ERROR_USAGE, 0,
			 "%s: stdio, pty, file and none exclude each other",
			 name);
}

/* A kernel that has the virtio console's driver as a module needs another
 * console until then: without any, Debian's initrd does not get that far. So
 * there is a serial port beside it, if nobody says otherwise. */
static int validate_consoles(struct vm_config *config, struct error *err)
{
	struct config_console *console = &config->console, *hvc = &config->hvc;

	if (validate_console("console", console, err) ||
	    validate_console("hvc", hvc, err))
		return -1;
	if (!count_kinds(hvc))
		hvc->none = true;
	if (console->stdio && hvc->stdio)
		return error_set(err, ERROR_USAGE, 0,
				 "hvc: stdio is the console's already");
	if (count_kinds(console))
		return 0;
	console->stdio = hvc->none;
	if (console->stdio)
		return 0;
	console->file = strdup("/dev/null");
	return console->file ? 0
			     : error_set(err, ERROR_USAGE, ENOMEM, "console");
}

int config_validate(struct vm_config *config, struct error *err)
{
	if (config->cmdline && config->cmdline_only)
		return error_set(err, ERROR_USAGE, 0,
				 "cmdline and cmdline-only exclude each other");
	if (validate_memory(&config->memory, err) ||
	    validate_disks(config, err) || validate_pmems(config, err) ||
	    validate_root(config, err) || validate_nets(config, err) ||
	    validate_shares(config, err) ||
	    validate_vsock(&config->vsock, err) ||
	    validate_balloon(config, err) || validate_consoles(config, err) ||
	    cmdline_validate(config, err))
		return -1;
	return 0;
}

bool config_net_needs_frames(const struct config_net *net)
{
	return net->stream || net->iothread || is_limited(&net->rx_limit) ||
	       is_limited(&net->tx_limit);
}

/* --- printing --- */

static void print_quoted(const char *text, FILE *out)
{
	if (*text && !text[strspn(text,
				  "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789-_=,./:@%+")]) {
		fputs(text, out);
		return;
	}
	fputc('\'', out);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else
			fputc(*text, out);
	}
	fputc('\'', out);
}

static void print_option(const struct field *field, const void *at, FILE *out)
{
	autofree char *text = NULL;
	size_t len = 0;
	FILE *mem = open_memstream(&text, &len);
	bool set;

	if (!mem)
		return;
	set = field_print(field, at, mem);
	fclose(mem);
	if (!set)
		return;
	fprintf(out, " --%s", field->name);
	if (field->type == FIELD_FLAG ||
	    (field_may_stand_alone(field) && !*text))
		return;
	fputc(' ', out);
	print_quoted(text, out);
}

void config_print_command(const struct vm_config *config, FILE *out)
{
	fputs("onggi run", out);
	for (const struct field *f = config_fields; f->name; f++) {
		const char *at = (const char *)config + f->offset;
		unsigned count = 1;

		/* --dry-run is what led here */
		if (!f->help || strcmp(f->name, "dry-run") == 0)
			continue;
		if (f->stride)
			count = field_length(f, config);
		for (unsigned i = 0; i < count; i++)
			print_option(f, at + i * f->stride, out);
	}
	if (config->arg_count)
		fputs(" --", out);
	for (unsigned i = 0; i < config->arg_count; i++) {
		fputc(' ', out);
		print_quoted(config->args[i], out);
	}
	fputc('\n', out);
}

void config_print_options(FILE *out)
{
	fputs("  --config FILE\n"
	      "        JSON with these options as keys; options given here "
	      "win\n",
	      out);
	for (const struct field *f = config_fields; f->name; f++)
		if (f->help)
			fprintf(out, "  --%s%s%s\n        %s\n", f->name,
				f->arg ? " " : "", f->arg ? f->arg : "",
				f->help);
}

void config_print_names(FILE *out)
{
	fputs("--config\n--help\n", out);
	for (const struct field *f = config_fields; f->name; f++)
		if (f->help)
			fprintf(out, "--%s\n", f->name);
}
