/*
 * time_map.c
 *		Functions over dates and times that SQLite has an equal of.
 *
 * As in pushdown_functions.c, only such as cannot fail may stand in conditions.  A
 * sum may come out of its type's range, and a day is beyond that of timestamps
 * from the year 294277 on.  Sums and casts go down with such a result beyond all
 * finite values, and it fails when it is fetched (time_functions.c); but fields
 * of it, which would hide that, are not asked for, except that a cast of a date
 * by itself is left out, since all fields of a timestamp at midnight are those of
 * its day: date_part() of a date is written so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "fdw/ship/ship.h"

/* A constant text, or NULL. */
static char *
constant_text(Expr *expr)
{
	Const *c = (Const *) expr;

	return IsA(expr, Const) && c->consttype == TEXTOID && !c->constisnull ? TextDatumGetCString(c->constvalue)
																		  : NULL;
}

/* A constant name of a unit that vss_trunc() knows. */
static bool
is_trunc_unit(Expr *expr)
{
	char *name = constant_text(expr);

	return name != NULL && vssfdw_is_trunc_unit(name);
}

static bool
is_limitless(Oid function, void *unused)
{
	switch (function)
	{
		case F_TIMESTAMP_DATE:
		case F_TIMESTAMPTZ_DATE:
		case F_DATE_PLI:
		case F_DATE_MII:
		case F_DATE_PL_INTERVAL:
		case F_DATE_MI_INTERVAL:
		case F_TIMESTAMP_PL_INTERVAL:
		case F_TIMESTAMP_MI_INTERVAL:
		case F_TIMESTAMPTZ_PL_INTERVAL:
		case F_TIMESTAMPTZ_MI_INTERVAL:
			return true;
		default:
			return false;
	}
}

/* Callback: whether anything below may come out of a type's range. */
static bool
may_be_beyond(Node *node, void *unused)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_limitless, NULL) ||
		   expression_tree_walker(node, may_be_beyond, NULL);
}

/* The class of times that a function extracts fields from, or VSS_CLASS_NONE; number: as extract() does. */
static VssClass
extracted_class(Oid function, bool *number)
{
	*number = true;
	switch (function)
	{
		case F_EXTRACT_TEXT_DATE:
			return VSS_CLASS_DATE;
		case F_EXTRACT_TEXT_TIMESTAMP:
			return VSS_CLASS_TIMESTAMP;
		case F_EXTRACT_TEXT_TIMESTAMPTZ:
			return VSS_CLASS_TIMESTAMPTZ;
		case F_EXTRACT_TEXT_TIME:
			return VSS_CLASS_TIME;
		default:
			break;
	}
	*number = false;
	switch (function)
	{
		case F_DATE_PART_TEXT_TIMESTAMP:
			return VSS_CLASS_TIMESTAMP;
		case F_DATE_PART_TEXT_TIMESTAMPTZ:
			return VSS_CLASS_TIMESTAMPTZ;
		case F_DATE_PART_TEXT_TIME:
			return VSS_CLASS_TIME;
		default:
			return VSS_CLASS_NONE;
	}
}

/* A call of extract() or date_part(), and what of it matters. */
typedef struct Extraction
{
	VssClass class; /* of what stands in its second argument */
	bool number;    /* extract(), not date_part() */
	VssTimeField field;
} Extraction;

static bool
read_extraction(Oid function, List *args, Extraction *out)
{
	char *name;

	out->class = extracted_class(function, &out->number);
	if (out->class == VSS_CLASS_NONE)
		return false;
	name = constant_text(linitial(args));
	return name != NULL && vssfdw_is_time_field(name, out->class, &out->field);
}

/* SQLite's function for the call; prefix says what it gives. */
static bool
set_extraction(const Extraction *extraction, const char *prefix, VssClass result, List *args,
			   VssFunction *out)
{
	VssClass class = extraction->class;
	Expr *from = lsecond(args);

	out->operands = args;
	if (class == VSS_CLASS_TIMESTAMP && IsA(from, FuncExpr) &&
		((FuncExpr *) from)->funcid == F_TIMESTAMP_DATE)
	{
		class = VSS_CLASS_DATE;
		from = linitial(((FuncExpr *) from)->args);
		out->operands = list_make2(linitial(args), from);
	}
	if (may_be_beyond((Node *) from, NULL))
		return false;
	return vssfdw_set_function(out,
							   psprintf("%s_%s", prefix,
										class == VSS_CLASS_DATE        ? "date"
										: class == VSS_CLASS_TIMESTAMP ? "timestamp"
										: class == VSS_CLASS_TIME      ? "time"
																	   : "timestamptz"),
							   result, VSS_CLASS_TEXT, class);
}

/* extract()::integer; of an infinite time some fields are infinite, and the cast fails. */
static bool
find_whole(Expr *arg, int bytes, VssFunction *out)
{
	FuncExpr *call = (FuncExpr *) arg;
	Extraction extraction;

	if (!IsA(arg, FuncExpr) || !read_extraction(call->funcid, call->args, &extraction) ||
		!extraction.number || extraction.field.bytes == 0 || extraction.field.bytes > bytes)
		return false;
	out->may_fail = extraction.field.grows;
	return set_extraction(&extraction, "vss_whole", VSS_CLASS_INTEGER, call->args, out);
}

/* ---------- sums ---------- */

/* SQLite computes with these numbers of a constant; larger ones overflow in some versions of PostgreSQL. */
#define MOST_MONTHS 100000000
#define MOST_DAYS 1000000000

