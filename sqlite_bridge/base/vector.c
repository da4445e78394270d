/*
 * vector.c
 *		Vectors as text and as numbers: parse, format, measure.
 *
 * Text is read straight to float32 with one rounding, so a vector means the
 * same bits in SQLite, in PostgreSQL and in strtof().  A number is at most 19
 * significant digits w times a power of ten nearly always; then w * 10^e is
 * computed in double precision with an error of a few units in the last place.
 * A double has 29 bits more than a float: unless those bits are within that
 * error of the midpoint between two floats, rounding the double gives the float
 * that rounding the exact value would give.  (Clinger 1990, "How to read
 * floating point numbers accurately", with the midpoint test in place of exact
 * powers.)  The few others go through strtof(), as digits without a decimal point.
 *
 * Text is written by Schubfach (Giulietti 2020, "The Schubfach way to render
 * doubles"): the shortest digits that round back to the same float32 and, among
 * those, the nearest to it.
 *
 * Parsing and formatting allocate nothing, and nothing depends on the process's locale.
 */
#include "sqlite_bridge/base/base.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "vector BLOBs and graph files are little-endian and used in place"
#endif

/*
 * A midpoint between two float32 values has at most 112 significant decimal
 * digits; a number agreeing with one on this many is decided by whether any
 * later digit is not zero.
 */
#define KEPT_DIGITS 128

/* A midpoint has at most 25 significant bits, whose first may be any of a digit's. */
#define HEX_DIGITS 16

/* How much of the offending text a message repeats, in bytes. */
#define EXCERPT_BYTES 24

/* ---------- parsing ---------- */

typedef struct Reader
{
	const char *start;
	const char *p;
	const char *end;
	char *message; /* of message_size bytes */
	size_t message_size;
} Reader;

static inline bool
is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

static inline void
skip_blanks(Reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || (*r->p >= '\t' && *r->p <= '\r')))
		r->p++;
}

/*
 * Explain a failure at a place of the text.  Returns what kind of failure it
 * is, for the caller to pass on.
 */
static int
fail(Reader *r, int kind, const char *at, const char *reason)
{
	char excerpt[EXCERPT_BYTES + 4];
	size_t length = (size_t) (r->end - at);
	const char *more = "";

	if (r->message_size == 0)
		return kind;
	if (length == 0)
	{
		snprintf(r->message, r->message_size, "invalid vector: %s at its end (character %zu)", reason,
				 (size_t) (at - r->start) + 1);
		return kind;
	}
	if (length > EXCERPT_BYTES)
	{
		length = EXCERPT_BYTES;
		/* do not cut a UTF-8 sequence in two */
		while (length > 0 && ((unsigned char) at[length] & 0xC0) == 0x80)
			length--;
		more = "...";
	}
	for (size_t i = 0; i < length; i++)
		excerpt[i] = (unsigned char) at[i] < 0x20 ? '?' : at[i];
	excerpt[length] = '\0';
	snprintf(r->message, r->message_size, "invalid vector: %s at character %zu, near \"%s%s\"", reason,
			 (size_t) (at - r->start) + 1, excerpt, more);
	return kind;
}

/*
 * The exact way: rebuild the number from its significant digits and let the C
 * library round; no locale reads a number without a decimal point otherwise.
 * first..end is the mantissa as written (digits and at most one point),
 * exponent belongs to its last digit.  Returns an infinity on overflow.
 */
static float
parse_slowly(const char *first, const char *end, long exponent, bool negative)
{
	char text[KEPT_DIGITS + 40];
	size_t n = 0;

	text[n++] = negative ? '-' : '+';
	for (const char *p = first; p < end; p++)
	{
		if (*p == '.' || (*p == '0' && n == 1))
			continue;
		if (n <= KEPT_DIGITS)
			text[n++] = *p;
		else
		{
			exponent++;
			if (*p != '0') /* a midpoint it was not: any later digit says up */
				text[KEPT_DIGITS] = text[KEPT_DIGITS] == '0' ? '1' : text[KEPT_DIGITS];
		}
	}
	if (n == 1)
		text[n++] = '0';
	snprintf(text + n, sizeof(text) - n, "e%ld", exponent);
	return strtof(text, NULL);
}

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
									   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/*
 * w * 10^exponent as the nearest float, where the rounding is certain: w holds
 * the first digits of the number with a relative error below 1e-18.
 */
