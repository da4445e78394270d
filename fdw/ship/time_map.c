/*
 * time_map.c
 *		For which operands SQLite has the functions over dates and times that have a
 *		row in pushdown_functions.c.
 *
 * The result of a sum or a cast may be out of its type's range: there are dates
 * after the year 294276, and no timestamps.  Sums and casts go down all the same.
 * SQLite then computes a value beyond all finite ones, which fails when it is
 * fetched (time_functions.c).  A field of such a result would hide the error, so
 * fields of sums and casts do not go down.  One cast is an exception: that of a
 * date in date_part(), which is how date_part() of a date is written.  SQLite's
 * function takes the date itself and fails where the cast would.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "fdw/ship/ship.h"

/* A constant of the type, not NULL, that the operand is; NULL otherwise. */
static const Const *
constant_operand(const VssTerm *call, int place, Oid type)
{
	const Const *c = (const Const *) ((VssTerm *) list_nth(call->args, place))->expr;

	return IsA(c, Const) && c->consttype == type && !c->constisnull ? c : NULL;
}

/* A constant text, or NULL. */
static char *
constant_text(const VssTerm *call, int place)
{
	const Const *c = constant_operand(call, place, TEXTOID);

	return c != NULL ? TextDatumGetCString(c->constvalue) : NULL;
}

bool
vssfdw_fit_trunc(VssTerm *call)
{
	char *unit = constant_text(call, 0);

	return unit != NULL && vssfdw_is_trunc_unit(unit);
}

bool
vssfdw_fit_in_range(VssTerm *call)
{
	return (call->traits & VSS_MAY_LEAVE_RANGE) == 0;
}

/* ---------- fields ---------- */

/* The name of the class in those of SQLite's functions. */
static const char *
class_name(VssClass class)
{
	switch (class)
	{
		case VSS_CLASS_DATE:
			return "date";
		case VSS_CLASS_TIMESTAMP:
			return "timestamp";
		case VSS_CLASS_TIME:
			return "time";
		default:
			return "timestamptz";
	}
}

/* A term, or the date that it is a cast of. */
static VssTerm *
uncast_date(VssTerm *term)
{
	return term->function != NULL && term->function->function == F_TIMESTAMP_DATE ? linitial(term->args)
																				  : term;
}

/* extract() and date_part() */
bool
vssfdw_fit_extract(VssTerm *call)
{
	bool number = call->class == VSS_CLASS_NUMERIC;
	char *name = constant_text(call, 0);
	VssTerm *from = lsecond(call->args);
	VssTimeField field;

	if (name == NULL || !vssfdw_is_time_field(name, from->class, &field))
		return false;
	if (!number)
		from = uncast_date(from);
	if ((from->traits & VSS_MAY_LEAVE_RANGE) != 0)
		return false;
	call->word = psprintf("%s_%s", number ? "vss_extract" : "vss_part", class_name(from->class));
	call->args = list_make2(linitial(call->args), from);
	call->traits &= ~VSS_MAY_LEAVE_RANGE;
	if (number)
		call->scale = field.scale;
	return true;
}

/* Bytes of the integer type that the function casts to, as far as fields go. */
static int
integer_bytes(Oid function)
{
	return function == F_INT2_NUMERIC ? 2 : 4;
}

/* extract()::integer; of an infinite time some fields are infinite, and the cast fails. */
bool
vssfdw_fit_whole(VssTerm *call)
{
	const VssTerm *extraction = linitial(call->args);
	VssClass from;
	VssTimeField field;

	if (extraction->function == NULL || extraction->function->fit != vssfdw_fit_extract)
		return false;
	/* the field is one of the operand that was written */
	from = extraction->function->args[1];
	if (!vssfdw_is_time_field(constant_text(extraction, 0), from, &field) || field.bytes == 0 ||
		field.bytes > integer_bytes(call->function->function))
		return false;
	if (field.grows)
		call->traits |= VSS_MAY_RAISE;
	call->word = psprintf("vss_whole_%s", class_name(((VssTerm *) lsecond(extraction->args))->class));
	call->args = extraction->args;
	return true;
}

/* ---------- sums ---------- */

/* SQLite computes with these numbers of a constant; larger ones overflow in some versions of PostgreSQL. */
#define MOST_MONTHS 100000000
#define MOST_DAYS 1000000000

static VssTerm *
integer_term(int64 value)
{
	return vssfdw_constant_term(
		makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false, FLOAT8PASSBYVAL));
}

/* A date minus days. */
bool
vssfdw_fit_minus_days(VssTerm *call)
{
	const Const *days = constant_operand(call, 1, INT4OID);

	if (days == NULL)
		return false;
	call->args = list_make2(linitial(call->args), integer_term(-(int64) DatumGetInt32(days->constvalue)));
	return true;
}

/* Plus or minus a constant interval, which SQLite is told as months, days and microseconds. */
static bool
fit_interval(VssTerm *call, VssTerm *time, int sign)
{
	const Const *c = constant_operand(call, 1, INTERVALOID);
	const Interval *interval;

	if (c == NULL)
		return false;
	interval = DatumGetIntervalP(c->constvalue);
	if (interval->month < -MOST_MONTHS || interval->month > MOST_MONTHS || interval->day < -MOST_DAYS ||
		interval->day > MOST_DAYS || interval->time == PG_INT64_MIN)
		return false;
	call->args = list_make4(time, integer_term(sign * (int64) interval->month),
							integer_term(sign * (int64) interval->day), integer_term(sign * interval->time));
	return true;
}

bool
vssfdw_fit_plus_interval(VssTerm *call)
{
	return fit_interval(call, linitial(call->args), 1);
}

bool
vssfdw_fit_minus_interval(VssTerm *call)
{
	return fit_interval(call, linitial(call->args), -1);
}

/* A date is a timestamp there. */
static bool
fit_date_interval(VssTerm *call, int sign)
{
	VssTerm *start =
		vssfdw_make_term(VSS_TERM_CALL, "vss_date_start", list_make1(linitial(call->args)), call->expr);

	start->class = VSS_CLASS_TIMESTAMP;
	start->traits |= VSS_MAY_LEAVE_RANGE;
	return fit_interval(call, start, sign);
}

bool
vssfdw_fit_date_plus_interval(VssTerm *call)
{
	return fit_date_interval(call, 1);
}

bool
vssfdw_fit_date_minus_interval(VssTerm *call)
{
	return fit_date_interval(call, -1);
}
