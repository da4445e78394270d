/*
 * pushdown_functions.c
 *		Functions and operators that SQLite has an equal of.
 *
 * Only such as cannot fail go down: SQLite tests conditions in an order of its
 * own, and an error that another condition would have prevented is a changed
 * answer.  So sums and products (overflow) stay in PostgreSQL, and division
 * goes down by a constant that is neither 0 nor -1.
 *
 * Characters are counted and compared as code points, which is PostgreSQL's way
 * where the database's encoding is UTF-8; case is folded where the collation's
 * is C's, that is in ASCII alone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"

#include "fdw/ship/ship.h"

/* Its name before reverse(bytea) was added. */
#if PG_VERSION_NUM < 180000
#define F_REVERSE_TEXT F_REVERSE
#endif

static bool
folds_ascii(Oid collation)
{
	if (!OidIsValid(collation))
		return false;
#if PG_VERSION_NUM >= 180000
	return pg_newlocale_from_collation(collation)->ctype_is_c;
#else
	return lc_ctype_is_c(collation);
#endif
}

static bool
is_deterministic(Oid collation)
{
	return OidIsValid(collation) && get_collation_isdeterministic(collation);
}

/* A constant integer within bounds. */
static bool
is_constant_within(Expr *expr, int64 least, int64 most)
{
	Const *c = (Const *) expr;
	int64 value;

	if (!IsA(expr, Const) || c->constisnull)
		return false;
	switch (c->consttype)
	{
		case INT2OID:
			value = DatumGetInt16(c->constvalue);
			break;
		case INT4OID:
			value = DatumGetInt32(c->constvalue);
			break;
		case INT8OID:
			value = DatumGetInt64(c->constvalue);
			break;
		default:
			return false;
	}
	return value >= least && value <= most;
}

/* A constant pattern that does not end within an escape, which PostgreSQL refuses when it gets there. */
static bool
is_sound_pattern(Expr *expr)
{
	Const *c = (Const *) expr;
	char *pattern;
	char *p;

	if (!IsA(expr, Const) || c->consttype != TEXTOID)
		return false;
	if (c->constisnull)
		return true;
	pattern = TextDatumGetCString(c->constvalue);
	for (p = pattern; *p != '\0'; p++)
	{
		if (*p == '\\' && *++p == '\0')
			return false;
	}
	return true;
}

bool
vssfdw_set_function(VssFunction *out, const char *name, VssClass result, VssClass first, VssClass second)
{
	out->name = name;
	out->result = result;
	out->args[0] = first;
	out->args[1] = second;
	out->args[2] = VSS_CLASS_INTEGER;
	return true;
}