static inline bool
scale_fast(uint64_t w, long exponent, float *out)
{
	double d = (double) w;
	uint64_t bits;
	uint32_t low;

	if (exponent < -44 || exponent > 44)
		return false;
	if (exponent < 0)
	{
		if (exponent < -22)
		{
			d /= 1e22;
			exponent += 22;
		}
		d /= powers_of_ten[-exponent];
	}
	else
	{
		if (exponent > 22)
		{
			d *= 1e22;
			exponent -= 22;
		}
		d *= powers_of_ten[exponent];
	}

	/* Subnormal floats have their midpoints elsewhere; FLT_MAX is not ours. */
	if (!(d >= FLT_MIN && d < FLT_MAX))
		return false;
	memcpy(&bits, &d, sizeof(bits));
	low = (uint32_t) bits & 0x1FFFFFFF;
	if (low - 0x0FFFFFF0u <= 0x20u) /* within 16 units of the midpoint 2^28 */
		return false;
	*out = (float) d;
	return true;
}

static inline int
hex_digit(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * A power of two or ten in decimal, signed, at p; far beyond what matters it
 * stays where it is.  Returns its end, or NULL where no digit is.
 */
static const char *
parse_exponent(const char *p, const char *end, long *exponent)
{
	bool minus = false;

	if (p < end && (*p == '-' || *p == '+'))
		minus = *p++ == '-';
	if (p == end || !is_digit(*p))
		return NULL;
	*exponent = 0;
	for (; p < end && is_digit(*p); p++)
		if (*exponent < 100000000)
			*exponent = *exponent * 10 + (*p - '0');
	if (minus)
		*exponent = -*exponent;
	return p;
}

/*
 * C's 0x1.8p-3, at digits behind its 0x; r->p is moved behind it.  Rebuilt
 * without a point for the C library to round, since no locale reads it otherwise
 * then; start is where the number begins.
 */
static int
parse_hexadecimal(Reader *r, const char *start, const char *digits, bool negative, float *out)
{
	char text[HEX_DIGITS + 40];
	const char *p = digits;
	size_t n = 0;
	long shift = 0; /* power of two of the last digit kept */
	long exponent = 0;
	bool any = false;
	bool point = false;

	n = (size_t) snprintf(text, sizeof(text), "%s0x", negative ? "-" : "");
	for (size_t first = n; p < r->end && (hex_digit(*p) >= 0 || (*p == '.' && !point)); p++)
	{
		if (*p == '.')
		{
			point = true;
			continue;
		}
		any = true;
		if (n == first && *p == '0')
			shift -= point ? 4 : 0;
		else if (n < first + HEX_DIGITS)
		{
			text[n++] = *p;
			shift -= point ? 4 : 0;
		}
		else
		{
			shift += point ? 0 : 4;
			if (*p != '0') /* more than half of the last place, if it was half */
				text[n - 1] = text[n - 1] == '0' ? '1' : text[n - 1];
		}
	}
	if (!any)
		return fail(r, BRIDGE_VECTOR_SYNTAX, start, "expected hexadecimal digits");
	if (p < r->end && (*p == 'p' || *p == 'P') && (p = parse_exponent(p + 1, r->end, &exponent)) == NULL)
		return fail(r, BRIDGE_VECTOR_SYNTAX, start, "expected digits in the exponent of a number");
	r->p = p;
	snprintf(text + n, sizeof(text) - n, "%sp%ld", text[n - 1] == 'x' ? "0" : "", exponent + shift);
	*out = strtof(text, NULL);
	if (isinf(*out))
		return fail(r, BRIDGE_VECTOR_RANGE, start, "number is beyond the range of float32");
	return 0;
}

/* What is wrong with an element that is no number: its name may be that of one which is not finite. */
static int
spelled(const char *p, const char *end)
{
	if (end - p >= 3 && strncasecmp(p, "nan", 3) == 0)
		return BRIDGE_VECTOR_NAN;
	if (end - p >= 3 && strncasecmp(p, "inf", 3) == 0)
		return BRIDGE_VECTOR_INFINITE;
	return BRIDGE_VECTOR_SYNTAX;
}

/* One number at r->p, which is moved behind it. */
static int
parse_number(Reader *r, float *out)
{
	const char *start = r->p;
	const char *p = start;
	const char *end = r->end;
	const char *first;
	const char *last;
	bool negative = false;
	uint64_t w = 0;
	int kept = 0;     /* significant digits in w */
	long dropped = 0; /* digits before the point that did not fit in w */
	long fraction = 0;
	long exponent = 0;
	bool digits = false;

	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	if (end - p > 2 && p[0] == '0' && (p[1] | 0x20) == 'x')
		return parse_hexadecimal(r, start, p + 2, negative, out);
	first = p;
	for (; p < end && is_digit(*p); p++)
	{
		digits = true;
		if (kept < 19)
		{
			w = w * 10 + (uint64_t) (*p - '0');
			kept += w != 0;
		}
		else
			dropped++;
	}
	if (p < end && *p == '.')
	{
		p++;
		for (; p < end && is_digit(*p); p++)
		{
			digits = true;
			fraction++;
			if (kept < 19)
			{
				w = w * 10 + (uint64_t) (*p - '0');
				kept += w != 0;
			}
			else
				dropped++;
		}
	}
	if (!digits)
		return fail(r, spelled(p, end), start, "expected a finite number");
	last = p;
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		if ((p = parse_exponent(p + 1, end, &exponent)) == NULL)
			return fail(r, BRIDGE_VECTOR_SYNTAX, start, "expected digits in the exponent of a number");
	}
	r->p = p;

	if (w == 0)
		*out = negative ? -0.0f : 0.0f;
	else if (scale_fast(w, exponent - fraction + dropped, out))
		*out = negative ? -*out : *out;
	else
	{
		*out = parse_slowly(first, last, exponent - fraction, negative);
		if (isinf(*out))
			return fail(r, BRIDGE_VECTOR_RANGE, start, "number is beyond the range of float32");
	}
	return 0;
}

