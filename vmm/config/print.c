/* Prints a configuration as a command line, and the options with their help. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/config/section.h"

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
	autofree char *text = field_text(field, at);

	if (!text)
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
	const struct field *f;

	fputs("onggi run", out);
	for (unsigned i = 0; (f = config_option(i)) != NULL; i++) {
		/* The user gave --dry-run to see the command without it. */
		if (!f->help || strcmp(f->name, "dry-run") == 0)
			continue;
		for (unsigned j = 0; j < field_length(f, config); j++)
			print_option(f, field_at_const(f, config, j), out);
	}
	if (config->arg_count)
		fputs(" --", out);
	for (unsigned i = 0; i < config->arg_count; i++) {
		fputc(' ', out);
		print_quoted(config->args[i], out);
	}
	fputc('\n', out);
}

/* Prints one line: "readonly  ...", "iops=N  ..." or, for a positional key,
 * "[path=]PATH  ...". */
static void print_key(const struct field *key, FILE *out)
{
	char word[64];

	if (key->type == FIELD_FLAG)
		snprintf(word, sizeof(word), "%s", key->name);
	else
		snprintf(word, sizeof(word), "%s%s=%s%s",
			 key->positional ? "[" : "", key->name,
			 key->positional ? "]" : "", key->arg);
	fprintf(out, "          %-22s %s\n", word, key->help);
}

void config_print_options(FILE *out)
{
	const struct field *f;

	fputs("  --config FILE\n        JSON file with these options as keys; "
	      "the command line takes precedence\n",
	      out);
	for (unsigned i = 0; (f = config_option(i)) != NULL; i++) {
		if (!f->help)
			continue;
		fprintf(out, "  --%s%s%s\n        %s\n", f->name,
			f->arg ? " " : "", f->arg ? f->arg : "", f->help);
		for (const struct field *key = f->group; key && key->name;
		     key++)
			print_key(key, out);
	}
}

void config_print_names(FILE *out)
{
	const struct field *f;

	fputs("--config\n--help\n", out);
	for (unsigned i = 0; (f = config_option(i)) != NULL; i++)
		if (f->help)
			fprintf(out, "--%s\n", f->name);
}
