/* The configuration as a whole: the list of options, what is settled, what is
 * refused, and that command line and JSON mean the same. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/config/section.h"

static struct vm_config config;

static int setup(void **state)
{
	config_init(&config);
	*state = &config;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	config_free(&config);
	return 0;
}

#define WORDS(...) ((char *[]){ __VA_ARGS__, NULL })

/* Parses words into a fresh configuration and settles it. */
static void settle(char **words)
{
	struct error err;
	int count = 0;
	bool help;

	while (words[count])
		count++;
	config_free(&config);
	assert_int_equal(config_parse(&config, count, words, &help, &err), 0);
	assert_int_equal(config_settle(&config, &err), 0);
}

static void accept(char **words)
{
	struct error err;

	settle(words);
	assert_int_equal(config_check(&config, &err), 0);
}

static void refuse(char **words, const char *why)
{
	struct error err = { 0 };

	settle(words);
	assert_int_equal(config_check(&config, &err), -1);
	assert_string_equal(err.text, why);
	assert_int_equal(err.class, ERROR_USAGE);
}

/* The caller frees the printed command. */
static char *print(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	config_print_command(&config, out);
	fclose(out);
	return text;
}

static void assert_no_name_twice(const struct field *keys)
{
	for (const struct field *f = keys; f->name; f++)
		assert_null(field_find(f + 1, f->name));
}

static void every_option_has_one_name_and_a_help(void **state)
{
	const struct field *option, *other;
	struct error err;

	(void)state;
	for (unsigned i = 0; (option = config_option(i)) != NULL; i++) {
		for (unsigned j = i + 1; (other = config_option(j)); j++)
			assert_string_not_equal(option->name, other->name);
		assert_ptr_equal(config_find_option(option->name), option);
		assert_false(config_is_foreign(option->name, &err));
		if (!option->help)
			assert_string_equal(option->name, "args");
		else if (option->type != FIELD_FLAG)
			assert_non_null(option->arg);
	}
}

static void every_key_has_one_name_and_a_help(void **state)
{
	const struct field *option;
	unsigned groups = 0;

	(void)state;
	for (unsigned i = 0; (option = config_option(i)) != NULL; i++) {
		assert_int_equal(option->group != NULL,
				 option->type == FIELD_GROUP);
		if (!option->group)
			continue;
		groups++;
		assert_no_name_twice(option->group);
		for (const struct field *f = option->group; f->name; f++) {
			assert_non_null(f->help);
			assert_int_equal(f->arg != NULL, f->type != FIELD_FLAG);
			if (f->positional)
				assert_ptr_equal(f, option->group);
		}
	}
	assert_true(groups > 0);
}

static void values_of_different_options_do_not_overlap(void **state)
{
	const struct field *one, *other;

	(void)state;
	for (unsigned i = 0; (one = config_option(i)) != NULL; i++)
		for (unsigned j = i + 1; (other = config_option(j)); j++)
			assert_int_not_equal(one->offset, other->offset);
}

static void disks_get_names_in_their_order(void **state)
{
	(void)state;
	accept(WORDS("--disk", "a", "--disk", "b,id=root", "--disk", "c"));
	assert_string_equal(config.disks[0].id, "disk0");
	assert_string_equal(config.disks[1].id, "root");
	assert_string_equal(config.disks[2].id, "disk2");
	refuse(WORDS("--disk", "a", "--disk", "b,id=disk0"),
	       "disk: two disks have the id disk0");
}

static void the_tag_of_a_share_comes_off_its_path(void **state)
{
	(void)state;
	accept(WORDS("--share", "/a:b:tag", "--share", "/c:d,tag=other"));
	assert_string_equal(config.shares[0].path, "/a:b");
	assert_string_equal(config.shares[0].tag, "tag");
	assert_string_equal(config.shares[1].path, "/c:d");
	assert_string_equal(config.shares[1].tag, "other");
	refuse(WORDS("--share", "/a"), "share: '/a' has no tag: DIR:TAG");
	refuse(WORDS("--share", "tag=x"), "share: needs DIR:TAG");
	refuse(WORDS("--share", ":x"), "share x: needs a folder: DIR:TAG");
	refuse(WORDS("--share", "/a:"),
	       "share /a: the tag must have 1 to 36 bytes");
	refuse(WORDS("--share", "/a:t", "--share", "/b:t"),
	       "share: two have the tag t");
}

static void a_guest_on_vsock_has_an_address(void **state)
{
	(void)state;
	accept(WORDS("--vsock", "/s"));
	assert_int_equal(config.vsock.cid, 3);
	accept(WORDS("--vsock", "/s,cid=7"));
	assert_int_equal(config.vsock.cid, 7);
	accept(WORDS("--cpus", "1"));
	assert_int_equal(config.vsock.cid, 0);
	refuse(WORDS("--vsock", "cid=7"), "vsock: needs a path");
}

