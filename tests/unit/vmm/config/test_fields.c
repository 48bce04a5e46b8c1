/* Fields of every type: how text becomes a value, how a value becomes text, and
 * who owns what. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/config/fields.h"

struct inner {
	char *path;
	uint64_t size;
	bool odd;
	char *words[2];
	unsigned word_count;
	bool given; /* not the first member */
};

struct outer {
	char *string;
	char *maybe;
	bool flag;
	uint64_t number;
	uint64_t size;
	struct config_mac mac;
	int choice;
	struct inner group;
	struct inner list[2];
	unsigned list_count;
};

static const struct field inner_fields[] = {
	{ "path", FIELD_STRING, FIELD_AT(inner, path), .positional = true },
	{ "size", FIELD_SIZE, FIELD_AT(inner, size), .preset = 1 << 20 },
	{ "odd", FIELD_FLAG, FIELD_AT(inner, odd) },
	{ "word", FIELD_STRING, FIELD_LIST(inner, words, word_count) },
	{ .name = NULL },
};

static const char *const colours[] = { "red", "green", NULL };

static const struct field fields[] = {
	{ "string", FIELD_STRING, FIELD_AT(outer, string) },
	{ "maybe", FIELD_STRING, FIELD_AT(outer, maybe), .may_be_empty = true },
	{ "flag", FIELD_FLAG, FIELD_AT(outer, flag) },
	{ "number", FIELD_UINT, FIELD_AT(outer, number), .min = 2, .max = 9 },
	{ "size", FIELD_SIZE, FIELD_AT(outer, size) },
	{ "mac", FIELD_MAC, FIELD_AT(outer, mac) },
	{ "choice", FIELD_CHOICE, FIELD_AT(outer, choice), .preset = 1,
	  .choices = colours, .arg = "red|green" },
	{ "group", FIELD_GROUP, FIELD_AT(outer, group), .group = inner_fields,
	  FIELD_GIVEN(inner, given) },
	{ "list", FIELD_GROUP, FIELD_LIST(outer, list, list_count),
	  .group = inner_fields },
	{ .name = NULL },
};

static struct outer outer;

static int setup(void **state)
{
	outer = (struct outer){ 0 };
	field_clear_all(fields, &outer);
	*state = &outer;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	field_clear_all(fields, &outer);
	return 0;
}

static int parse(const char *name, const char *text, struct error *err)
{
	const struct field *field = field_find(fields, name);

	assert_non_null(field);
	return field_set(field, &outer, text, err);
}

static void accept(const char *name, const char *text)
{
	struct error err;

	assert_int_equal(parse(name, text, &err), 0);
}

/* The reason, the whole of it, why text is no value of this field. */
static void refuse(const char *name, const char *text, const char *why)
{
	struct error err = { 0 };

	assert_int_equal(parse(name, text, &err), -1);
	assert_string_equal(err.text, why);
	assert_int_equal(err.class, ERROR_USAGE);
}

/* What a value prints as; NULL for one that is not set. */
static void assert_prints(const char *name, const char *expected)
{
	const struct field *field = field_find(fields, name);
	char *text = field_text(field, field_at(field, &outer, 0));

	assert_int_equal(text != NULL, expected != NULL);
	if (expected)
		assert_string_equal(text, expected);
	free(text);
}

static void strings_are_copies_and_replaced(void **state)
{
	char text[] = "first";

	(void)state;
	accept("string", text);
	text[0] = 'x';
	assert_prints("string", "first");
	accept("string", "second");
	assert_prints("string", "second");
	refuse("string", "", "string: is empty");
	accept("maybe", "");
	assert_prints("maybe", "");
}

static void flags(void **state)
{
	(void)state;
	accept("flag", NULL);
	assert_true(outer.flag);
	accept("flag", "false");
	assert_false(outer.flag);
	accept("flag", "true");
	assert_true(outer.flag);
	refuse("flag", "yes", "flag: 'yes' is neither true nor false");
}

static void numbers_have_a_range_and_no_sign(void **state)
{
	(void)state;
	assert_prints("number", NULL);
	accept("number", "2");
	accept("number", "9");
	assert_prints("number", "9");
	refuse("number", "1", "number: 1 is outside 2 to 9");
	refuse("number", "10", "number: 10 is outside 2 to 9");
	refuse("number", "-3", "number: '-3' is not a number");
	refuse("number", " 3", "number: ' 3' is not a number");
	refuse("number", "3K", "number: '3K' is not a number");
	refuse("number", "", "number: '' is not a number");
	refuse("number", "18446744073709551618",
	       "number: '18446744073709551618' is not a number");
}