/* Those that are the same whatever their arguments are; "" is the argument itself. */
static const struct
{
	Oid function;
	bool utf8; /* only where the database's encoding is UTF-8 */
	const char *name;
	VssClass result;
	VssClass args[2];
} same_functions[] = {
	{F_TEXTCAT, false, "||", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_TEXT}},
	{F_LENGTH_TEXT, true, "length", VSS_CLASS_INTEGER, {VSS_CLASS_TEXT, VSS_CLASS_NONE}},
	{F_CHAR_LENGTH_TEXT, true, "length", VSS_CLASS_INTEGER, {VSS_CLASS_TEXT, VSS_CLASS_NONE}},
	{F_CHARACTER_LENGTH_TEXT, true, "length", VSS_CLASS_INTEGER, {VSS_CLASS_TEXT, VSS_CLASS_NONE}},
	{F_LENGTH_BPCHAR, true, "length", VSS_CLASS_INTEGER, {VSS_CLASS_BPCHAR, VSS_CLASS_NONE}},
	{F_CHAR_LENGTH_BPCHAR, true, "length", VSS_CLASS_INTEGER, {VSS_CLASS_BPCHAR, VSS_CLASS_NONE}},
	{F_CHARACTER_LENGTH_BPCHAR, true, "length", VSS_CLASS_INTEGER, {VSS_CLASS_BPCHAR, VSS_CLASS_NONE}},
	{F_OCTET_LENGTH_TEXT, true, "vss_octet_length", VSS_CLASS_INTEGER, {VSS_CLASS_TEXT, VSS_CLASS_NONE}},
	{F_OCTET_LENGTH_BYTEA, false, "length", VSS_CLASS_INTEGER, {VSS_CLASS_BYTES, VSS_CLASS_NONE}},
	{F_LENGTH_BYTEA, false, "length", VSS_CLASS_INTEGER, {VSS_CLASS_BYTES, VSS_CLASS_NONE}},
	{F_LEFT, true, "vss_left", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_INTEGER}},
	{F_RIGHT, true, "vss_right", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_INTEGER}},
	{F_REVERSE_TEXT, true, "vss_reverse", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_NONE}},
	{F_BTRIM_TEXT, true, "trim", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_TEXT}},
	{F_BTRIM_TEXT_TEXT, true, "trim", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_TEXT}},
	{F_LTRIM_TEXT, true, "ltrim", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_TEXT}},
	{F_LTRIM_TEXT_TEXT, true, "ltrim", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_TEXT}},
	{F_RTRIM_TEXT, true, "rtrim", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_TEXT}},
	{F_RTRIM_TEXT_TEXT, true, "rtrim", VSS_CLASS_TEXT, {VSS_CLASS_TEXT, VSS_CLASS_TEXT}},
	{F_INT2AND, false, "vss_bit_and", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT4AND, false, "vss_bit_and", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT8AND, false, "vss_bit_and", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT2OR, false, "vss_bit_or", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT4OR, false, "vss_bit_or", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT8OR, false, "vss_bit_or", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT2XOR, false, "vss_bit_xor", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT4XOR, false, "vss_bit_xor", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT8XOR, false, "vss_bit_xor", VSS_CLASS_INTEGER, {VSS_CLASS_INTEGER, VSS_CLASS_INTEGER}},
	{F_INT4_BOOL, false, "", VSS_CLASS_INTEGER, {VSS_CLASS_BOOLEAN, VSS_CLASS_NONE}},
	{F_FLOAT8_INT2, false, "vss_float8", VSS_CLASS_FLOAT, {VSS_CLASS_INTEGER, VSS_CLASS_NONE}},
	{F_FLOAT8_INT4, false, "vss_float8", VSS_CLASS_FLOAT, {VSS_CLASS_INTEGER, VSS_CLASS_NONE}},
	{F_FLOAT8_INT8, false, "vss_float8", VSS_CLASS_FLOAT, {VSS_CLASS_INTEGER, VSS_CLASS_NONE}},
	/* a real is read as the double that it is */
	{F_FLOAT8_FLOAT4, false, "", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_FLOAT8ABS, false, "vss_abs", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_ABS_FLOAT8, false, "vss_abs", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_FLOAT4ABS, false, "vss_abs", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_ABS_FLOAT4, false, "vss_abs", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_FLOAT8UM, false, "vss_negative", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_FLOAT4UM, false, "vss_negative", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_SIGN_FLOAT8, false, "vss_sign", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_FLOOR_FLOAT8, false, "vss_floor", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_CEIL_FLOAT8, false, "vss_ceil", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_CEILING_FLOAT8, false, "vss_ceil", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_DTRUNC, false, "vss_trunc_float", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_TRUNC_FLOAT8, false, "vss_trunc_float", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_DROUND, false, "vss_round", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_ROUND_FLOAT8, false, "vss_round", VSS_CLASS_FLOAT, {VSS_CLASS_FLOAT, VSS_CLASS_NONE}},
	{F_NUMERIC_INT2, false, "vss_numeric", VSS_CLASS_NUMERIC, {VSS_CLASS_INTEGER, VSS_CLASS_NONE}},
	{F_NUMERIC_INT4, false, "vss_numeric", VSS_CLASS_NUMERIC, {VSS_CLASS_INTEGER, VSS_CLASS_NONE}},
	{F_NUMERIC_INT8, false, "vss_numeric", VSS_CLASS_NUMERIC, {VSS_CLASS_INTEGER, VSS_CLASS_NONE}},
	{F_DATE_TIMESTAMP, false, "vss_to_date", VSS_CLASS_DATE, {VSS_CLASS_TIMESTAMP, VSS_CLASS_NONE}},
	{F_DATE_TIMESTAMPTZ, false, "vss_to_date_local", VSS_CLASS_DATE, {VSS_CLASS_TIMESTAMPTZ, VSS_CLASS_NONE}},
	{F_TIMESTAMP_DATE, false, "vss_date_start", VSS_CLASS_TIMESTAMP, {VSS_CLASS_DATE, VSS_CLASS_NONE}},
	{F_TIMESTAMPTZ_DATE,
	 false,
	 "vss_date_start_local",
	 VSS_CLASS_TIMESTAMPTZ,
	 {VSS_CLASS_DATE, VSS_CLASS_NONE}},
	{F_TIMESTAMPTZ_TIMESTAMP,
	 false,
	 "vss_from_local",
	 VSS_CLASS_TIMESTAMPTZ,
	 {VSS_CLASS_TIMESTAMP, VSS_CLASS_NONE}},
	{F_TIMESTAMP_TIMESTAMPTZ,
	 false,
	 "vss_to_local",
	 VSS_CLASS_TIMESTAMP,
	 {VSS_CLASS_TIMESTAMPTZ, VSS_CLASS_NONE}},
	/* char(n) compares without the blanks at its end, which is what it is as text */
	{F_TEXT_BPCHAR, false, "", VSS_CLASS_TEXT, {VSS_CLASS_BPCHAR, VSS_CLASS_NONE}},
};

