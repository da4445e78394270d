/*
 * decimal.c
 *		Exact decimal numbers for SQLite, as a column of type numeric reads them.
 *
 * vss_numeric(x [, precision, scale]): a BLOB that compares, byte by byte, as
 * the number does among numerics: a byte for the sign and kind, the weight, two
 * digits a byte.  All but the first byte of a negative number is inverted.
 *
 * vss_numeric_text(key [, scale]): the number of such a BLOB, with scale digits
 * after the point, else with as many as it needs.
 *
 * vss_numeric_low(from), vss_numeric_high(from, to): bounds in a column of numeric
 * affinity of the numbers between two such; see bounds.c.
 *
 * A REAL is the shortest decimal that reads back to it, as everywhere in the
 * wrapper; TEXT is what numeric's input function takes: digits with a point and
 * an exponent, NaN, infinities.
 *
 * Called by SQLite: no error of PostgreSQL's may be raised below, and nothing
 * palloc'd.
 */
#include "postgres.h"

#include <float.h>
#include <limits.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "utils/numeric.h"

#include "fdw/sqlfn/sqlfn.h"

/* What the type numeric holds: digits after the point, digits before it. */
#define MAX_DSCALE 16383
#define MAX_WEIGHT 131072

/* ---------- reading ---------- */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* NaN and infinities, after which only blanks may come. */
static bool
parse_special(const char *p, Decimal *out)
{
	static const struct
	{
		const char *name;
		DecimalKind kind;
	} names[] = {{"nan", DECIMAL_NAN},
				 {"infinity", DECIMAL_INFINITY},
				 {"+infinity", DECIMAL_INFINITY},
				 {"-infinity", DECIMAL_MINUS_INFINITY},
				 {"inf", DECIMAL_INFINITY},
				 {"+inf", DECIMAL_INFINITY},
				 {"-inf", DECIMAL_MINUS_INFINITY}};

	for (int i = 0; i < lengthof(names); i++)
	{
		size_t length = strlen(names[i].name);

		if (pg_strncasecmp(p, names[i].name, length) != 0)
			continue;
		p += length;
		while (is_blank(*p))
			p++;
		if (*p != '\0')
			return false;
		out->kind = names[i].kind;
		return true;
	}
	return false;
}

/* The exponent after e; false when it is none, or one that numeric's input refuses. */
static bool
parse_exponent(const char **p, int *exponent)
{
	bool negative = **p == '-';
	int64 value = 0;

	if (**p == '-' || **p == '+')
		(*p)++;
	if (**p < '0' || **p > '9')
		return false;
	for (; **p >= '0' && **p <= '9'; (*p)++)
	{
		if (value <= INT_MAX)
			value = value * 10 + (**p - '0');
	}
	*exponent = (int) (negative ? -value : value);
	return value < INT_MAX / 2;
}

static void
strip_zeros(Decimal *decimal)
{
	int leading = 0;

	while (leading < decimal->ndigits && decimal->digits[leading] == 0)
		leading++;
	if (leading > 0)
	{
		memmove(decimal->digits, decimal->digits + leading, decimal->ndigits - leading);
		decimal->ndigits -= leading;
		decimal->weight -= leading;
	}
	while (decimal->ndigits > 0 && decimal->digits[decimal->ndigits - 1] == 0)
		decimal->ndigits--;
	if (decimal->ndigits == 0)
	{
		decimal->weight = 0;
		decimal->negative = false;
	}
}

/* out->digits has room for all characters of the text. */
static bool
parse_decimal(const char *p, Decimal *out)
{
	bool point = false;
	int exponent = 0;

	while (is_blank(*p))
		p++;
	if (parse_special(p, out))
		return true;
	out->kind = DECIMAL_FINITE;
	out->negative = *p == '-';
	if (*p == '-' || *p == '+')
		p++;
	/* a digit must follow the sign, or the point that follows it */
	if (!(*p >= '0' && *p <= '9') && !(*p == '.' && p[1] >= '0' && p[1] <= '9'))
		return false;
	for (;; p++)
	{
		if (*p == '.' && !point)
			point = true;
		else if (*p >= '0' && *p <= '9')
		{
			out->digits[out->ndigits++] = (unsigned char) (*p - '0');
			if (point)
				out->dscale++;
			else
				out->weight++;
		}
		else
			break;
	}
	if (*p == 'e' || *p == 'E')
	{
		p++;
		if (!parse_exponent(&p, &exponent))
			return false;
		out->weight += exponent;
		out->dscale = Max(out->dscale - exponent, 0);
	}
	while (is_blank(*p))
		p++;
	if (*p != '\0')
		return false;
	strip_zeros(out);
	return true;
}

