/*
 * test_bridge_vector.c
 *		Vectors as text: parsing against strtof(), shortest formatting, locale,
 *		and what is refused.
 */
#define _GNU_SOURCE
#include "bridge_support.h"

#include <float.h>
#include <locale.h>

static char message[240];

/* The one number of "[text]", which must parse. */
static float
parse_one(const char *text)
{
	char vector[2048];
	float value = 0;
	int length = snprintf(vector, sizeof(vector), "[%s]", text);
	int n = bridge_vector_parse(vector, (size_t) length, &value, 1, message, sizeof(message));

	if (n != 1)
		fail_msg("\"%s\" does not parse: %s", text, message);
	return value;
}

static void
assert_same_bits(float a, float b, const char *text)
{
	if (memcmp(&a, &b, sizeof(a)) != 0)
		fail_msg("%s: %a, strtof says %a", text, a, b);
}

static void
assert_like_strtof(const char *text)
{
	assert_same_bits(parse_one(text), strtof(text, NULL), text);
}

static Random source = {1};

/* Any finite float but by its bits, so that all magnitudes come. */
static float
random_float(void)
{
	float value;

	do
	{
		uint32_t bits = (uint32_t) random_bits(&source);

		memcpy(&value, &bits, sizeof(value));
	} while (!isfinite(value));
	return value;
}

static void
parses_like_strtof(void **unused)
{
	char text[80];

	for (int i = 0; i < 200000; i++)
	{
		float value = random_float();

		/* as doubles are printed, as floats are, and in between */
		snprintf(text, sizeof(text), "%.*g", 1 + (int) (random_bits(&source) % 20), (double) value);
		if (isfinite(strtof(text, NULL)))
			assert_like_strtof(text);
		snprintf(text, sizeof(text), "%.*f", (int) (random_bits(&source) % 25), (double) value * 1e-20);
		assert_like_strtof(text);
		/* up to 25 random digits with the point anywhere */
		snprintf(text, sizeof(text), "%llu.%llue%d",
				 (unsigned long long) (random_bits(&source) >> random_bits(&source) % 64),
				 (unsigned long long) (random_bits(&source) >> random_bits(&source) % 64),
				 (int) (random_bits(&source) % 50) - 40);
		if (isfinite(strtof(text, NULL)))
			assert_like_strtof(text);
	}
}

/* Where rounding is hardest: exactly between two floats, and a hair beside it. */
static void
parses_midpoints(void **unused)
{
	char text[400];

	for (int i = 0; i < 20000; i++)
	{
		float low = fabsf(random_float());
		float high = nextafterf(low, INFINITY);
		double middle = ((double) low + (double) high) / 2;
		size_t length;

		if (!isfinite(high))
			continue;
		length = (size_t) snprintf(text, sizeof(text), "%.150e", middle);
		assert_like_strtof(text);
		/* the last digit before the exponent is far below the midpoint's own digits */
		text[strcspn(text, "e") - 1]++;
		assert_like_strtof(text);
		assert_true(length < sizeof(text));
		snprintf(text, sizeof(text), "%.17g", nextafter(middle, 0));
		assert_like_strtof(text);
		snprintf(text, sizeof(text), "%.17g", nextafter(middle, INFINITY));
		assert_like_strtof(text);
	}
}