bool
vssfdw_find_function(Oid function, Oid collation, List *args, VssFunction *out)
{
	bool utf8 = GetDatabaseEncoding() == PG_UTF8;
	Expr *second = list_length(args) > 1 ? lsecond(args) : NULL;

	memset(out, 0, sizeof(*out));
	out->operands = args;
	if (list_length(args) > VSS_FUNCTION_ARGS)
		return false;
	switch (function)
	{
		case F_INT2DIV:
		case F_INT4DIV:
		case F_INT8DIV:
		case F_INT24DIV:
		case F_INT42DIV:
		case F_INT28DIV:
		case F_INT82DIV:
		case F_INT48DIV:
		case F_INT84DIV:
		case F_INT2MOD:
		case F_INT4MOD:
		case F_INT8MOD:
			if (!is_constant_within(second, 1, PG_INT64_MAX) && !is_constant_within(second, PG_INT64_MIN, -2))
				return false;
			return vssfdw_set_function(out,
									   function == F_INT2MOD || function == F_INT4MOD || function == F_INT8MOD
										   ? "vss_mod"
										   : "vss_div",
									   VSS_CLASS_INTEGER, VSS_CLASS_INTEGER, VSS_CLASS_INTEGER);

		case F_LOWER_TEXT:
			return utf8 && folds_ascii(collation) &&
				   vssfdw_set_function(out, "vss_lower", VSS_CLASS_TEXT, VSS_CLASS_TEXT, VSS_CLASS_NONE);

		case F_UPPER_TEXT:
			return utf8 && folds_ascii(collation) &&
				   vssfdw_set_function(out, "vss_upper", VSS_CLASS_TEXT, VSS_CLASS_TEXT, VSS_CLASS_NONE);

		case F_SUBSTR_TEXT_INT4:
		case F_SUBSTR_TEXT_INT4_INT4:
		case F_SUBSTRING_TEXT_INT4:
		case F_SUBSTRING_TEXT_INT4_INT4:
			/* before the first character the two count differently */
			if (!utf8 || !is_constant_within(second, 1, PG_INT32_MAX) ||
				(list_length(args) == 3 && !is_constant_within(lthird(args), 0, PG_INT32_MAX)))
				return false;
			return vssfdw_set_function(out, "substr", VSS_CLASS_TEXT, VSS_CLASS_TEXT, VSS_CLASS_INTEGER);

		case F_TEXTLIKE:
		case F_LIKE_TEXT_TEXT:
		case F_TEXTNLIKE:
		case F_NOTLIKE_TEXT_TEXT:
			if (!utf8 || !is_deterministic(collation) || !is_sound_pattern(second))
				return false;
			out->negated = function == F_TEXTNLIKE || function == F_NOTLIKE_TEXT_TEXT;
			return vssfdw_set_function(out, "vss_like", VSS_CLASS_BOOLEAN, VSS_CLASS_TEXT, VSS_CLASS_TEXT);

		case F_TEXTICLIKE:
		case F_TEXTICNLIKE:
			if (!utf8 || !folds_ascii(collation) || !is_deterministic(collation) || !is_sound_pattern(second))
				return false;
			out->negated = function == F_TEXTICNLIKE;
			return vssfdw_set_function(out, "vss_ilike", VSS_CLASS_BOOLEAN, VSS_CLASS_TEXT, VSS_CLASS_TEXT);

		case F_STRPOS:
		case F_POSITION_TEXT_TEXT:
			return utf8 && is_deterministic(collation) &&
				   vssfdw_set_function(out, "instr", VSS_CLASS_INTEGER, VSS_CLASS_TEXT, VSS_CLASS_TEXT);

		case F_REPLACE:
			if (!utf8 || !is_deterministic(collation))
				return false;
			vssfdw_set_function(out, "replace", VSS_CLASS_TEXT, VSS_CLASS_TEXT, VSS_CLASS_TEXT);
			out->args[2] = VSS_CLASS_TEXT;
			return true;

		case F_STARTS_WITH:
			return is_deterministic(collation) &&
				   vssfdw_set_function(out, "vss_starts_with", VSS_CLASS_BOOLEAN, VSS_CLASS_TEXT,
									   VSS_CLASS_TEXT);

		default:
			break;
	}
	for (int i = 0; i < lengthof(same_functions); i++)
	{
		if (same_functions[i].function == function)
			return (utf8 || !same_functions[i].utf8) &&
				   vssfdw_set_function(out, same_functions[i].name, same_functions[i].result,
									   same_functions[i].args[0], same_functions[i].args[1]);
	}
	return vssfdw_find_time_function(function, args, out);
}