int
bridge_vector_parse(const char *text, size_t length, float *out, int capacity, char *message,
					size_t message_size)
{
	Reader r = {text, text, text + length, message, message_size};
	int failed;
	int n = 0;

	if (message_size > 0)
		message[0] = '\0';
	skip_blanks(&r);
	if (r.p == r.end || *r.p != '[')
		return fail(&r, BRIDGE_VECTOR_SYNTAX, r.p, "expected \"[\"");
	r.p++;
	skip_blanks(&r);
	if (r.p < r.end && *r.p == ']')
		return fail(&r, BRIDGE_VECTOR_EMPTY, r.p,
					"a vector has at least one element, expected a finite number");
	for (;;)
	{
		float value = 0;

		skip_blanks(&r);
		if (n == capacity)
		{
			if (message_size > 0)
				snprintf(message, message_size, "invalid vector: more than %d elements", capacity);
			return BRIDGE_VECTOR_LONG;
		}
		if ((failed = parse_number(&r, &value)) != 0)
			return failed;
		out[n++] = value;
		skip_blanks(&r);
		if (r.p < r.end && *r.p == ',')
			r.p++;
		else if (r.p < r.end && *r.p == ']')
			break;
		else
			return fail(&r, BRIDGE_VECTOR_SYNTAX, r.p, "expected \",\" or \"]\"");
	}
	r.p++;
	skip_blanks(&r);
	if (r.p != r.end)
		return fail(&r, BRIDGE_VECTOR_SYNTAX, r.p, "expected nothing behind \"]\"");
	return n;
}

/* ---------- formatting ---------- */