static void
parses_nasty_numbers(void **unused)
{
	static const char *const numbers[] = {
		"0",
		"-0",
		"+0",
		"0.0",
		"-0.0e-500",
		"0e999999999999999999",
		"1",
		"-1",
		"+1.5",
		".5",
		"5.",
		"-.5e1",
		"1e38",
		"3.4028235e38",
		"3.40282346638528859811704183484516925440e+38",
		"3.4028235677973362e38",
		"1.17549435e-38",
		"1.17549428e-38",
		"1.1754942e-38",
		"1.4e-45",
		"7.0064923216240854e-46",
		"7.0064923216240853e-46",
		"7.1e-46",
		"1e-46",
		"1e-400",
		"-1e-99999999999999999999",
		"16777216",
		"16777217",
		"16777218",
		"16777219",
		"9007199254740993",
		"18446744073709551615",
		"18446744073709551616",
		"99999999999999999999999999",
		"0.1",
		"0.3",
		"123456.789e-3",
		"1E5",
		"1e+05",
		"8.3e-23",
		"6.2e-22",
		"1e22",
		"1e23",
		"1e-22",
		"1e-23",
		"4.4e-44",
		"0.000000000000000000000000000000001e5",
		"100000000000000000000000000000000000000",
		"0.00000000000000000000000000000000000001",
	};
	char text[1400];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_like_strtof(numbers[i]);
	/* more digits than anything keeps: zeros before, after, and a last one that decides */
	memset(text, '0', 1000);
	strcpy(text + 1000, "16777217e0");
	assert_like_strtof(text);
	strcpy(text, "16777217.");
	memset(text + 9, '0', 1000);
	strcpy(text + 1009, "0");
	assert_like_strtof(text);
	strcpy(text + 1009, "1");
	assert_like_strtof(text);
	memset(text, '9', 1000);
	strcpy(text + 1000, "e-990");
	assert_like_strtof(text);
	strcpy(text, "0.");
	memset(text + 2, '0', 1000);
	strcpy(text + 1002, "123456789e1010");
	assert_like_strtof(text);
}

static void
refuses(const char *text, const char *reason)
{
	float out[4];
	int n = bridge_vector_parse(text, strlen(text), out, 4, message, sizeof(message));

	if (n >= 0 || strstr(message, reason) == NULL)
		fail_msg("\"%s\": %d, \"%s\", expected \"%s\"", text, n, message, reason);
}

static void
explains_what_it_refuses(void **unused)
{
	float out[4];

	refuses("", "expected \"[\" at its end (character 1)");
	refuses("  ", "expected \"[\" at its end (character 3)");
	refuses("1,2", "expected \"[\" at character 1");
	refuses("[", "at its end (character 2)");
	refuses("[]", "at least one element");
	refuses("[ ]", "at least one element");
	refuses("[1,]", "expected a finite number at character 4");
	refuses("[,1]", "expected a finite number at character 2");
	refuses("[1 2]", "expected \",\" or \"]\" at character 4");
	refuses("[1,2", "expected \",\" or \"]\" at its end (character 5)");
	refuses("[1,2]]", "expected nothing behind \"]\"");
	refuses("[1,2] x", "expected nothing behind \"]\"");
	refuses("[nan]", "finite");
	refuses("[NaN,1]", "finite");
	refuses("[1,Infinity]", "finite");
	refuses("[-inf]", "finite");
	refuses("[null]", "finite");
	refuses("[\"1\"]", "finite");
	refuses("[[1]]", "finite");
	refuses("{\"a\":1}", "expected \"[\"");
	refuses("[.]", "finite");
	refuses("[-]", "finite");
	refuses("[1e]", "exponent");
	refuses("[1e+]", "exponent");
	refuses("[0xg]", "hexadecimal digits");
	refuses("[0x]", "expected");
	refuses("[0x.]", "hexadecimal digits");
	refuses("[0x1.1.1]", "expected \",\"");
	refuses("[0x1p]", "exponent");
	refuses("[0x1p-]", "exponent");
	refuses("[0x1p128]", "range of float32");
	refuses("[-0xffffff80000000000000000000000000]", "range of float32");
	refuses("[1_000]", "expected \",\"");
	refuses("[1e39]", "range of float32");
	refuses("[-3.5e38]", "range of float32");
	refuses("[3.4028236e38]", "range of float32");
	refuses("[1e99999999999999999999999]", "range of float32");
	refuses("[1,2,3,4,5]", "more than 4 elements");
	refuses(
		"[\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4]",
		"near \"\xc3\xa4");
	/* the end is the length, not a zero byte; a zero byte is no blank */
	assert_int_equal(bridge_vector_parse("[1]garbage", 3, out, 4, message, sizeof(message)), 1);
	assert_int_equal(bridge_vector_parse("[1\0]", 4, out, 4, message, sizeof(message)), -1);
	/* a message cut short is still a text, and none may be asked for */
	assert_int_equal(bridge_vector_parse("[x]", 3, out, 4, message, 8), -1);
	assert_int_equal(strlen(message), 7);
	assert_int_equal(bridge_vector_parse("[x]", 3, out, 4, NULL, 0), -1);
}