static Const *
integer_constant(int64 value)
{
	return makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false, FLOAT8PASSBYVAL);
}

/* A date plus or minus days. */
static bool
find_days(List *args, int sign, VssFunction *out)
{
	Const *days = lsecond(args);

	if (sign < 0)
	{
		if (!IsA(days, Const) || days->constisnull)
			return false;
		out->operands =
			list_make2(linitial(args), integer_constant(-(int64) DatumGetInt32(days->constvalue)));
	}
	return vssfdw_set_function(out, "vss_add_days", VSS_CLASS_DATE, VSS_CLASS_DATE, VSS_CLASS_INTEGER);
}

/* What the class of times has as it is, plus or minus a constant interval. */
static bool
find_sum(List *args, int sign, VssClass class, VssFunction *out)
{
	Const *c = lsecond(args);
	Interval *interval;

	if (!IsA(c, Const) || c->constisnull || c->consttype != INTERVALOID)
		return false;
	interval = DatumGetIntervalP(c->constvalue);
	if (interval->month < -MOST_MONTHS || interval->month > MOST_MONTHS || interval->day < -MOST_DAYS ||
		interval->day > MOST_DAYS || interval->time == PG_INT64_MIN)
		return false;
	out->operands =
		list_make4(linitial(args), integer_constant(sign * (int64) interval->month),
				   integer_constant(sign * (int64) interval->day), integer_constant(sign * interval->time));
	out->args[3] = VSS_CLASS_INTEGER;
	return vssfdw_set_function(out,
							   class == VSS_CLASS_TIMESTAMPTZ ? "vss_add_interval_local" : "vss_add_interval",
							   class, class, VSS_CLASS_INTEGER);
}

/* A date is a timestamp there. */
static bool
find_date_sum(List *args, int sign, VssFunction *out)
{
	FuncExpr *start = makeFuncExpr(F_TIMESTAMP_DATE, TIMESTAMPOID, list_make1(linitial(args)), InvalidOid,
								   InvalidOid, COERCE_EXPLICIT_CAST);

	return find_sum(list_make2(start, lsecond(args)), sign, VSS_CLASS_TIMESTAMP, out);
}

bool
vssfdw_find_time_function(Oid function, List *args, VssFunction *out)
{
	Extraction extraction;

	switch (function)
	{
		case F_TIME_TIMESTAMP:
			return !may_be_beyond(linitial(args), NULL) &&
				   vssfdw_set_function(out, "vss_to_time", VSS_CLASS_TIME, VSS_CLASS_TIMESTAMP,
									   VSS_CLASS_NONE);
		case F_TIME_TIMESTAMPTZ:
			return !may_be_beyond(linitial(args), NULL) &&
				   vssfdw_set_function(out, "vss_to_time_local", VSS_CLASS_TIME, VSS_CLASS_TIMESTAMPTZ,
									   VSS_CLASS_NONE);
		case F_DATE_TRUNC_TEXT_TIMESTAMP:
			return is_trunc_unit(linitial(args)) && vssfdw_set_function(out, "vss_trunc", VSS_CLASS_TIMESTAMP,
																		VSS_CLASS_TEXT, VSS_CLASS_TIMESTAMP);
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
			return is_trunc_unit(linitial(args)) &&
				   vssfdw_set_function(out, "vss_trunc_local", VSS_CLASS_TIMESTAMPTZ, VSS_CLASS_TEXT,
									   VSS_CLASS_TIMESTAMPTZ);
		case F_DATE_PLI:
			return find_days(args, 1, out);
		case F_DATE_MII:
			return find_days(args, -1, out);
		case F_DATE_PL_INTERVAL:
			return find_date_sum(args, 1, out);
		case F_DATE_MI_INTERVAL:
			return find_date_sum(args, -1, out);
		case F_TIMESTAMP_PL_INTERVAL:
			return find_sum(args, 1, VSS_CLASS_TIMESTAMP, out);
		case F_TIMESTAMP_MI_INTERVAL:
			return find_sum(args, -1, VSS_CLASS_TIMESTAMP, out);
		case F_TIMESTAMPTZ_PL_INTERVAL:
			return find_sum(args, 1, VSS_CLASS_TIMESTAMPTZ, out);
		case F_TIMESTAMPTZ_MI_INTERVAL:
			return find_sum(args, -1, VSS_CLASS_TIMESTAMPTZ, out);
		case F_INT2_NUMERIC:
			return find_whole(linitial(args), 2, out);
		case F_INT4_NUMERIC:
		case F_INT8_NUMERIC:
			return find_whole(linitial(args), 4, out);
		default:
			return read_extraction(function, args, &extraction) &&
				   set_extraction(&extraction, extraction.number ? "vss_extract" : "vss_part",
								  extraction.number ? VSS_CLASS_NUMERIC : VSS_CLASS_FLOAT, args, out);
	}
}

bool
vssfdw_is_extract(Expr *expr, int *scale)
{
	FuncExpr *call = (FuncExpr *) expr;
	Extraction extraction;

	if (!IsA(expr, FuncExpr) || !read_extraction(call->funcid, call->args, &extraction) || !extraction.number)
		return false;
	*scale = extraction.field.scale;
	return true;
}

bool
vssfdw_is_date_part(Expr *expr)
{
	FuncExpr *call = (FuncExpr *) expr;
	Extraction extraction;

	return IsA(expr, FuncExpr) && read_extraction(call->funcid, call->args, &extraction) &&
		   !extraction.number;
}
