/*
 * shippable.h
 *		Private to shippable.c and shippable_upper.c: one question about an
 *		expression.
 */
#ifndef VSS_SHIPPABLE_H
#define VSS_SHIPPABLE_H

#include "fdw/planner.h"

typedef struct ShipContext
{
	PlannerInfo *root;
	RelOptInfo *rel;
	int depth;
	bool guess; /* arithmetic may fail, and then be NULL */
	bool sure;  /* it is evaluated for the rows for which PostgreSQL would, so that it may fail */
	int lazy;   /* inside a CASE or coalesce(), which need not evaluate all of their parts */
} ShipContext;

/* Class of an expression that SQLite may evaluate, else VSS_CLASS_NONE. */
VssClass vssfdw_ship_class(ShipContext *context, Expr *expr);

/* The same of an aggregate. */
VssClass vssfdw_aggregate_class(ShipContext *context, Aggref *agg);

/* Whether text compares by bytes for this purpose. */
bool vssfdw_collation_agrees(ShipContext *context, Oid collation, bool equality);

#endif /* VSS_SHIPPABLE_H */