/* Callers turn the kinds into SQLSTATEs. */
static void
tells_the_kind_of_failure(void **unused)
{
	static const struct
	{
		const char *text;
		int kind;
	} texts[] = {
		{"[1", BRIDGE_VECTOR_SYNTAX},       {"[x]", BRIDGE_VECTOR_SYNTAX},
		{"[n]", BRIDGE_VECTOR_SYNTAX},      {"[]", BRIDGE_VECTOR_EMPTY},
		{"[ ]", BRIDGE_VECTOR_EMPTY},       {"[1,1e39]", BRIDGE_VECTOR_RANGE},
		{"[0x1p128]", BRIDGE_VECTOR_RANGE}, {"[1,NaN]", BRIDGE_VECTOR_NAN},
		{"[-nan]", BRIDGE_VECTOR_NAN},      {"[Infinity]", BRIDGE_VECTOR_INFINITE},
		{"[-inf]", BRIDGE_VECTOR_INFINITE}, {"[1,2,3,4,5]", BRIDGE_VECTOR_LONG},
	};
	float out[4];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(
			bridge_vector_parse(texts[i].text, strlen(texts[i].text), out, 4, message, sizeof(message)),
			texts[i].kind);
}

static void
parses_hexadecimal_like_strtof(void **unused)
{
	static const char *const numbers[] = {
		"0x0",
		"-0x0",
		"0x10",
		"-0XfF",
		"0x.8",
		"0x8.",
		"0x1p-2",
		"0x1.8P+3",
		"0x1p-149",
		"0x1p-150",
		"0x1.8p-150",
		"0x1.000001p0",
		"0x1.0000010000000000000001p0",
		"0x1.000003p0",
		"0x1.fffffep127",
		"0x0000000000000000000000000000000001.8p1",
		"0x0.00000000000000000000000000000001p100",
		"0x123456789abcdef0123456789p-90",
		"0x1000001000000000000000000000000000001p-100",
		"0x1p-99999999999999999999",
	};
	char text[80];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_like_strtof(numbers[i]);
	for (int i = 0; i < 50000; i++)
	{
		float value = random_float();

		snprintf(text, sizeof(text), "%a", (double) value);
		assert_same_bits(parse_one(text), value, text);
		snprintf(text, sizeof(text), "%s0x%llx.%llxp%d", random_bits(&source) % 2 ? "-" : "",
				 (unsigned long long) (random_bits(&source) >> random_bits(&source) % 64),
				 (unsigned long long) (random_bits(&source) >> random_bits(&source) % 64),
				 (int) (random_bits(&source) % 250) - 190);
		if (isfinite(strtof(text, NULL)))
			assert_like_strtof(text);
	}
}

static void
accepts_blanks(void **unused)
{
	float out[3];

	assert_int_equal(bridge_vector_parse(" \t\n[ 1 ,\r2,3 ]\n ", 16, out, 3, message, sizeof(message)), 3);
	assert_true(out[0] == 1 && out[1] == 2 && out[2] == 3);
}

/* Significant digits of a number's text. */
static int
count_digits(const char *text)
{
	int n = 0;
	int zeros = 0;

	for (; *text != '\0' && *text != 'e'; text++)
	{
		if (*text < '0' || *text > '9' || (*text == '0' && n == 0))
			continue;
		n++;
		zeros = *text == '0' ? zeros + 1 : 0;
	}
	return n - zeros;
}

static void
assert_formats_shortest(float value)
{
	char text[64];
	char shorter[64];
	size_t length = bridge_vector_format(&value, 1, text);
	int digits;

	assert_int_equal(length, strlen(text));
	assert_true(length <= 16 + 2);
	text[length - 1] = '\0';
	assert_same_bits(strtof(text + 1, NULL), value, text);
	assert_same_bits(parse_one(text + 1), value, text);
	/* no shorter one does, and of its length none is nearer */
	digits = count_digits(text);
	if (digits > 1)
	{
		float back;

		snprintf(shorter, sizeof(shorter), "%.*e", digits - 2, (double) value);
		back = strtof(shorter, NULL);
		if (memcmp(&back, &value, sizeof(back)) == 0)
			fail_msg("%s has %d digits, %s does with less", text + 1, digits, shorter);
		snprintf(shorter, sizeof(shorter), "%.*e", digits - 1, (double) value);
		back = strtof(shorter, NULL);
		if (memcmp(&back, &value, sizeof(back)) == 0 &&
			fabs(strtod(text + 1, NULL) - (double) value) > fabs(strtod(shorter, NULL) - (double) value))
			fail_msg("%s: %s is nearer", text + 1, shorter);
	}
}