/*
 * ceil(10^k * 2^(63 - floor(log2(10^k)))) for k = -31 .. 45, which are the
 * powers that float32 needs.
 */
#define POWER_MIN (-31)
static const uint64_t scaled_powers[] = {
	0x81ceb32c4b43fcf5, 0xa2425ff75e14fc32, 0xcad2f7f5359a3b3f, 0xfd87b5f28300ca0e, 0x9e74d1b791e07e49,
	0xc612062576589ddb, 0xf79687aed3eec552, 0x9abe14cd44753b53, 0xc16d9a0095928a28, 0xf1c90080baf72cb2,
	0x971da05074da7bef, 0xbce5086492111aeb, 0xec1e4a7db69561a6, 0x9392ee8e921d5d08, 0xb877aa3236a4b44a,
	0xe69594bec44de15c, 0x901d7cf73ab0acda, 0xb424dc35095cd810, 0xe12e13424bb40e14, 0x8cbccc096f5088cc,
	0xafebff0bcb24aaff, 0xdbe6fecebdedd5bf, 0x89705f4136b4a598, 0xabcc77118461cefd, 0xd6bf94d5e57a42bd,
	0x8637bd05af6c69b6, 0xa7c5ac471b478424, 0xd1b71758e219652c, 0x83126e978d4fdf3c, 0xa3d70a3d70a3d70b,
	0xcccccccccccccccd, 0x8000000000000000, 0xa000000000000000, 0xc800000000000000, 0xfa00000000000000,
	0x9c40000000000000, 0xc350000000000000, 0xf424000000000000, 0x9896800000000000, 0xbebc200000000000,
	0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000, 0xe8d4a51000000000, 0x9184e72a00000000,
	0xb5e620f480000000, 0xe35fa931a0000000, 0x8e1bc9bf04000000, 0xb1a2bc2ec5000000, 0xde0b6b3a76400000,
	0x8ac7230489e80000, 0xad78ebc5ac620000, 0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400,
	0xd3c21bcecceda100, 0x84595161401484a0, 0xa56fa5b99019a5c8, 0xcecb8f27f4200f3a, 0x813f3978f8940985,
	0xa18f07d736b90be6, 0xc9f2c9cd04674edf, 0xfc6f7c4045812297, 0x9dc5ada82b70b59e, 0xc5371912364ce306,
	0xf684df56c3e01bc7, 0x9a130b963a6c115d, 0xc097ce7bc90715b4, 0xf0bdc21abb48db21, 0x96769950b50d88f5,
	0xbc143fa4e250eb32, 0xeb194f8e1ae525fe, 0x92efd1b8d0cf37bf, 0xb7abc627050305ae, 0xe596b7b0c643c71a,
	0x8f7e32ce7bea5c70, 0xb35dbf821ae4f38c,
};

/* The product g * x * 2^-64 rounded to odd: inexact results end in a 1 bit. */
static inline uint32_t
round_to_odd(uint64_t g, uint32_t x)
{
	uint64_t low = (g & 0xFFFFFFFFu) * x;
	uint64_t high = (g >> 32) * x + (low >> 32);

	return (uint32_t) (high >> 32) | ((uint32_t) high > 1);
}

/*
 * The shortest decimal digits * 10^exponent in the rounding interval of
 * c * 2^q, the nearest of them.  closer: c is a power of two, so that its lower
 * neighbour is at half the distance.
 */
