/* Fields: named, typed values that a table describes.
 *
 * A table is an array of struct field. Each row describes one member of a C
 * struct: its name, offset, type, range and help. Command line, JSON, help and
 * the printed command all come from the same rows.
 *
 * A field of type FIELD_GROUP is a struct with a table of its own, whose rows
 * are called keys: "--disk PATH,readonly,id=S" or {"path": ..., "readonly":
 * true}. A list is an array of fields of one type, with a counter. The command
 * line repeats the option or, inside a group, the key; JSON has an array.
 *
 * Tables are constant. One thread at a time uses a struct of values. Functions
 * that return int return 0, or -1 with err set.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum field_type {
	FIELD_STRING, /* char *, a heap copy or NULL */
	FIELD_FLAG,   /* bool */
	FIELD_UINT,   /* uint64_t, min to max */
	FIELD_SIZE,   /* uint64_t, bytes; K, M, G and T are powers of 1024 */
	FIELD_MAC,    /* struct config_mac */
	FIELD_CHOICE, /* int, an index into choices */
	FIELD_GROUP,  /* a struct that the table in group describes */
};

struct config_mac {
	bool set;
	uint8_t bytes[6];
};

struct field {
	const char *name;
	enum field_type type;
	bool positional;   /* the first key of a group: needs no "NAME=" */
	bool may_be_empty; /* a string; or a group with a flag `given` */
	bool is_output;	   /* a string: a file that onggi writes */
	size_t offset;	   /* of the value in its struct */
	uint64_t preset;   /* the default of a number or a choice */
	uint64_t min, max; /* of a FIELD_UINT; max elements of a list */
	const char *const *choices; /* ends with NULL */
	const struct field *group;  /* ends with a NULL name */
	/* For a group that may be empty: the offset of a bool in the group's
	 * struct that says whether the user gave the group. */
	size_t given_offset;
	size_t stride;	     /* bytes of an element of a list; 0: no list */
	size_t count_offset; /* of a list's counter, an unsigned */
	const char *arg;     /* what the help shows behind the name */
	const char *help;    /* one line; an option without: only for JSON */
};

#define FIELD_AT(type, member) .offset = offsetof(struct type, member)
#define FIELD_GIVEN(type, member) \
	.may_be_empty = true, .given_offset = offsetof(struct type, member)
#define FIELD_LIST(type, member, counter)                        \
	FIELD_AT(type, member),                                  \
		.stride = sizeof(((struct type *)0)->member[0]), \
		.count_offset = offsetof(struct type, counter),  \
		.max = sizeof(((struct type *)0)->member) /      \
		       sizeof(((struct type *)0)->member[0])

/* The row of that name, or NULL. */
const struct field *field_find(const struct field *fields, const char *name);

/* The address of the field's value in base or, for a list, of one element. */
static inline void *field_at(const struct field *field, void *base,
			     unsigned index)
{
	return (char *)base + field->offset + index * field->stride;
}

static inline const void *field_at_const(const struct field *field,
					 const void *base, unsigned index)
{
	return (const char *)base + field->offset + index * field->stride;
}

/* How many values the field has in base: a list any number, others one. */
unsigned field_length(const struct field *field, const void *base);

/* Whether the field is a group that may be given without a value. */
static inline bool field_may_stand_alone(const struct field *field)
{
	return field->type == FIELD_GROUP && field->may_be_empty;
}

/* Adds an element with default values to a list in base. NULL with err set when
 * the list is full. */
void *field_append(const struct field *field, void *base, struct error *err);

/* Frees what the value at `at` owns and sets it to its default. */
void field_clear(const struct field *field, void *at);

/* Removes all elements of a list in base. */
void field_clear_list(const struct field *field, void *base);

/* Clears all fields in base, lists included. */
void field_clear_all(const struct field *fields, void *base);

/* Parses text, which replaces the value at `at`. The text of a group is that of
 * the command line: its keys with commas between them, where ",," stands for a
 * comma in a value. Only a flag may have NULL for its text. After a failure the
 * value at `at` is partly set, and field_clear() frees what it owns. */
int field_parse(const struct field *field, void *at, const char *text,
		struct error *err);

/* Parses text as the value of the field in base, or as one more element of a
 * list. */
int field_set(const struct field *field, void *base, const char *text,
	      struct error *err);

/* Whether the text begins with "KEY=" for a key of this group. Such a text is
 * not the value of a positional key: "vhost-user=SOCK" is no path. A user who
 * has a file of that name writes "./vhost-user=SOCK" or
 * "path=vhost-user=SOCK". */
bool field_names_key(const struct field *group, const char *text);

/* Sets a group's keys to their defaults and notes that the user gave the group,
 * whose keys the caller sets next. */
void field_begin_group(const struct field *field, void *at);

/* The value as field_parse() reads it; the caller frees the text. NULL when the
 * value is not set, or when the host has no more memory. */
char *field_text(const struct field *field, const void *at);
