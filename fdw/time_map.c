/*
 * time_map.c
 *		Functions over dates and times that SQLite has an equal of.
 *
 * As in function_map.c, only such as cannot fail may stand in conditions.  A
 * day is beyond the range of timestamps from the year 294277 on, and its cast
 * then fails.  Such a cast goes down with its result beyond all timestamps,
 * which fails when it is fetched (time_functions.c); but fields of it, which
 * would hide that, are not asked for, except that a cast of a date by itself is
 * left out, since all fields of a timestamp at midnight are those of its day:
 * date_part() of a date is written so.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "fdw/planner.h"

static bool
set(VssFunction *out, const char *name, VssClass result, VssClass first, VssClass second)
{
	out->name = name;
	out->result = result;
	out->args[0] = first;
	out->args[1] = second;
	return true;
}

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

/* Callback: whether a date is cast anywhere below. */
static bool
casts_date(Node *node, void *unused)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && (((FuncExpr *) node)->funcid == F_TIMESTAMP_DATE ||
								((FuncExpr *) node)->funcid == F_TIMESTAMPTZ_DATE))
		return true;
	return expression_tree_walker(node, casts_date, NULL);
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
	if (casts_date((Node *) from, NULL))
		return false;
	return set(out,
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

bool
vssfdw_find_time_function(Oid function, List *args, VssFunction *out)
{
	Extraction extraction;

	switch (function)
	{
		case F_TIME_TIMESTAMP:
			return !casts_date(linitial(args), NULL) &&
				   set(out, "vss_to_time", VSS_CLASS_TIME, VSS_CLASS_TIMESTAMP, VSS_CLASS_NONE);
		case F_TIME_TIMESTAMPTZ:
			return !casts_date(linitial(args), NULL) &&
				   set(out, "vss_to_time_local", VSS_CLASS_TIME, VSS_CLASS_TIMESTAMPTZ, VSS_CLASS_NONE);
		case F_DATE_TRUNC_TEXT_TIMESTAMP:
			return is_trunc_unit(linitial(args)) &&
				   set(out, "vss_trunc", VSS_CLASS_TIMESTAMP, VSS_CLASS_TEXT, VSS_CLASS_TIMESTAMP);
		case F_DATE_TRUNC_TEXT_TIMESTAMPTZ:
			return is_trunc_unit(linitial(args)) &&
				   set(out, "vss_trunc_local", VSS_CLASS_TIMESTAMPTZ, VSS_CLASS_TEXT, VSS_CLASS_TIMESTAMPTZ);
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