static uint32_t
shortest(uint32_t c, int q, bool closer, int *exponent)
{
	bool even = (c & 1) == 0;
	/* floor(log10(2^q)), or of 3/4 * 2^q; shifts of negatives round down */
	int k = (q * 1262611 - (closer ? 524031 : 0)) >> 22;
	int h = q + ((-k * 1741647) >> 19) + 1;
	uint64_t g = scaled_powers[-k - POWER_MIN];
	uint32_t left = round_to_odd(g, (4 * c - 2 + closer) << h);
	uint32_t value = round_to_odd(g, (4 * c) << h);
	uint32_t right = round_to_odd(g, (4 * c + 2) << h);
	uint32_t lower = left + !even;
	uint32_t upper = right - !even;
	uint32_t s = value / 4;
	bool below;
	bool above;

	*exponent = k;
	if (s >= 10)
	{
		uint32_t tens = s / 10;

		below = lower <= 40 * tens;
		above = 40 * tens + 40 <= upper;
		if (below != above)
		{
			*exponent = k + 1;
			return tens + above;
		}
	}
	below = lower <= 4 * s;
	above = 4 * s + 4 <= upper;
	if (below != above)
		return s + above;
	return s + (value > 4 * s + 2 || (value == 4 * s + 2 && (s & 1)));
}

/*
 * Append one number; at most 15 bytes.  Plain notation from 1e-4 up to below
 * 1e10, otherwise with an exponent.
 */
static char *
format_number(float value, char *p)
{
	char digits[16];
	uint32_t bits;
	uint32_t fraction;
	uint32_t decimal;
	int biased;
	int exponent;
	int n = 0;

	memcpy(&bits, &value, sizeof(bits));
	fraction = bits & 0x7FFFFF;
	biased = (int) (bits >> 23) & 0xFF;
	if (biased == 0xFF) /* never stored; for messages */
		return stpcpy(p, fraction ? "NaN" : bits >> 31 ? "-Infinity" : "Infinity");
	if (bits >> 31)
		*p++ = '-';
	if (biased == 0 && fraction == 0)
	{
		*p++ = '0';
		return p;
	}
	if (biased == 0)
		decimal = shortest(fraction, -149, false, &exponent);
	else
		decimal = shortest(fraction | 0x800000, biased - 150, fraction == 0 && biased > 1, &exponent);

	while (decimal % 10 == 0)
	{
		decimal /= 10;
		exponent++;
	}
	for (uint32_t d = decimal; n == 0 || d > 0; d /= 10)
		n++;
	for (int i = n; i-- > 0; decimal /= 10)
		digits[i] = (char) ('0' + decimal % 10);

	exponent += n; /* the value is 0.digits * 10^exponent */
	if (exponent > -4 && exponent <= 10)
	{
		if (exponent <= 0)
		{
			*p++ = '0';
			*p++ = '.';
			for (int i = exponent; i < 0; i++)
				*p++ = '0';
		}
		for (int i = 0; i < n; i++)
		{
			if (i == exponent && i > 0)
				*p++ = '.';
			*p++ = digits[i];
		}
		for (int i = n; i < exponent; i++)
			*p++ = '0';
		return p;
	}
	*p++ = digits[0];
	if (n > 1)
	{
		*p++ = '.';
		memcpy(p, digits + 1, (size_t) n - 1);
		p += n - 1;
	}
	*p++ = 'e';
	exponent--;
	*p++ = exponent < 0 ? '-' : '+';
	if (exponent < 0)
		exponent = -exponent;
	*p++ = (char) ('0' + exponent / 10);
	*p++ = (char) ('0' + exponent % 10);
	return p;
}

size_t
bridge_vector_format(const float *vector, int dim, char *buffer)
{
	char *p = buffer;

	*p++ = '[';
	for (int i = 0; i < dim; i++)
	{
		if (i > 0)
			*p++ = ',';
		p = format_number(vector[i], p);
	}
	*p++ = ']';
	*p = '\0';
	return (size_t) (p - buffer);
}

/* ---------- SQL values ---------- */