static void sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		const char *printed;
	} cases[] = {
		{ "1", 1, "1" },
		{ "1k", 1 << 10, "1K" },
		{ "1536", 1536, "1536" },
		{ "2048K", 2 << 20, "2M" },
		{ "3G", 3ULL << 30, "3072M" },
		{ "16777215T", 16777215ULL << 40, "17592184995840M" },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		accept("size", cases[i].text);
		assert_int_equal(outer.size, cases[i].bytes);
		assert_prints("size", cases[i].printed);
	}
	refuse("size", "16777216T",
	       "size: '16777216T' is not a size such as 512M");
	refuse("size", "1 ", "size: '1 ' is not a size such as 512M");
	refuse("size", "1KK", "size: '1KK' is not a size such as 512M");
	refuse("size", "K", "size: 'K' is not a size such as 512M");
}

static void mac_addresses(void **state)
{
	static const char *const wrong[] = {
		"02:00:00:00:00",    "02:00:00:00:00:01:02", "2:00:00:00:00:01",
		"02-00-00-00-00-01", "02:00:00:00:00:0g",    "02:00:00:00:00: 1"
	};
	char why[100];

	(void)state;
	assert_prints("mac", NULL);
	accept("mac", "0A:00:00:00:00:ff");
	assert_prints("mac", "0a:00:00:00:00:ff");
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(why, sizeof(why),
			 "mac: '%s' is not a MAC address such as "
			 "02:00:00:00:00:01",
			 wrong[i]);
		refuse("mac", wrong[i], why);
	}
	refuse("mac", "01:00:00:00:00:00",
	       "mac: 01:00:00:00:00:00 is a multicast address");
}

static void choices(void **state)
{
	(void)state;
	assert_prints("choice", "green");
	accept("choice", "red");
	assert_prints("choice", "red");
	refuse("choice", "re", "choice: 're' is not one of red|green");
}

static void a_group_says_that_it_was_given(void **state)
{
	(void)state;
	assert_false(outer.group.given);
	assert_prints("group", NULL);
	accept("group", "");
	assert_true(outer.group.given);
	assert_null(outer.group.path);
	assert_prints("group", "size=1M");
	field_clear(field_find(fields, "group"), &outer.group);
	assert_false(outer.group.given);
}

static void a_group_takes_the_place_of_the_one_before(void **state)
{
	(void)state;
	accept("group", "/a,odd,word=x,word=y,size=4K");
	assert_prints("group", "/a,size=4K,odd,word=x,word=y");
	accept("group", "size=2M");
	assert_prints("group", "size=2M");
}

static void commas_of_a_value_are_doubled(void **state)
{
	(void)state;
	accept("group", "/a,,b,word=,,");
	assert_string_equal(outer.group.path, "/a,b");
	assert_string_equal(outer.group.words[0], ",");
	assert_prints("group", "/a,,b,size=1M,word=,,");
}

static void a_path_that_looks_like_a_key_needs_its_name(void **state)
{
	(void)state;
	accept("group", "size=3M");
	assert_null(outer.group.path);
	accept("group", "path=size=3M");
	assert_string_equal(outer.group.path, "size=3M");
	assert_prints("group", "path=size=3M,size=1M");
	accept("group", "sizes=3M");
	assert_string_equal(outer.group.path, "sizes=3M");
}

static void what_is_wrong_in_a_group_is_named(void **state)
{
	(void)state;
	refuse("group", "/a,color=x", "group: unknown key 'color'");
	refuse("group", "/a,size", "group: size needs a value: size=");
	refuse("group", "/a,", "group: unknown key ''");
	refuse("group", "/a,odd=maybe",
	       "group: odd: 'maybe' is neither true nor false");
	refuse("group", "/a,word=1,word=2,word=3",
	       "group: word: at most 2 can be given");
	refuse("list", "", "list: path: is empty");
}

static void a_list_has_room_for_so_many_and_fresh_elements(void **state)
{
	(void)state;
	accept("list", "/a,size=4K");
	accept("list", "/b");
	assert_int_equal(outer.list_count, 2);
	assert_int_equal(outer.list[1].size, 1 << 20);
	refuse("list", "/c", "list: at most 2 can be given");
	field_clear_list(field_find(fields, "list"), &outer);
	assert_int_equal(outer.list_count, 0);
	assert_null(outer.list[0].path);
	accept("list", "/d");
	assert_int_equal(outer.list[0].size, 1 << 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(strings_are_copies_and_replaced),
		TEST(flags),
		TEST(numbers_have_a_range_and_no_sign),
		TEST(sizes_have_units),
		TEST(mac_addresses),
		TEST(choices),
		TEST(a_group_says_that_it_was_given),
		TEST(a_group_takes_the_place_of_the_one_before),
		TEST(commas_of_a_value_are_doubled),
		TEST(a_path_that_looks_like_a_key_needs_its_name),
		TEST(what_is_wrong_in_a_group_is_named),
		TEST(a_list_has_room_for_so_many_and_fresh_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
