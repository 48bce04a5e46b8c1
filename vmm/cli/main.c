/* onggi: a lightweight KVM virtual machine monitor. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "vmm/cli/commands.h"
#include "vmm/config/config.h"

#ifndef ONGGI_VERSION
#define ONGGI_VERSION "unknown"
#endif

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int refuse_argument(const char *command, const char *word)
{
	log_error("%s: unexpected '%s'", command, word);
	return ERROR_USAGE;
}

static int command_help(int argc, char **argv);
static int command_complete(int argc, char **argv);

static int command_version(int argc, char **argv)
{
	if (argc == 1 && is_help(argv[0]))
		return command_help(0, argv);
	if (argc > 0)
		return refuse_argument("version", argv[0]);
	puts("onggi " ONGGI_VERSION);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", command_run, "boot a guest (onggi run --help)" },
	{ "doctor", command_doctor, "test what this host allows" },
	{ "version", command_version, "print the version" },
	{ "help", command_help, "print this help" },
	{ "complete", command_complete, NULL },
};

static int command_help(int argc, char **argv)
{
	if (argc > 1 || (argc == 1 && !is_help(argv[0])))
		return refuse_argument("help", argv[0]);
	puts("onggi boots a Linux kernel in a lightweight KVM virtual machine."
	     "\n\nusage: onggi COMMAND [OPTIONS]\n");
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].help)
			printf("  %-8s %s\n", commands[i].name,
			       commands[i].help);
	return 0;
}

/* For the shell completion: prints every command, or every option of run. */
static int command_complete(int argc, char **argv)
{
	if (argc > 0 && strcmp(argv[0], "run") == 0) {
		config_print_names(stdout);
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].help)
			puts(commands[i].name);
	return 0;
}

/* Opens the standard files that the caller has left closed: a disk image that
 * became standard output would receive the guest's console. Reads from these
 * find the end, and writes fail. */
static void occupy_standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Output that did not arrive is an error: a script would go on with half of
 * it. */
static int check_output(int status)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	log_error("standard output: %s",
		  errno ? strerror(errno) : "cannot be written");
	return status ? status : ERROR_IO;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "help";

	occupy_standard_files();
	if (is_help(name))
		name = "help";
	if (strcmp(name, "--version") == 0)
		name = "version";
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(name, commands[i].name) == 0)
			return check_output(
				commands[i].run(argc > 2 ? argc - 2 : 0,
						argv + (argc > 2 ? 2 : argc)));
	log_error("unknown command '%s' (see 'onggi help')", name);
	return ERROR_USAGE;
}