/* Make room for dim floats; what was there is lost. */
static int
reserve(BridgeVector *v, int dim, BridgeError *err)
{
	if (v->capacity >= dim)
		return SQLITE_OK;
	sqlite3_free(v->buffer);
	v->capacity = 0;
	v->buffer = sqlite3_malloc64((sqlite3_uint64) dim * sizeof(float));
	if (v->buffer == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	v->capacity = dim;
	return SQLITE_OK;
}

static int
read_blob(sqlite3_value *value, BridgeVector *out, BridgeError *err)
{
	const void *bytes = sqlite3_value_blob(value);
	int length = sqlite3_value_bytes(value);
	int dim = length / (int) sizeof(float);
	int rc;

	if (length <= 0 || length % (int) sizeof(float) != 0 || dim > BRIDGE_MAX_DIM)
		return bridge_error(err, SQLITE_MISMATCH,
							"invalid vector: a BLOB of %d bytes is not 1 to %d float32 values", length,
							BRIDGE_MAX_DIM);
	if ((rc = reserve(out, dim, err)) != SQLITE_OK)
		return rc;
	memcpy(out->buffer, bytes, (size_t) length);
	/* the norm of finite numbers is finite, and quicker to compute than to look at each */
	if (!isfinite(bridge_norm(out->buffer, dim)))
	{
		int i = 0;

		while (isfinite(out->buffer[i]))
			i++;
		return bridge_error(err, SQLITE_MISMATCH, "invalid vector: element %d is not a finite number", i + 1);
	}
	out->dim = dim;
	out->data = out->buffer;
	return SQLITE_OK;
}

static int
read_text(sqlite3_value *value, BridgeVector *out, BridgeError *err)
{
	const char *text = (const char *) sqlite3_value_text(value);
	size_t length = (size_t) sqlite3_value_bytes(value);
	size_t most = length / 2 + 1; /* an element takes a digit and a separator */
	char message[200];
	int rc;
	int dim;

	if (text == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	if ((rc = reserve(out, most < BRIDGE_MAX_DIM ? (int) most : BRIDGE_MAX_DIM, err)) != SQLITE_OK)
		return rc;
	dim = bridge_vector_parse(text, length, out->buffer, most < BRIDGE_MAX_DIM ? (int) most : BRIDGE_MAX_DIM,
							  message, sizeof(message));
	if (dim < 0)
		return bridge_error(err, SQLITE_MISMATCH, "%s", message);
	out->dim = dim;
	out->data = out->buffer;
	return SQLITE_OK;
}

int
bridge_vector_read(sqlite3_value *value, BridgeVector *out, BridgeError *err)
{
	out->data = NULL;
	out->dim = 0;
	switch (sqlite3_value_type(value))
	{
		case SQLITE_NULL:
			return SQLITE_OK;
		case SQLITE_BLOB:
			return read_blob(value, out, err);
		case SQLITE_TEXT:
			return read_text(value, out, err);
		default:
			return bridge_error(err, SQLITE_MISMATCH,
								"invalid vector: expected JSON text such as '[1,2,3]' or a BLOB of float32 "
								"values, found %s",
								sqlite3_value_type(value) == SQLITE_INTEGER ? "an integer" : "a real number");
	}
}

void
bridge_vector_free(BridgeVector *vector)
{
	sqlite3_free(vector->buffer);
	memset(vector, 0, sizeof(*vector));
}

/* ---------- distances ---------- */

double
bridge_distance(BridgeMetric metric, const float *a, const float *b, int dim)
{
	return hnsw_distance((HnswMetric) metric, a, b, (uint32_t) dim);
}

double
bridge_norm(const float *a, int dim)
{
	return hnsw_norm(a, (uint32_t) dim);
}

/*
 * Eight sums, so that the compiler can keep them in vector registers; which
 * element goes into which is fixed, and so is the order in which they are added.
 */
double
bridge_l1_distance(const float *a, const float *b, int dim)
{
	double sums[8] = {0};
	int i = 0;

	for (; i + 8 <= dim; i += 8)
		for (int j = 0; j < 8; j++)
			sums[j] += fabs((double) a[i + j] - (double) b[i + j]);
	for (int j = 0; i < dim; i++, j++)
		sums[j] += fabs((double) a[i] - (double) b[i]);
	return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

_Static_assert((int) BRIDGE_COSINE == (int) HNSW_COSINE && (int) BRIDGE_L2 == (int) HNSW_L2 &&
				   (int) BRIDGE_IP == (int) HNSW_IP,
			   "metrics are numbered alike");