/* Round to scale digits after the point (before it, if negative), halves away from zero. */
static void
round_decimal(Decimal *decimal, int scale)
{
	int keep = decimal->weight + scale;

	decimal->dscale = Max(scale, 0);
	if (keep >= decimal->ndigits)
		return;
	if (keep < 0 || (keep == 0 && decimal->digits[0] < 5))
	{
		decimal->ndigits = 0;
		strip_zeros(decimal);
		return;
	}
	if (decimal->digits[keep] >= 5)
	{
		int i = keep - 1;

		while (i >= 0 && decimal->digits[i] == 9)
			decimal->digits[i--] = 0;
		if (i >= 0)
			decimal->digits[i]++;
		else
		{
			/* all nines: one, and as many zeros */
			decimal->digits[0] = 1;
			decimal->weight++;
			keep = 1;
		}
	}
	decimal->ndigits = keep;
	strip_zeros(decimal);
}

/* As numeric(precision, scale) does; false when the number has too many digits before the point. */
static bool
apply_precision(Decimal *decimal, int precision, int scale)
{
	if (decimal->kind == DECIMAL_NAN)
		return true;
	if (decimal->kind != DECIMAL_FINITE)
		return false;
	round_decimal(decimal, scale);
	return decimal->ndigits == 0 || decimal->weight <= precision - scale;
}

bool
vssfdw_is_plain_number(const char *text, unsigned char *scratch)
{
	Decimal decimal = {.digits = scratch};

	return parse_decimal(text, &decimal);
}

bool
vssfdw_decimal_read(sqlite3_context *context, int argc, sqlite3_value **argv, Decimal *out)
{
	char shortest[DOUBLE_SHORTEST_DECIMAL_LEN];
	const char *text;
	int length;
	int precision = 0;
	int scale = 0;

	memset(out, 0, offsetof(Decimal, local));
	out->digits = out->local;
	if (!vssfdw_small_argument(context, argc, argv, 1, 1, NUMERIC_MAX_PRECISION, &precision) ||
		!vssfdw_small_argument(context, argc, argv, 2, -NUMERIC_MAX_PRECISION, NUMERIC_MAX_PRECISION, &scale))
		return false;
	switch (sqlite3_value_type(argv[0]))
	{
		case SQLITE_NULL:
			return false;
		case SQLITE_BLOB:
			vssfdw_result_misfit(context, argv[0], "numeric", NULL);
			return false;
		case SQLITE_FLOAT:
			length = double_to_shortest_decimal_buf(sqlite3_value_double(argv[0]), shortest);
			text = shortest;
			break;
		default:
			text = (const char *) sqlite3_value_text(argv[0]);
			length = sqlite3_value_bytes(argv[0]);
			break;
	}
	if (text == NULL || (length >= (int) sizeof(out->local) &&
						 (out->digits = sqlite3_malloc64((sqlite3_uint64) length + 1)) == NULL))
	{
		out->digits = out->local;
		sqlite3_result_error_nomem(context);
		return false;
	}
	if (memchr(text, '\0', length) != NULL || !parse_decimal(text, out))
	{
		vssfdw_result_misfit(context, argv[0], "numeric", NULL);
		return false;
	}
	if ((argc > 2 && !apply_precision(out, precision, scale)) || out->dscale > MAX_DSCALE ||
		out->weight > MAX_WEIGHT)
	{
		vssfdw_result_misfit(context, argv[0], "numeric", "it has too many digits");
		return false;
	}
	return true;
}

void
vssfdw_decimal_free(Decimal *decimal)
{
	if (decimal->digits != decimal->local)
		sqlite3_free(decimal->digits);
}

/* ---------- keys ---------- */

/* The first byte of a key. */
enum KeyKind
{
	KEY_MINUS_INFINITY,
	KEY_NEGATIVE,
	KEY_ZERO,
	KEY_POSITIVE,
	KEY_INFINITY,
	KEY_NAN
};

/* After it: four bytes of weight, then the digits. */
#define KEY_HEADER 5