static void there_is_one_console_on_stdio(void **state)
{
	(void)state;
	accept(WORDS("--cpus", "1"));
	assert_true(config.console.stdio && config.hvc.none);
	accept(WORDS("--hvc", "stdio"));
	assert_false(config.console.stdio);
	assert_string_equal(config.console.file, "/dev/null");
	accept(WORDS("--hvc", "stdio", "--console", "none"));
	assert_null(config.console.file);
	refuse(WORDS("--hvc", "stdio", "--console", "stdio"),
	       "hvc: console uses stdio already");
	refuse(WORDS("--hvc", "stdio,pty"),
	       "hvc: stdio, pty, file and none exclude each other");
	refuse(WORDS("--console", "none,file=f"),
	       "console: stdio, pty, file and none exclude each other");
}

static void settling_again_changes_nothing(void **state)
{
	struct error err;
	char *once, *again;

	(void)state;
	settle(WORDS("--disk", "a", "--share", "/a:b", "--vsock", "/s", "--hvc",
		     "pty"));
	once = print();
	assert_int_equal(config_settle(&config, &err), 0);
	again = print();
	assert_string_equal(again, once);
	free(once);
	free(again);
}

static void a_server_has_its_disk_alone(void **state)
{
	static const char *const keys[] = {
		"path=p",   "readonly", "direct",   "cache=unsafe",
		"queues=1", "bw=1M",	"serial=s", "iothread=t",
	};
	char value[60];

	(void)state;
	accept(WORDS("--disk", "vhost-user=s,root,id=i"));
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		snprintf(value, sizeof(value), "vhost-user=s,%s", keys[i]);
		refuse(WORDS("--disk", value),
		       "disk: vhost-user can be combined with root and id "
		       "only; the server decides everything else");
	}
	refuse(WORDS("--disk", "readonly=false"), "disk: needs a path");
}

static void back_ends_of_a_card_exclude_each_other(void **state)
{
	static const char needs[] =
		"net: needs one of tap=NAME, user and vhost-user=SOCK";

	(void)state;
	refuse(WORDS("--net", "mtu=1500"), needs);
	refuse(WORDS("--net", "tap=t0,user"), needs);
	refuse(WORDS("--net", "user,vhost-user=s"), needs);
	refuse(WORDS("--net", "user,vhost"), "net: vhost needs tap=NAME");
	refuse(WORDS("--net", "tap=t0,stream"), "net: stream needs user");
	refuse(WORDS("--net", "tap=t0,publish=1:1"), "net: publish needs user");
	refuse(WORDS("--net", "user,publish=1:1,publish=[::1]:1:2"),
	       "net: publish: host port 1 is used twice");
	refuse(WORDS("--net", "user,mtu=65521"),
	       "net: mtu: passt takes at most 65520");
	refuse(WORDS("--net", "vhost-user=s", "--net", "vhost-user=s"),
	       "net: s is used by two cards");
	accept(WORDS("--net", "user,publish=1:1,publish=udp:1:1", "--net",
		     "tap=t0,vhost", "--net", "vhost-user=s,mtu=1500"));
}

static void ports_are_settled_from_their_texts(void **state)
{
	const struct config_publish *ports = config.nets[0].ports;
	struct error err = { 0 };
	bool help;

	(void)state;
	accept(WORDS("--net", "user,publish=8080:80,publish=udp:[::0]:53:54"));
	assert_false(ports[0].udp);
	assert_string_equal(ports[0].address, "127.0.0.1");
	assert_int_equal(ports[0].host, 8080);
	assert_int_equal(ports[0].guest, 80);
	assert_true(ports[1].udp);
	assert_string_equal(ports[1].address, "::");
	assert_int_equal(ports[1].host, 53);
	assert_int_equal(ports[1].guest, 54);
	config_free(&config);
	assert_int_equal(config_parse(&config, 2,
				      WORDS("--net", "user,publish=80:x"),
				      &help, &err),
			 0);
	assert_int_equal(config_settle(&config, &err), -1);
	assert_string_equal(
		err.text,
		"net: publish: '80:x' does not have a form such as 8080:80, "
		"0.0.0.0:8080:80 or udp:5353:53");
}

