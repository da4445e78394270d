/*
 * pushdown_functions.c
 *		Functions and operators that SQLite has an equal of: one row each.
 *
 * To push another one down, add its row here, SQLite's function in sqlfn/ where
 * there is none yet, and a test (sql/pushdown.sql and its like).
 *
 * Only such as cannot fail stand in conditions: SQLite tests conditions in an
 * order of its own, and an error that another condition would have prevented is
 * a changed answer.  So sums and products (overflow) stay in PostgreSQL, where
 * they are tried in SQLite beforehand, and division goes down by a constant that
 * is neither 0 nor -1.
 *
 * Characters are counted and compared as code points, which is PostgreSQL's way
 * where the database's encoding is UTF-8; case is folded where the collation's
 * is C's, that is in ASCII alone.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodes.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "fdw/ship/ship.h"

/* ---------- what operands must be beside their class ---------- */

/* A constant integer within bounds. */
static bool
is_constant_within(const VssTerm *term, int64 least, int64 most)
{
	const Const *c = (const Const *) term->expr;
	int64 value;

	if (!IsA(c, Const) || c->constisnull)
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

static bool
fit_divisor(VssTerm *call)
{
	const VssTerm *divisor = lsecond(call->args);

	return is_constant_within(divisor, 1, PG_INT64_MAX) || is_constant_within(divisor, PG_INT64_MIN, -2);
}

/* Before the first character the two count differently. */
static bool
fit_substring(VssTerm *call)
{
	return is_constant_within(lsecond(call->args), 1, PG_INT32_MAX) &&
		   (list_length(call->args) < 3 || is_constant_within(lthird(call->args), 0, PG_INT32_MAX));
}

/* A constant pattern that does not end within an escape, which PostgreSQL refuses when it gets there. */
static bool
fit_pattern(VssTerm *call)
{
	const Const *c = (const Const *) ((VssTerm *) lsecond(call->args))->expr;
	const char *p;

	if (!IsA(c, Const) || c->consttype != TEXTOID)
		return false;
	if (c->constisnull)
		return true;
	for (p = TextDatumGetCString(c->constvalue); *p != '\0'; p++)
	{
		if (*p == '\\' && *++p == '\0')
			return false;
	}
	return true;
}

/* ---------- the rows ---------- */

/* Classes, so that the rows are a table. */
#define INTEGER VSS_CLASS_INTEGER
#define FLOAT VSS_CLASS_FLOAT
#define BOOLEAN VSS_CLASS_BOOLEAN
#define TEXT VSS_CLASS_TEXT
#define BPCHAR VSS_CLASS_BPCHAR
#define BYTES VSS_CLASS_BYTES
#define DATE VSS_CLASS_DATE
#define TIMESTAMP VSS_CLASS_TIMESTAMP
#define TIMESTAMPTZ VSS_CLASS_TIMESTAMPTZ
#define TIME VSS_CLASS_TIME
#define NUMERIC VSS_CLASS_NUMERIC

/* function, name, result, operands, flags, fit, tried, computed */
static const VssFunction functions[] = {
	/* text and bytes; char(n) compares without the blanks at its end, which is what it is as text */
	{F_TEXTCAT, "||", TEXT, {TEXT, TEXT}},
	{F_LENGTH_TEXT, "length", INTEGER, {TEXT}, VSS_UTF8},
	{F_CHAR_LENGTH_TEXT, "length", INTEGER, {TEXT}, VSS_UTF8},
	{F_CHARACTER_LENGTH_TEXT, "length", INTEGER, {TEXT}, VSS_UTF8},
	{F_LENGTH_BPCHAR, "length", INTEGER, {BPCHAR}, VSS_UTF8},
	{F_CHAR_LENGTH_BPCHAR, "length", INTEGER, {BPCHAR}, VSS_UTF8},
	{F_CHARACTER_LENGTH_BPCHAR, "length", INTEGER, {BPCHAR}, VSS_UTF8},
	{F_OCTET_LENGTH_TEXT, "vss_octet_length", INTEGER, {TEXT}, VSS_UTF8},
	{F_OCTET_LENGTH_BYTEA, "length", INTEGER, {BYTES}},
	{F_LENGTH_BYTEA, "length", INTEGER, {BYTES}},
	{F_LEFT, "vss_left", TEXT, {TEXT, INTEGER}, VSS_UTF8},
	{F_RIGHT, "vss_right", TEXT, {TEXT, INTEGER}, VSS_UTF8},
	{F_REVERSE_TEXT, "vss_reverse", TEXT, {TEXT}, VSS_UTF8},
	{F_BTRIM_TEXT, "trim", TEXT, {TEXT, TEXT}, VSS_UTF8},
	{F_BTRIM_TEXT_TEXT, "trim", TEXT, {TEXT, TEXT}, VSS_UTF8},
	{F_LTRIM_TEXT, "ltrim", TEXT, {TEXT, TEXT}, VSS_UTF8},
	{F_LTRIM_TEXT_TEXT, "ltrim", TEXT, {TEXT, TEXT}, VSS_UTF8},
	{F_RTRIM_TEXT, "rtrim", TEXT, {TEXT, TEXT}, VSS_UTF8},
	{F_RTRIM_TEXT_TEXT, "rtrim", TEXT, {TEXT, TEXT}, VSS_UTF8},
	{F_TEXT_BPCHAR, "", TEXT, {BPCHAR}},
	{F_SUBSTR_TEXT_INT4, "substr", TEXT, {TEXT, INTEGER}, VSS_UTF8, fit_substring},
	{F_SUBSTRING_TEXT_INT4, "substr", TEXT, {TEXT, INTEGER}, VSS_UTF8, fit_substring},
	{F_SUBSTR_TEXT_INT4_INT4, "substr", TEXT, {TEXT, INTEGER, INTEGER}, VSS_UTF8, fit_substring},
	{F_SUBSTRING_TEXT_INT4_INT4, "substr", TEXT, {TEXT, INTEGER, INTEGER}, VSS_UTF8, fit_substring},
	{F_LOWER_TEXT, "vss_lower", TEXT, {TEXT}, VSS_UTF8 | VSS_FOLDS_CASE},
	{F_UPPER_TEXT, "vss_upper", TEXT, {TEXT}, VSS_UTF8 | VSS_FOLDS_CASE},
	{F_REPLACE, "replace", TEXT, {TEXT, TEXT, TEXT}, VSS_UTF8 | VSS_DETERMINISTIC},
	{F_STRPOS, "instr", INTEGER, {TEXT, TEXT}, VSS_UTF8 | VSS_DETERMINISTIC},
	{F_POSITION_TEXT_TEXT, "instr", INTEGER, {TEXT, TEXT}, VSS_UTF8 | VSS_DETERMINISTIC},
	{F_STARTS_WITH, "vss_starts_with", BOOLEAN, {TEXT, TEXT}, VSS_DETERMINISTIC},
	{F_TEXTLIKE, "vss_like", BOOLEAN, {TEXT, TEXT}, VSS_UTF8 | VSS_DETERMINISTIC, fit_pattern},
	{F_LIKE_TEXT_TEXT, "vss_like", BOOLEAN, {TEXT, TEXT}, VSS_UTF8 | VSS_DETERMINISTIC, fit_pattern},
	{F_TEXTNLIKE, "vss_like", BOOLEAN, {TEXT, TEXT}, VSS_UTF8 | VSS_DETERMINISTIC | VSS_NEGATED, fit_pattern},
	{F_NOTLIKE_TEXT_TEXT,
	 "vss_like",
	 BOOLEAN,
	 {TEXT, TEXT},
	 VSS_UTF8 | VSS_DETERMINISTIC | VSS_NEGATED,
	 fit_pattern},
	{F_TEXTICLIKE,
	 "vss_ilike",
	 BOOLEAN,
	 {TEXT, TEXT},
	 VSS_UTF8 | VSS_FOLDS_CASE | VSS_DETERMINISTIC,
	 fit_pattern},
	{F_TEXTICNLIKE,
	 "vss_ilike",
	 BOOLEAN,
	 {TEXT, TEXT},
	 VSS_UTF8 | VSS_FOLDS_CASE | VSS_DETERMINISTIC | VSS_NEGATED,
	 fit_pattern},

	/* integers; widening changes no value */
	{F_INT4_INT2, "", INTEGER, {INTEGER}},
	{F_INT8_INT2, "", INTEGER, {INTEGER}},
	{F_INT8_INT4, "", INTEGER, {INTEGER}},
	{F_INT2AND, "vss_bit_and", INTEGER, {INTEGER, INTEGER}},
	{F_INT4AND, "vss_bit_and", INTEGER, {INTEGER, INTEGER}},
	{F_INT8AND, "vss_bit_and", INTEGER, {INTEGER, INTEGER}},
	{F_INT2OR, "vss_bit_or", INTEGER, {INTEGER, INTEGER}},
	{F_INT4OR, "vss_bit_or", INTEGER, {INTEGER, INTEGER}},
	{F_INT8OR, "vss_bit_or", INTEGER, {INTEGER, INTEGER}},
	{F_INT2XOR, "vss_bit_xor", INTEGER, {INTEGER, INTEGER}},
	{F_INT4XOR, "vss_bit_xor", INTEGER, {INTEGER, INTEGER}},
	{F_INT8XOR, "vss_bit_xor", INTEGER, {INTEGER, INTEGER}},
	{F_INT4_BOOL, "", INTEGER, {BOOLEAN}},
	{F_INT2PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT4PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT8PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT24PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT42PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT28PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT82PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT48PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT84PL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "+", "vss_add"},
	{F_INT2MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT4MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT8MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT24MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT42MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT28MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT82MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT48MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT84MI, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT2MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT4MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT8MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT24MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT42MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT28MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT82MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT48MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT84MUL, NULL, INTEGER, {INTEGER, INTEGER}, 0, NULL, "*", "vss_multiply"},
	{F_INT2DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT4DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT8DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT24DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT42DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT28DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT82DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT48DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_INT84DIV, "vss_div", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "/", "vss_divide"},
	{F_MOD_INT2_INT2, "vss_mod", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "%", "vss_modulo"},
	{F_INT2MOD, "vss_mod", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "%", "vss_modulo"},
	{F_MOD_INT4_INT4, "vss_mod", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "%", "vss_modulo"},
	{F_INT4MOD, "vss_mod", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "%", "vss_modulo"},
	{F_MOD_INT8_INT8, "vss_mod", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "%", "vss_modulo"},
	{F_INT8MOD, "vss_mod", INTEGER, {INTEGER, INTEGER}, 0, fit_divisor, "%", "vss_modulo"},
	{F_INT2UM, NULL, INTEGER, {INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT4UM, NULL, INTEGER, {INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT8UM, NULL, INTEGER, {INTEGER}, 0, NULL, "-", "vss_subtract"},
	{F_INT2ABS, NULL, INTEGER, {INTEGER}, 0, NULL, "abs"},
	{F_INT4ABS, NULL, INTEGER, {INTEGER}, 0, NULL, "abs"},
	{F_INT8ABS, NULL, INTEGER, {INTEGER}, 0, NULL, "abs"},
	{F_ABS_INT2, NULL, INTEGER, {INTEGER}, 0, NULL, "abs"},
	{F_ABS_INT4, NULL, INTEGER, {INTEGER}, 0, NULL, "abs"},
	{F_ABS_INT8, NULL, INTEGER, {INTEGER}, 0, NULL, "abs"},
	{F_INT2_INT4, NULL, INTEGER, {INTEGER}, 0, NULL, "cast", "vss_fit"},
	{F_INT2_INT8, NULL, INTEGER, {INTEGER}, 0, NULL, "cast", "vss_fit"},
	{F_INT4_INT8, NULL, INTEGER, {INTEGER}, 0, NULL, "cast", "vss_fit"},

	/* floating point; a real is read as the double that it is */
	{F_FLOAT8_INT2, "vss_float8", FLOAT, {INTEGER}, 0, NULL, NULL, "vss_fit"},
	{F_FLOAT8_INT4, "vss_float8", FLOAT, {INTEGER}, 0, NULL, NULL, "vss_fit"},
	{F_FLOAT8_INT8, "vss_float8", FLOAT, {INTEGER}, 0, NULL, NULL, "vss_fit"},
	{F_FLOAT8_FLOAT4, "", FLOAT, {FLOAT}},
	{F_FLOAT8ABS, "vss_abs", FLOAT, {FLOAT}},
	{F_ABS_FLOAT8, "vss_abs", FLOAT, {FLOAT}},
	{F_FLOAT4ABS, "vss_abs", FLOAT, {FLOAT}},
	{F_ABS_FLOAT4, "vss_abs", FLOAT, {FLOAT}},
	{F_FLOAT8UM, "vss_negative", FLOAT, {FLOAT}},
	{F_FLOAT4UM, "vss_negative", FLOAT, {FLOAT}},
	{F_SIGN_FLOAT8, "vss_sign", FLOAT, {FLOAT}},
	{F_FLOOR_FLOAT8, "vss_floor", FLOAT, {FLOAT}},
	{F_CEIL_FLOAT8, "vss_ceil", FLOAT, {FLOAT}},
	{F_CEILING_FLOAT8, "vss_ceil", FLOAT, {FLOAT}},
	{F_DTRUNC, "vss_trunc_float", FLOAT, {FLOAT}},
	{F_TRUNC_FLOAT8, "vss_trunc_float", FLOAT, {FLOAT}},
	{F_DROUND, "vss_round", FLOAT, {FLOAT}},
	{F_ROUND_FLOAT8, "vss_round", FLOAT, {FLOAT}},
	{F_FLOAT8PL, NULL, FLOAT, {FLOAT, FLOAT}, 0, NULL, "+", "vss_add"},
	{F_FLOAT8MI, NULL, FLOAT, {FLOAT, FLOAT}, 0, NULL, "-", "vss_subtract"},
	{F_FLOAT8MUL, NULL, FLOAT, {FLOAT, FLOAT}, 0, NULL, "*", "vss_multiply"},
	{F_FLOAT8DIV, NULL, FLOAT, {FLOAT, FLOAT}, 0, NULL, "/", "vss_divide"},

	/* numeric */
	{F_NUMERIC_INT2, "vss_numeric", NUMERIC, {INTEGER}},
	{F_NUMERIC_INT4, "vss_numeric", NUMERIC, {INTEGER}},
	{F_NUMERIC_INT8, "vss_numeric", NUMERIC, {INTEGER}},
	{F_INT2_NUMERIC, "vss_whole", INTEGER, {NUMERIC}, 0, vssfdw_fit_whole},
	{F_INT4_NUMERIC, "vss_whole", INTEGER, {NUMERIC}, 0, vssfdw_fit_whole},
	{F_INT8_NUMERIC, "vss_whole", INTEGER, {NUMERIC}, 0, vssfdw_fit_whole},

	/* dates and times: see time_map.c */
	{F_DATE_TIMESTAMP, "vss_to_date", DATE, {TIMESTAMP}},
	{F_DATE_TIMESTAMPTZ, "vss_to_date_local", DATE, {TIMESTAMPTZ}},
	{F_TIMESTAMP_DATE, "vss_date_start", TIMESTAMP, {DATE}, VSS_LEAVES_RANGE},
	{F_TIMESTAMPTZ_DATE, "vss_date_start_local", TIMESTAMPTZ, {DATE}, VSS_LEAVES_RANGE},
	{F_TIMESTAMPTZ_TIMESTAMP, "vss_from_local", TIMESTAMPTZ, {TIMESTAMP}},
	{F_TIMESTAMP_TIMESTAMPTZ, "vss_to_local", TIMESTAMP, {TIMESTAMPTZ}},
	{F_TIME_TIMESTAMP, "vss_to_time", TIME, {TIMESTAMP}, 0, vssfdw_fit_in_range},
	{F_TIME_TIMESTAMPTZ, "vss_to_time_local", TIME, {TIMESTAMPTZ}, 0, vssfdw_fit_in_range},
	{F_DATE_TRUNC_TEXT_TIMESTAMP, "vss_trunc", TIMESTAMP, {TEXT, TIMESTAMP}, 0, vssfdw_fit_trunc},
	{F_DATE_TRUNC_TEXT_TIMESTAMPTZ, "vss_trunc_local", TIMESTAMPTZ, {TEXT, TIMESTAMPTZ}, 0, vssfdw_fit_trunc},
	{F_DATE_MI, NULL, INTEGER, {DATE, DATE}, 0, NULL, "-"},
	{F_DATE_PLI, "vss_add_days", DATE, {DATE, INTEGER}, VSS_LEAVES_RANGE},
	{F_DATE_MII, "vss_add_days", DATE, {DATE, INTEGER}, VSS_LEAVES_RANGE, vssfdw_fit_minus_days},
	{F_TIMESTAMP_PL_INTERVAL,
	 "vss_add_interval",
	 TIMESTAMP,
	 {TIMESTAMP},
	 VSS_LEAVES_RANGE,
	 vssfdw_fit_plus_interval},
	{F_TIMESTAMP_MI_INTERVAL,
	 "vss_add_interval",
	 TIMESTAMP,
	 {TIMESTAMP},
	 VSS_LEAVES_RANGE,
	 vssfdw_fit_minus_interval},
	{F_TIMESTAMPTZ_PL_INTERVAL,
	 "vss_add_interval_local",
	 TIMESTAMPTZ,
	 {TIMESTAMPTZ},
	 VSS_LEAVES_RANGE,
	 vssfdw_fit_plus_interval},
	{F_TIMESTAMPTZ_MI_INTERVAL,
	 "vss_add_interval_local",
	 TIMESTAMPTZ,
	 {TIMESTAMPTZ},
	 VSS_LEAVES_RANGE,
	 vssfdw_fit_minus_interval},
	{F_DATE_PL_INTERVAL,
	 "vss_add_interval",
	 TIMESTAMP,
	 {DATE},
	 VSS_LEAVES_RANGE,
	 vssfdw_fit_date_plus_interval},
	{F_DATE_MI_INTERVAL,
	 "vss_add_interval",
	 TIMESTAMP,
	 {DATE},
	 VSS_LEAVES_RANGE,
	 vssfdw_fit_date_minus_interval},
	{F_EXTRACT_TEXT_DATE, "vss_extract_date", NUMERIC, {TEXT, DATE}, VSS_LOOKS_ALIKE, vssfdw_fit_extract},
	{F_EXTRACT_TEXT_TIMESTAMP,
	 "vss_extract_timestamp",
	 NUMERIC,
	 {TEXT, TIMESTAMP},
	 VSS_LOOKS_ALIKE,
	 vssfdw_fit_extract},
	{F_EXTRACT_TEXT_TIMESTAMPTZ,
	 "vss_extract_timestamptz",
	 NUMERIC,
	 {TEXT, TIMESTAMPTZ},
	 VSS_LOOKS_ALIKE,
	 vssfdw_fit_extract},
	{F_EXTRACT_TEXT_TIME, "vss_extract_time", NUMERIC, {TEXT, TIME}, VSS_LOOKS_ALIKE, vssfdw_fit_extract},
	{F_DATE_PART_TEXT_TIMESTAMP,
	 "vss_part_timestamp",
	 FLOAT,
	 {TEXT, TIMESTAMP},
	 VSS_LOOKS_ALIKE,
	 vssfdw_fit_extract},
	{F_DATE_PART_TEXT_TIMESTAMPTZ,
	 "vss_part_timestamptz",
	 FLOAT,
	 {TEXT, TIMESTAMPTZ},
	 VSS_LOOKS_ALIKE,
	 vssfdw_fit_extract},
	{F_DATE_PART_TEXT_TIME, "vss_part_time", FLOAT, {TEXT, TIME}, VSS_LOOKS_ALIKE, vssfdw_fit_extract},
};

#undef INTEGER
#undef FLOAT
#undef BOOLEAN
#undef TEXT
#undef BPCHAR
#undef BYTES
#undef DATE
#undef TIMESTAMP
#undef TIMESTAMPTZ
#undef TIME
#undef NUMERIC

/* ---------- looking them up ---------- */

/* Callback of qsort and bsearch. */
static int
compare_rows(const void *a, const void *b)
{
	Oid x = (*(const VssFunction *const *) a)->function;
	Oid y = (*(const VssFunction *const *) b)->function;

	return (x > y) - (x < y);
}

const VssFunction *
vssfdw_find_function(Oid function)
{
	static const VssFunction *sorted[lengthof(functions)];
	VssFunction sought = {.function = function};
	const VssFunction *key = &sought;
	const VssFunction **found;

	if (sorted[0] == NULL)
	{
		for (int i = 0; i < lengthof(functions); i++)
			sorted[i] = &functions[i];
		qsort(sorted, lengthof(functions), sizeof(sorted[0]), compare_rows);
#ifdef USE_ASSERT_CHECKING
		for (int i = 1; i < lengthof(functions); i++)
			Assert(sorted[i - 1]->function < sorted[i]->function); /* none is there twice */
#endif
	}
	found = bsearch(&key, sorted, lengthof(functions), sizeof(sorted[0]), compare_rows);
	return found != NULL ? *found : NULL;
}
