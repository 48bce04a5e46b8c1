/* The table of configuration fields, from which command line, JSON, help and
 * the printed command are all made.
 *
 * A field is a name, a type and an offset into its struct. Fields of type
 * FIELD_GROUP have fields of their own ("--disk PATH,readonly,id=S" or
 * {"path": ..., "readonly": true}); the group's first field may be positional
 * and then needs no "name=". Of a list inside a group the command line repeats
 * the name, and JSON has an array. A group that may be empty can stand without
 * a value
 * (--balloon, "balloon": true); its struct starts with a bool that says that it
 * was given. Constant data, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum field_type {
	FIELD_STRING, /* char * */
	FIELD_FLAG,   /* bool */
	FIELD_UINT,   /* uint64_t, min to max */
	FIELD_SIZE,   /* uint64_t bytes, with K, M, G, T */
	FIELD_MAC,    /* struct config_mac */
	FIELD_CHOICE, /* int, index into choices */
	FIELD_GROUP,  /* struct described by group */
};

struct field {
	const char *name;
	enum field_type type;
	bool positional;   /* first of its group: needs no name */
	bool may_be_empty; /* a string, or a group */
	bool is_output;	   /* a string: a file that onggi writes */
	size_t offset;
	uint64_t preset; /* of numbers and choices */
	uint64_t min, max;
	const char *const *choices; /* NULL-terminated */
	const struct field *group;  /* ends with a NULL name */
	/* lists: `max` elements of `stride` bytes at offset, their number, an
	 * unsigned, at count_offset */
	size_t stride;
	size_t count_offset;
	const char *arg; /* what help shows behind the name */
	const char *help;
};

/* The options of a whole VM; base struct is struct vm_config. */
extern const struct field config_fields[];

const struct field *field_find(const struct field *fields, const char *name);

/* Options that onggi has for another architecture's machine, and why not for
 * this one's; ends with a NULL name. Each architecture's own list. */
struct foreign_option {
	const char *name;
	const char *why;
};

extern const struct foreign_option foreign_options[];

/* Whether name is such an option; err then says so. */
bool field_is_foreign(const char *name, struct error *err);

/* Where the field's value stands; for lists, of element index. */
static inline void *field_at(const struct field *field, void *base,
			     unsigned index)
{
	return (char *)base + field->offset + index * field->stride;
}

static inline unsigned *field_count(const struct field *field, void *base)
{
	return (unsigned *)((char *)base + field->count_offset);
}

static inline unsigned field_length(const struct field *field, const void *base)
{
	return *(const unsigned *)((const char *)base + field->count_offset);
}

/* Whether the field is a group that needs no value. */
static inline bool field_may_stand_alone(const struct field *field)
{
	return field->type == FIELD_GROUP && field->may_be_empty;
}

/* Frees all elements of a list. */
void field_clear_list(const struct field *field, void *base);

/* A fresh list element; NULL with err set when the list is full. */
void *field_append(const struct field *field, void *base, struct error *err);

/* Parses text into the value at `at`. Groups take the command line's form
 * with commas; ",," stands for a comma. */
int field_parse(const struct field *field, void *at, const char *text,
		struct error *err);

/* For groups that may be empty: notes that there is one. */
void field_set_given(const struct field *field, void *at);

/* Frees what the value at `at` owns and sets it to its default. */
void field_clear(const struct field *field, void *at);

/* Prints the value as field_parse() reads it; nothing for an unset one.
 * Returns whether it was set. */
bool field_print(const struct field *field, const void *at, FILE *out);