/* Returns the key's length; key has room for KEY_HEADER + ndigits / 2 + 2 bytes. */
static int
encode(const Decimal *decimal, unsigned char *key)
{
	uint32 weight = (uint32) decimal->weight ^ UINT32_C(0x80000000);
	int length = KEY_HEADER;

	if (decimal->kind != DECIMAL_FINITE || decimal->ndigits == 0)
	{
		key[0] = decimal->kind == DECIMAL_FINITE           ? KEY_ZERO
				 : decimal->kind == DECIMAL_NAN            ? KEY_NAN
				 : decimal->kind == DECIMAL_MINUS_INFINITY ? KEY_MINUS_INFINITY
														   : KEY_INFINITY;
		return 1;
	}
	key[0] = decimal->negative ? KEY_NEGATIVE : KEY_POSITIVE;
	for (int i = 0; i < 4; i++)
		key[1 + i] = (unsigned char) (weight >> (24 - 8 * i));
	for (int i = 0; i < decimal->ndigits; i += 2)
		key[length++] = (unsigned char) (decimal->digits[i] * 10 +
										 (i + 1 < decimal->ndigits ? decimal->digits[i + 1] : 0));
	if (decimal->negative)
	{
		for (int i = 1; i < length; i++)
			key[i] = (unsigned char) ~key[i];
		/* the shorter of two that begin alike is the greater */
		key[length++] = 0xFF;
	}
	return length;
}

static void
key_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	Decimal decimal;
	unsigned char local[64];
	unsigned char *key = local;
	int room;

	if (vssfdw_decimal_read(context, argc, argv, &decimal))
	{
		room = KEY_HEADER + decimal.ndigits / 2 + 2;
		if (room > (int) sizeof(local))
			key = sqlite3_malloc(room);
		if (key == NULL)
			sqlite3_result_error_nomem(context);
		else
			sqlite3_result_blob(context, key, encode(&decimal, key), SQLITE_TRANSIENT);
		if (key != local)
			sqlite3_free(key);
	}
	vssfdw_decimal_free(&decimal);
}

void
vssfdw_decimal_result(sqlite3_context *context, bool negative, uint64 magnitude, int scale)
{
	Decimal decimal = {.kind = DECIMAL_FINITE, .negative = negative, .digits = decimal.local};
	unsigned char key[KEY_HEADER + 12];
	int n = 0;

	for (uint64 rest = magnitude; rest > 0; rest /= 10)
		n++;
	decimal.ndigits = n;
	decimal.weight = n - scale;
	for (; n > 0; magnitude /= 10)
		decimal.digits[--n] = (unsigned char) (magnitude % 10);
	strip_zeros(&decimal);
	sqlite3_result_blob(context, key, encode(&decimal, key), SQLITE_TRANSIENT);
}

void
vssfdw_decimal_infinite(sqlite3_context *context, int sign)
{
	const unsigned char key = sign < 0 ? KEY_MINUS_INFINITY : KEY_INFINITY;

	sqlite3_result_blob(context, &key, 1, SQLITE_TRANSIENT);
}

/* Digit i of a key, zero beyond its ends. */
static char
key_digit(const unsigned char *key, int ndigits, int i)
{
	unsigned char pair;

	if (i < 0 || i >= ndigits)
		return '0';
	pair = key[0] == KEY_NEGATIVE ? (unsigned char) ~key[KEY_HEADER + i / 2] : key[KEY_HEADER + i / 2];
	return (char) ('0' + (i % 2 == 0 ? pair / 10 : pair % 10));
}

/* A finite number's text, sqlite3_malloc'd; NULL without memory. */
static char *
decode(const unsigned char *key, int length, int scale)
{
	bool negative = key[0] == KEY_NEGATIVE;
	int pairs = key[0] == KEY_ZERO ? 0 : length - KEY_HEADER - (negative ? 1 : 0);
	int ndigits = pairs * 2;
	uint32 biased = 0;
	int weight = 0;
	char *text;
	char *p;

	if (pairs > 0)
	{
		for (int i = 1; i <= 4; i++)
			biased = biased << 8 | (negative ? (unsigned char) ~key[i] : key[i]);
		weight = (int) (biased ^ UINT32_C(0x80000000));
		/* a BLOB that vss_numeric did not make may say anything */
		weight = Max(Min(weight, MAX_WEIGHT + 1), -MAX_DSCALE - 1);
		if (key_digit(key, ndigits, ndigits - 1) == '0')
			ndigits--;
	}
	if (scale < 0)
		scale = Max(ndigits - weight, 0);
	text = p = sqlite3_malloc64((sqlite3_uint64) Max(weight, 1) + scale + 4);
	if (text == NULL)
		return NULL;
	if (negative)
		*p++ = '-';
	if (weight <= 0)
		*p++ = '0';
	for (int i = 0; i < weight; i++)
		*p++ = key_digit(key, ndigits, i);
	if (scale > 0)
		*p++ = '.';
	for (int i = 0; i < scale; i++)
		*p++ = key_digit(key, ndigits, weight + i);
	*p = '\0';
	return text;
}

