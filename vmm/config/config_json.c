/* The JSON form of the configuration, by jansson. Every value ends up in
 * field_parse(), so that both forms accept and refuse the same. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "vmm/config/config.h"
#include "vmm/config/config_fields.h"

static int read_value(const struct field *field, void *at, json_t *value,
		      struct error *err);

static int read_object(const struct field *fields, void *base, json_t *object,
		       struct error *err)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		const struct field *field = field_find(fields, key);
		size_t index;
		json_t *element;

		if (!field && field_is_foreign(key, err))
			return -1;
		if (!field)
			return error_set(err, ERROR_USAGE, 0,
					 "unknown key \"%s\"", key);
		if (!field->stride) {
			if (read_value(field, field_at(field, base, 0), value,
				       err))
				return -1;
			continue;
		}
		if (!json_is_array(value))
			return error_set(err, ERROR_USAGE, 0,
					 "%s: must be an array", key);
		field_clear_list(field, base);
		json_array_foreach(value, index, element)
		{
			void *at = field_append(field, base, err);

			if (!at || read_value(field, at, element, err))
				return -1;
		}
	}
	return 0;
}

/* A number or a flag where a path is wanted would become the path "true". */
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
	return error_set(err, ERROR_USAGE, 0, "%s: must be %s%s", field->name,
			 field_may_stand_alone(field)	 ? "true, false, "
			 : type == FIELD_GROUP && number ? "a whole number, "
							 : "",
			 wanted[field->type]);
}

/* Strings, booleans and whole numbers as the command line would spell them. */
static int read_value(const struct field *field, void *at, json_t *value,
		      struct error *err)
{
	char number[32];
	const char *text;

	/* an earlier file's group is replaced, not added to */
	if (field->type == FIELD_GROUP)
		field_clear(field, at);
	if (field->type == FIELD_GROUP && json_is_object(value)) {
		field_set_given(field, at);
		if (read_object(field->group, at, value, err))
			return error_wrap(err, "%s", field->name);
		return 0;
	}
	if (check_type(field, value, err))
		return -1;
	if (field->type == FIELD_GROUP && json_is_false(value))
		return 0;
	switch (json_typeof(value)) {
	case JSON_STRING:
		text = json_string_value(value);
		if (strlen(text) != json_string_length(value))
			return error_set(err, ERROR_USAGE, 0,
					 "%s: holds a zero byte", field->name);
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
		return error_set(err, ERROR_USAGE, 0, "line %d: %s", where.line,
				 where.text);
	if (json_is_object(root))
		ret = read_object(config_fields, config, root, err);
	else
		ret = error_set(err, ERROR_USAGE, 0, "not a JSON object");
	json_decref(root);
	return ret;
}

#define CONFIG_FILE_MAX (1 << 20)

int config_load_json(struct vm_config *config, const char *path,
		     struct error *err)
{
	autofree char *text = malloc(CONFIG_FILE_MAX);
	FILE *file = fopen(path, "re");
	size_t len;

	if (!file || !text) {
		error_set(err, ERROR_USAGE, errno, "config %s", path);
		if (file)
			fclose(file);
		return -1;
	}
	len = fread(text, 1, CONFIG_FILE_MAX, file);
	if (ferror(file) || len == CONFIG_FILE_MAX) {
		error_set(err, ERROR_USAGE, ferror(file) ? errno : EFBIG,
			  "config %s", path);
		fclose(file);
		return -1;
	}
	fclose(file);
	if (config_parse_json(config, text, len, err))
		return error_wrap(err, "config %s", path);
	return 0;
}
