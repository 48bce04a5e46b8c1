/* Reads the command line of `onggi run`. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file_id.h"
#include "vmm/config/section.h"

/* One option of argv: "--name value", "--name=value" or "--flag". */
struct option {
	const struct field *field; /* NULL: --config or --help */
	bool help;
	const char *value; /* NULL: none */
};

struct command_line {
	struct option *options;
	unsigned count;
	char **args; /* the words behind "--"; NULL: there is no "--" */
	unsigned arg_count;
};

/* Divides a word into an option's name, at most size - 1 bytes, and its value.
 * Sets *value to NULL when there is none. */
static int split_word(const char *word, char *name, size_t size,
		      const char **value, struct error *err)
{
	size_t len = strcspn(word, "=");

	if (strncmp(word, "--", 2) != 0 || len < 3 || len - 2 >= size)
		return error_usage(
			err, "unexpected '%s' (see 'onggi run --help')", word);
	memcpy(name, word + 2, len - 2);
	name[len - 2] = '\0';
	*value = word[len] ? word + len + 1 : NULL;
	return 0;
}

/* Sets option->field or, for --help, option->help. */
static int find_option(struct option *option, const char *name,
		       struct error *err)
{
	option->help = strcmp(name, "help") == 0;
	if (option->help && option->value)
		return error_usage(err, "--help takes no value");
	option->field = config_find_option(name);
	if (option->field && !option->field->help)
		option->field = NULL; /* only JSON has it */
	if (option->field || option->help || strcmp(name, "config") == 0)
		return 0;
	if (config_is_foreign(name, err))
		return -1;
	return error_usage(err, "unknown option --%s (see 'onggi run --help')",
			   name);
}

/* Reads the option at argv[*index] and moves past it. */
static int read_option(struct option *option, int argc, char **argv, int *index,
		       struct error *err)
{
	const char *word = argv[(*index)++];
	const struct field *field;
	char name[32];

	if (strcmp(word, "-h") == 0)
		word = "--help";
	if (split_word(word, name, sizeof(name), &option->value, err) ||
	    find_option(option, name, err))
		return -1;
	field = option->field;
	if (option->value || option->help ||
	    (field && field->type == FIELD_FLAG))
		return 0;
	/* An option that needs no value does not take a word that looks like
	 * the next option. */
	if (field && field_may_stand_alone(field) &&
	    (*index == argc || argv[*index][0] == '-')) {
		option->value = "";
		return 0;
	}
	if (*index == argc)
		return error_usage(err, "--%s needs a value", name);
	option->value = argv[(*index)++];
	return 0;
}

/* The caller frees line->options, also after a failure. */
static int read_options(struct command_line *line, int argc, char **argv,
			struct error *err)
{
	int i = 0;

	line->options = calloc((size_t)argc + 1, sizeof(*line->options));
	if (!line->options)
		return error_usage(err, "out of memory");
	while (i < argc && strcmp(argv[i], "--") != 0) {
		struct option *option = &line->options[line->count++];

		if (read_option(option, argc, argv, &i, err))
			return -1;
		if (option->help)
			return 0; /* what follows does not count */
	}
	if (i < argc) {
		line->args = argv + i + 1;
		line->arg_count = (unsigned)(argc - i - 1);
	}
	return 0;
}

static bool is_config_file(const struct option *option)
{
	return !option->field && !option->help;
}

/* A list on the command line replaces the list of a file. */
static int apply_options(struct vm_config *config,
			 const struct command_line *line, struct error *err)
{
	const struct field *args = config_find_option("args");

	for (unsigned i = 0; i < line->count; i++)
		if (line->options[i].field && line->options[i].field->stride)
			field_clear_list(line->options[i].field, config);
	for (unsigned i = 0; i < line->count; i++) {
		const struct option *option = &line->options[i];

		if (option->field &&
		    field_set(option->field, config, option->value, err))
			return -1;
	}
	if (line->args)
		field_clear_list(args, config);
	for (unsigned i = 0; i < line->arg_count; i++)
		if (field_set(args, config, line->args[i], err))
			return -1;
	return 0;
}

/* Refuses an output that is a configuration file of the same VM, as in
 * --config vm.json --console file=vm.json. */
static int check_output(const char *path, const char *name, const char *output,
			struct error *err)
{
	struct stat file;

	if (!output || stat(path, &file) || !S_ISREG(file.st_mode) ||
	    !file_id_is_at(file_id_of(&file), output))
		return 0;
	return error_usage(err, "%s: %s is a configuration file of this VM",
			   name, output);
}

/* Compares all outputs with the configuration file at path. The machine
 * compares them with the other files of the VM when it opens these. */
static int check_outputs(struct vm_config *config, const char *path,
			 struct error *err)
{
	const struct field *option;

	for (unsigned i = 0; (option = config_option(i)) != NULL; i++) {
		void *at = field_at(option, config, 0);

		if (option->is_output &&
		    check_output(path, option->name, *(char **)at, err))
			return -1;
		if (option->type != FIELD_GROUP)
			continue;
		for (const struct field *f = option->group; f->name; f++)
			if (f->is_output &&
			    check_output(path, option->name,
					 *(char **)field_at(f, at, 0), err))
				return -1;
	}
	return 0;
}

static int apply_line(struct vm_config *config, const struct command_line *line,
		      bool *help, struct error *err)
{
	*help = line->count && line->options[line->count - 1].help;
	if (*help)
		return 0;
	for (unsigned i = 0; i < line->count; i++)
		if (is_config_file(&line->options[i]) &&
		    config_load_json(config, line->options[i].value, err))
			return -1;
	if (apply_options(config, line, err))
		return -1;
	for (unsigned i = 0; i < line->count; i++)
		if (is_config_file(&line->options[i]) &&
		    check_outputs(config, line->options[i].value, err))
			return -1;
	return 0;
}

int config_parse(struct vm_config *config, int argc, char **argv, bool *help,
		 struct error *err)
{
	struct command_line line = { 0 };
	int ret = read_options(&line, argc, argv, err);

	*help = false;
	if (ret == 0)
		ret = apply_line(config, &line, help, err);
	free(line.options);
	return ret;
}