static void
text_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const unsigned char *key = sqlite3_value_blob(argv[0]);
	int length = sqlite3_value_bytes(argv[0]);
	int scale = -1;
	char *text;

	if (sqlite3_value_type(argv[0]) != SQLITE_BLOB || key == NULL || length < 1)
		return; /* NULL */
	switch ((enum KeyKind) key[0])
	{
		case KEY_MINUS_INFINITY:
			sqlite3_result_text(context, "-Infinity", -1, SQLITE_STATIC);
			return;
		case KEY_INFINITY:
			sqlite3_result_text(context, "Infinity", -1, SQLITE_STATIC);
			return;
		case KEY_NAN:
			sqlite3_result_text(context, "NaN", -1, SQLITE_STATIC);
			return;
		case KEY_ZERO:
		case KEY_NEGATIVE:
		case KEY_POSITIVE:
			if (!vssfdw_small_argument(context, argc, argv, 1, -1, MAX_DSCALE, &scale))
				return;
			text = decode(key, length, scale);
			if (text == NULL)
				sqlite3_result_error_nomem(context);
			else
				sqlite3_result_text(context, text, -1, sqlite3_free);
			return;
	}
}

/* ---------- bounds ---------- */

/*
 * The key's number as a double, the next but one in the direction of sign, so
 * that neither the conversion nor a comparison with an integer can let a match
 * out.  False without memory.
 */
static bool
nearby_double(const unsigned char *key, int length, int sign, double *out)
{
	char *text = decode(key, length, -1);

	if (text == NULL)
		return false;
	*out = strtod(text, NULL);
	sqlite3_free(text);
	for (int i = 0; i < 2; i++)
		*out = nextafter(*out, sign * HUGE_VAL);
	return true;
}

/* Whether the key is a finite number's; kind is its first byte. */
static bool
is_finite(sqlite3_value *value, int *kind)
{
	const unsigned char *key = sqlite3_value_blob(value);

	*kind = key != NULL && sqlite3_value_bytes(value) > 0 ? key[0] : KEY_NAN;
	return *kind >= KEY_NEGATIVE && *kind <= KEY_POSITIVE;
}

/* All from a number on.  Infinite numbers and NaN are text, mostly, and come after all numbers. */
static void
low_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	double bound;
	int kind;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL)
		return; /* NULL, as the comparison is */
	if (is_finite(argv[0], &kind))
	{
		if (nearby_double(sqlite3_value_blob(argv[0]), sqlite3_value_bytes(argv[0]), -1, &bound))
			sqlite3_result_double(context, bound);
		else
			sqlite3_result_error_nomem(context);
	}
	else
		sqlite3_result_double(context, kind == KEY_MINUS_INFINITY ? -HUGE_VAL : DBL_MAX);
}

/* Up to a number, of what is not less than the first argument. */
static void
high_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	double bound;
	int kind;

	if (sqlite3_value_type(argv[0]) == SQLITE_NULL || sqlite3_value_type(argv[1]) == SQLITE_NULL)
		return; /* NULL, as the comparison is */
	if (!is_finite(argv[0], &kind) || !is_finite(argv[1], &kind))
		sqlite3_result_zeroblob(context, 0); /* after all text */
	else if (nearby_double(sqlite3_value_blob(argv[1]), sqlite3_value_bytes(argv[1]), 1, &bound))
		sqlite3_result_double(context, bound);
	else
		sqlite3_result_error_nomem(context);
}

const VssSqlFunction vssfdw_decimal_functions[] = {
	{"vss_numeric", 1, key_function},
	{"vss_numeric", 3, key_function},
	{"vss_numeric_text", 1, text_function},
	{"vss_numeric_text", 2, text_function},
	{"vss_numeric_low", 1, low_function},
	{"vss_numeric_high", 2, high_function},
	{NULL},
};
