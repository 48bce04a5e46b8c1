/* Reads a configuration file, in JSON, with jansson. field_parse() gets every
 * value as text, so that JSON and command line accept and refuse the same. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/config/section.h"

static int read_value(const struct field *field, void *at, json_t *value,
		      struct error *err);

/* Reads the value of a member of base: one value, or the array of a list. */
static int read_member(const struct field *field, void *base, json_t *value,
		       struct error *err)
{
	size_t index;
	json_t *element;

	if (!field->stride)
		return read_value(field, field_at(field, base, 0), value, err);
	if (!json_is_array(value))
		return error_usage(err, "%s: must be an array", field->name);
	field_clear_list(field, base);
	json_array_foreach(value, index, element)
	{
		void *at = field_append(field, base, err);

		if (!at || read_value(field, at, element, err))
			return -1;
	}
	return 0;
}

/* Reads the keys of a group into base or, where group is NULL, the options into
 * the configuration. */
static int read_object(const struct field *group, void *base, json_t *object,
		       struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		const struct field *field = group ? field_find(group, key)
						  : config_find_option(key);

		if (!field && !group && config_is_foreign(key, err))
			return -1;
		if (!field)
			return error_usage(err, "unknown key \"%s\"", key);
		if (read_member(field, base, value, err))
			return -1;
	}
	return 0;
}

/* Without this check, true where a path is wanted would become the path
 * "true". */
static int check_type(const struct field *field, const json_t *value,
		      struct error *err)
{
	static const char *const wanted[] = {
		[FIELD_STRING] = "a string",
		[FIELD_FLAG] = "true or false",
		[FIELD_UINT] = "a whole number",
		[FIELD_SIZE] = "a whole number or a string",
		[FIELD_MAC] = "a string",
		[FIELD_CHOICE] = "a string",
		[FIELD_GROUP] = "a string or an object",
	};
	enum field_type type = field->type;
	bool number = type == FIELD_UINT || type == FIELD_SIZE;

	/* "memory": 536870912 */
	if (type == FIELD_GROUP)
		number = field->group->positional &&
			 field->group->type == FIELD_SIZE;
	/* "balloon": true */
	if (field_may_stand_alone(field) && json_is_boolean(value))
		return 0;
	if (type == FIELD_FLAG && json_is_boolean(value))
		return 0;
	if (type != FIELD_FLAG && json_is_string(value))
		return 0;
	if (number && json_is_integer(value))
		return 0;
	return error_usage(err, "%s: must be %s%s", field->name,
			   field_may_stand_alone(field)	   ? "true, false, "
			   : type == FIELD_GROUP && number ? "a whole number, "
							   : "",
			   wanted[field->type]);
}

/* Spells strings, booleans and whole numbers as the command line would. */
static int read_value(const struct field *field, void *at, json_t *value,
		      struct error *err)
{
	char number[32];
	const char *text;

	if (field->type == FIELD_GROUP && json_is_object(value)) {
		field_begin_group(field, at);
		if (read_object(field->group, at, value, err))
			return error_wrap(err, "%s", field->name);
		return 0;
	}
	if (check_type(field, value, err))
		return -1;
	if (field->type == FIELD_GROUP && json_is_false(value)) {
		field_clear(field, at);
		return 0;
	}
	switch (json_typeof(value)) {
	case JSON_STRING:
		text = json_string_value(value);
		if (strlen(text) != json_string_length(value))
			return error_usage(err, "%s: contains a zero byte",
					   field->name);
		break;
	case JSON_TRUE:
		text = field->type == FIELD_GROUP ? "" : "true";
		break;
	case JSON_INTEGER:
		snprintf(number, sizeof(number), "%lld",
			 (long long)json_integer_value(value));
		text = number;
		break;
	default:
		text = "false";
		break;
	}
	return field_parse(field, at, text, err);
}

int config_parse_json(struct vm_config *config, const char *text, size_t len,
		      struct error *err)
{
	json_error_t where;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
	int ret;

	if (!root)
		return error_usage(err, "line %d: %s", where.line, where.text);
	if (json_is_object(root))
		ret = read_object(NULL, config, root, err);
	else
		ret = error_usage(err, "not a JSON object");
	json_decref(root);
	return ret;
}

#define CONFIG_FILE_MAX (1 << 20)

/* Reads all of a file, at most CONFIG_FILE_MAX - 1 bytes. 0 or an errno. */
static int read_file(const char *path, char *text, size_t *len)
{
	FILE *file = fopen(path, "re");
	int ret = 0;

	if (!file)
		return errno;
	*len = fread(text, 1, CONFIG_FILE_MAX, file);
	if (ferror(file))
		ret = errno;
	else if (*len == CONFIG_FILE_MAX)
		ret = EFBIG;
	fclose(file);
	return ret;
}

int config_load_json(struct vm_config *config, const char *path,
		     struct error *err)
{
	autofree char *text = malloc(CONFIG_FILE_MAX);
	size_t len = 0;
	int ret = text ? read_file(path, text, &len) : ENOMEM;

	if (ret)
		return error_set(err, ERROR_USAGE, ret, "config %s", path);
	if (config_parse_json(config, text, len, err))
		return error_wrap(err, "config %s", path);
	return 0;
}
