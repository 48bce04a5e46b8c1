#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "vmm/config/fields.h"

/* Prints "NAME=VALUE" behind *comma, with the commas of the value doubled.
 * Prints nothing for a value that is not set. */
static void print_key(const struct field *group, const struct field *field,
		      const void *at, const char **comma, FILE *out)
{
	autofree char *text = field_text(field, at);

	/* A choice that nobody made is left out. */
	if (!text || (field->type == FIELD_CHOICE &&
		      *(const int *)at == (int)field->preset))
		return;
	fputs(*comma, out);
	if (field->type == FIELD_FLAG)
		fputs(field->name, out);
	else if (!field->positional || field_names_key(group, text))
		fprintf(out, "%s=", field->name);
	for (const char *c = text; *c; c++)
		fputs(*c == ',' ? ",," : (char[]){ *c, 0 }, out);
	*comma = ",";
}

/* Returns whether any key was set. */
static bool print_group(const struct field *group, const void *at, FILE *out)
{
	const char *comma = "";

	for (const struct field *f = group; f->name; f++)
		for (unsigned i = 0; i < field_length(f, at); i++)
			print_key(group, f, field_at_const(f, at, i), &comma,
				  out);
	return *comma;
}

static bool print_size(const struct field *field, unsigned long long size,
		       FILE *out)
{
	if (size % (1 << 20) == 0)
		fprintf(out, "%lluM", size >> 20);
	else if (size % (1 << 10) == 0)
		fprintf(out, "%lluK", size >> 10);
	else
		fprintf(out, "%llu", size);
	return size || field->preset;
}

static bool print_mac(const struct config_mac *mac, FILE *out)
{
	const uint8_t *b = mac->bytes;

	if (mac->set)
		fprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2],
			b[3], b[4], b[5]);
	return mac->set;
}

/* Returns whether the value is set. */
static bool print_value(const struct field *field, const void *at, FILE *out)
{
	const char *string;
	uint64_t number;
	bool set;

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
		return print_size(field, *(const uint64_t *)at, out);
	case FIELD_MAC:
		return print_mac(at, out);
	case FIELD_CHOICE:
		fputs(field->choices[*(const int *)at], out);
		return true;
	case FIELD_GROUP:
		set = print_group(field->group, at, out);
		if (field_may_stand_alone(field))
			set = *(const bool *)((const char *)at +
					      field->given_offset);
		return set;
	}
	return false;
}

char *field_text(const struct field *field, const void *at)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool set = out && print_value(field, at, out);

	if (out && (fclose(out) || !set)) {
		free(text);
		text = NULL;
	}
	return text;
}