static void
formats_shortest(void **unused)
{
	for (int i = 0; i < 300000; i++)
		assert_formats_shortest(random_float());
	/* every power of two, its neighbours, and the smallest numbers */
	for (int e = -149; e <= 127; e++)
	{
		float value = ldexpf(1, e);

		assert_formats_shortest(value);
		assert_formats_shortest(-nextafterf(value, INFINITY));
		if (e > -149)
			assert_formats_shortest(nextafterf(value, 0));
	}
	assert_formats_shortest(FLT_MAX);
	for (uint32_t bits = 1; bits < 3000; bits++)
	{
		float value;

		memcpy(&value, &bits, sizeof(value));
		assert_formats_shortest(value);
	}
}

static void
formats_plainly(void **unused)
{
	static const struct
	{
		float value;
		const char *text;
	} cases[] = {
		{0, "[0]"},
		{-0.0f, "[-0]"},
		{1, "[1]"},
		{-1.5f, "[-1.5]"},
		{0.1f, "[0.1]"},
		{1e-4f, "[0.0001]"},
		{1e-5f, "[1e-05]"},
		{16777216, "[16777216]"},
		{1e9f, "[1000000000]"},
		{1e10f, "[1e+10]"},
		{1.5e-7f, "[1.5e-07]"},
		{3.4028235e38f, "[3.4028235e+38]"},
		{1e-45f, "[1e-45]"},
		{123456.79f, "[123456.79]"},
	};
	char text[200];
	const float three[] = {1, -2.5f, 3e20f};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		bridge_vector_format(&cases[i].value, 1, text);
		assert_string_equal(text, cases[i].text);
	}
	bridge_vector_format(three, 3, text);
	assert_string_equal(text, "[1,-2.5,3e+20]");
}

/* Take a locale with a decimal comma: an installed one, or else one that is made for it. */
static void
set_decimal_comma(void)
{
	static const char *const installed[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ru_RU.UTF-8"};
	char *folder;
	char *command;
	bool made;

	for (size_t i = 0; i < sizeof(installed) / sizeof(installed[0]); i++)
		if (setlocale(LC_ALL, installed[i]) != NULL)
			return;
	folder = make_folder();
	assert_true(asprintf(&command, "localedef -i de_DE -f UTF-8 '%s/comma.UTF-8'", folder) > 0);
	made = system(command) == 0;
	free(command);
	setenv("LOCPATH", folder, 1);
	made = made && setlocale(LC_ALL, "comma.UTF-8") != NULL;
	unsetenv("LOCPATH");
	remove_folder(folder);
	if (!made)
		fail_msg("no locale has a decimal comma, and none can be made: please install one, or what localedef "
				 "needs (the package locales)");
}

/* A decimal comma in the process's locale changes nothing. */
static void
ignores_the_locale(void **unused)
{
	char text[64];
	float value = 0.1f;

	set_decimal_comma();
	assert_true(strtod("0,5", NULL) == 0.5);
	bridge_vector_format(&value, 1, text);
	assert_string_equal(text, "[0.1]");
	assert_true(parse_one("0.5") == 0.5f);
	/* through strtof(): exactly between two floats, so that only the exact way will do */
	assert_true(parse_one("16777217.0000000000000000000000000") == 16777216.0f);
	assert_true(parse_one("16777217.0000000000000000000000001") == 16777218.0f);
	setlocale(LC_ALL, "C");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_like_strtof),
		cmocka_unit_test(parses_midpoints),
		cmocka_unit_test(parses_nasty_numbers),
		cmocka_unit_test(explains_what_it_refuses),
		cmocka_unit_test(tells_the_kind_of_failure),
		cmocka_unit_test(parses_hexadecimal_like_strtof),
		cmocka_unit_test(accepts_blanks),
		cmocka_unit_test(formats_shortest),
		cmocka_unit_test(formats_plainly),
		cmocka_unit_test(ignores_the_locale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
