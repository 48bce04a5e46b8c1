#include "vmm/config/fields.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The name is the first len bytes of text. */
static const struct field *find(const struct field *fields, const char *text,
				size_t len)
{
	for (; fields->name; fields++)
		if (strlen(fields->name) == len &&
		    strncmp(fields->name, text, len) == 0)
			return fields;
	return NULL;
}

const struct field *field_find(const struct field *fields, const char *name)
{
	return find(fields, name, strlen(name));
}

unsigned field_length(const struct field *field, const void *base)
{
	if (!field->stride)
		return 1;
	return *(const unsigned *)((const char *)base + field->count_offset);
}

static unsigned *counter_of(const struct field *field, void *base)
{
	return (unsigned *)((char *)base + field->count_offset);
}

static bool *given_of(const struct field *field, void *at)
{
	return (bool *)((char *)at + field->given_offset);
}

/* --- clearing --- */

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
			*given_of(field, at) = false;
		field_clear_all(field->group, at);
		break;
	}
}

void field_clear_list(const struct field *field, void *base)
{
	unsigned *count = counter_of(field, base);

	while (*count)
		field_clear(field, field_at(field, base, --*count));
}

void field_clear_all(const struct field *fields, void *base)
{
	for (const struct field *f = fields; f->name; f++) {
		if (f->stride)
			field_clear_list(f, base);
		else
			field_clear(f, field_at(f, base, 0));
	}
}

void *field_append(const struct field *field, void *base, struct error *err)
{
	unsigned *count = counter_of(field, base);
	void *at = field_at(field, base, *count);

	if (*count == field->max) {
		error_usage(err, "%s: at most %llu can be given", field->name,
			    (unsigned long long)field->max);
		return NULL;
	}
	field_clear(field, at);
	++*count;
	return at;
}

void field_begin_group(const struct field *field, void *at)
{
	field_clear(field, at);
	if (field_may_stand_alone(field))
		*given_of(field, at) = true;
}

/* --- parsing --- */

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
	/* strtoull() accepts a sign and leading blanks. */
	if (errno || *end || text[0] < '0' || text[0] > '9' ||
	    *value > UINT64_MAX >> shift)
		return error_usage(err, "%s: '%s' is not a %s", field->name,
				   text,
				   field->type == FIELD_SIZE
					   ? "size such as 512M"
					   : "number");
	*value <<= shift;
	if (field->type == FIELD_UINT &&
	    (*value < field->min || *value > field->max))
		return error_usage(err, "%s: %s is outside %llu to %llu",
				   field->name, text,
				   (unsigned long long)field->min,
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

		/* Each byte has two digits; a colon or the end follows. */
		if (!isxdigit(at[0]) || end != at + 2 ||
		    *end != (i < 5 ? ':' : '\0'))
			return error_usage(err,
					   "%s: '%s' is not a MAC address "
					   "such as 02:00:00:00:00:01",
					   field->name, text);
		mac->bytes[i] = (uint8_t)byte;
		at = end + 1;
	}
	if (mac->bytes[0] & 1)
		return error_usage(err, "%s: %s is a multicast address",
				   field->name, text);
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
	return error_usage(err, "%s: '%s' is not one of %s", field->name, text,
			   field->arg);
}

/* Cuts the piece before the next comma off *rest, in place. ",," does not end
 * the piece and becomes a comma. NULL when nothing is left. */
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

bool field_names_key(const struct field *group, const char *text)
{
	const size_t len = strcspn(text, "=");

	return text[len] && find(group, text, len);
}

static int parse_piece(const struct field *group, void *at, char *piece,
		       bool first, struct error *err)
{
	const struct field *field;
	char *value;

	if (first && group->positional && !field_names_key(group, piece))
		return field_set(group, at, piece, err);
	value = strchr(piece, '=');
	if (value)
		*value++ = '\0';
	field = field_find(group, piece);
	if (!field)
		return error_usage(err, "unknown key '%s'", piece);
	if (!value && field->type != FIELD_FLAG)
		return error_usage(err, "%s needs a value: %s=", piece, piece);
	return field_set(field, at, value, err);
}

static int parse_group(const struct field *field, void *at, const char *text,
		       struct error *err)
{
	autofree char *copy = strdup(text);
	char *rest = copy, *piece;
	bool first = true;

	if (!copy)
		return error_set(err, ERROR_USAGE, ENOMEM, "%s", field->name);
	field_begin_group(field, at);
	if (!*text && field_may_stand_alone(field))
		return 0;
	while ((piece = next_piece(&rest))) {
		if (parse_piece(field->group, at, piece, first, err))
			return error_wrap(err, "%s", field->name);
		first = false;
	}
	return 0;
}

static int parse_string(const struct field *field, const char *text,
			char **value, struct error *err)
{
	if (!*text && !field->may_be_empty)
		return error_usage(err, "%s: is empty", field->name);
	free(*value);
	*value = strdup(text);
	if (!*value)
		return error_set(err, ERROR_USAGE, ENOMEM, "%s", field->name);
	return 0;
}

static int parse_flag(const struct field *field, const char *text, bool *value,
		      struct error *err)
{
	if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return error_usage(err, "%s: '%s' is neither true nor false",
				   field->name, text);
	*value = !text || text[0] == 't';
	return 0;
}

int field_parse(const struct field *field, void *at, const char *text,
		struct error *err)
{
	switch (field->type) {
	case FIELD_STRING:
		return parse_string(field, text, at, err);
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

int field_set(const struct field *field, void *base, const char *text,
	      struct error *err)
{
	void *at = field->stride ? field_append(field, base, err)
				 : field_at(field, base, 0);

	return at ? field_parse(field, at, text, err) : -1;
}