static void a_socket_and_a_thread_have_short_names(void **state)
{
	char socket[130] = "vhost-user=";
	const size_t start = strlen(socket);

	(void)state;
	memset(socket + start, 's', 107);
	accept(WORDS("--disk", socket, "--net", socket));
	socket[start + 107] = 's';
	refuse(WORDS("--disk", socket),
	       "disk: vhost-user: the socket's path "
	       "is longer than 107 bytes");
	refuse(WORDS("--net", socket),
	       "net: vhost-user: the socket's path "
	       "is longer than 107 bytes");
	accept(WORDS("--disk", "a,iothread=fifteen-letters"));
	refuse(WORDS("--net", "tap=t0,iothread=sixteen-letters-"),
	       "net: t0: iothread: 'sixteen-letters-' is longer than 15 bytes");
}

static void the_root_is_one_disk_or_persistent_memory(void **state)
{
	(void)state;
	accept(WORDS("--disk", "a", "--pmem", "b"));
	assert_false(config_has_root(&config));
	accept(WORDS("--disk", "a", "--disk", "b,root"));
	assert_true(config_has_root(&config));
	accept(WORDS("--pmem", "a", "--pmem", "b,root"));
	assert_true(config_has_root(&config));
	refuse(WORDS("--disk", "a,root", "--pmem", "b,root"),
	       "disk, pmem: only one can have root");
}

static void a_word_of_dashes_is_found_outside_quotes_alone(void **state)
{
	static const char why[] =
		"cmdline: contains --, and onggi adds another -- before "
		"INIT-ARGS; the kernel ignores what follows a second one";

	(void)state;
	refuse(WORDS("--cmdline", "a --", "--", "x"), why);
	refuse(WORDS("--cmdline", "--\vb", "--", "x"), why);
	accept(WORDS("--cmdline", "a --"));
	accept(WORDS("--cmdline", "a=\"b -- c\" --d e--", "--", "x"));
	refuse(WORDS("--cmdline", "a=\"b"),
	       "cmdline: a double quote is not closed");
}

static void options_win_over_files_and_lists_are_replaced(void **state)
{
	static const char json[] =
		"{\"disk\": [\"a\", \"b\"], \"cpus\": 3, \"args\": [\"x\"], "
		"\"balloon\": {\"size\": \"1M\"}, \"name\": \"n\"}";
	char path[] = "/tmp/onggi-test-config-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, json, sizeof(json) - 1), sizeof(json) - 1);
	close(fd);
	accept(WORDS("--disk", "c", "--balloon", "--disk", "d", "--config",
		     path, "--cpus=2"));
	assert_int_equal(config.disk_count, 2);
	assert_string_equal(config.disks[0].path, "c");
	assert_string_equal(config.disks[1].path, "d");
	assert_int_equal(config.cpus, 2);
	assert_true(config.balloon.given);
	assert_int_equal(config.balloon.size, 0);
	assert_string_equal(config.name, "n");
	assert_int_equal(config.arg_count, 1);
	accept(WORDS("--config", path, "--"));
	assert_int_equal(config.arg_count, 0);
	assert_int_equal(config.disk_count, 2);
	unlink(path);
}

static void json_means_what_the_command_line_means(void **state)
{
	static const char json[] =
		"{\"disk\": [{\"path\": \"a,b\", \"readonly\": true, "
		"\"bw\": 1048576}], \"net\": [{\"user\": true, "
		"\"publish\": [\"1:2\", \"3:4\"]}], \"memory\": 67108864, "
		"\"balloon\": true, \"hvc\": \"pty\"}";
	struct error err;
	char *typed, *written;

	(void)state;
	accept(WORDS("--disk", "a,,b,readonly,bw=1M", "--net",
		     "user,publish=1:2,publish=3:4", "--memory", "64M",
		     "--balloon", "--hvc", "pty"));
	typed = print();
	config_free(&config);
	assert_int_equal(config_parse_json(&config, json, strlen(json), &err),
			 0);
	assert_int_equal(config_settle(&config, &err), 0);
	written = print();
	assert_string_equal(written, typed);
	free(typed);
	free(written);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(every_option_has_one_name_and_a_help),
		TEST(every_key_has_one_name_and_a_help),
		TEST(values_of_different_options_do_not_overlap),
		TEST(disks_get_names_in_their_order),
		TEST(the_tag_of_a_share_comes_off_its_path),
		TEST(a_guest_on_vsock_has_an_address),
		TEST(there_is_one_console_on_stdio),
		TEST(settling_again_changes_nothing),
		TEST(a_server_has_its_disk_alone),
		TEST(back_ends_of_a_card_exclude_each_other),
		TEST(ports_are_settled_from_their_texts),
		TEST(a_socket_and_a_thread_have_short_names),
		TEST(the_root_is_one_disk_or_persistent_memory),
		TEST(a_word_of_dashes_is_found_outside_quotes_alone),
		TEST(options_win_over_files_and_lists_are_replaced),
		TEST(json_means_what_the_command_line_means),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
