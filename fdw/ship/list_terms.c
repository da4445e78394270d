/*
 * list_terms.c
 *		The terms of x = ANY (array), and of what is written as one.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "fdw/ship/ship.h"

int
vssfdw_list_length(const VssTerm *list)
{
	const Const *array = (const Const *) ((VssTerm *) lsecond(list->args))->expr;
	ArrayType *values;

	if (!IsA(array, Const) || array->constisnull)
		return 0;
	values = DatumGetArrayTypeP(array->constvalue);
	return ArrayGetNItems(ARR_NDIM(values), ARR_DIMS(values));
}

List *
vssfdw_list_elements(const VssTerm *list)
{
	const Const *array = (const Const *) ((VssTerm *) lsecond(list->args))->expr;
	ArrayType *values = DatumGetArrayTypeP(array->constvalue);
	Oid type = ARR_ELEMTYPE(values);
	List *result = NIL;
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;
	bool *nulls;
	int n;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(values, type, typlen, typbyval, typalign, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		result = lappend(result, vssfdw_constant_term(makeConst(type, -1, get_typcollation(type), typlen,
																elements[i], nulls[i], typbyval)));
	return result;
}

/* Whether arrays of the class are bound, as JSON; its digits are not always read as the nearest double. */
static bool
is_bound_as_array(VssClass class)
{
	return class != VSS_CLASS_NONE && class != VSS_CLASS_BOOLEAN && class != VSS_CLASS_BYTES &&
		   class != VSS_CLASS_FLOAT;
}

/*
 * x = ANY (array) and x <> ALL (array).  Both databases agree on NULL elements
 * and on the empty array; a NULL array is bound as an array with one NULL, which
 * gives the same NULL.
 */
VssTerm *
vssfdw_array_term(RelOptInfo *rel, ScalarArrayOpExpr *op, List *args)
{
	VssTerm *left = linitial(args);
	VssTerm *array = lsecond(args);
	bool constant = IsA(array->expr, Const) && !((Const *) array->expr)->constisnull;
	VssTerm *term = vssfdw_make_term(VSS_TERM_ANY, op->useOr ? "IN" : "NOT IN", args, (Expr *) op);
	int elements = vssfdw_list_length(term);

	if (array->kind != VSS_TERM_VALUE)
		return vssfdw_no_term((Expr *) op);
	if (!is_bound_as_array(left->class) &&
		(left->class != VSS_CLASS_FLOAT || !constant || elements > VSS_MAX_LIST))
		return vssfdw_no_term((Expr *) op);
	if (vssfdw_type_class(get_element_type(exprType((Node *) array->expr))) != left->class)
		return vssfdw_no_term((Expr *) op);
	if (vssfdw_comparison(op->opno, left->class) != (op->useOr ? BTEqualStrategyNumber : VSS_NOT_EQUAL))
		return vssfdw_no_term((Expr *) op);
	if (vssfdw_class_is_text(left->class) && !vssfdw_collation_agrees(rel, op->inputcollid, true))
		return vssfdw_no_term((Expr *) op);
	term->class = VSS_CLASS_BOOLEAN;
	term->how = op->useOr ? BTEqualStrategyNumber : VSS_NOT_EQUAL;
	if (elements <= VSS_MAX_LIST)
		term->size += elements;
	return term;
}

/*
 * x = 1 OR x = 2 OR ... as x IN (1, 2, ...), where the list is so long that it is
 * better bound as one array; NULL where it cannot be.  All values are of one
 * type, so that all comparisons mean the same.
 */
VssTerm *
vssfdw_alternatives_term(BoolExpr *expr, List *args)
{
	const VssTerm *first = linitial(args);
	Datum *values = palloc(list_length(args) * sizeof(Datum));
	const Const *model;
	Oid array_type;
	ArrayType *array;
	VssTerm *term;
	ListCell *cell;
	int16 typlen;
	bool typbyval;
	char typalign;

	if (first->kind != VSS_TERM_COMPARISON || ((VssTerm *) linitial(first->args))->kind != VSS_TERM_COLUMN)
		return NULL;
	model = (const Const *) ((VssTerm *) lsecond(first->args))->expr;
	foreach (cell, args)
	{
		const VssTerm *arg = lfirst(cell);
		const Const *value;

		if (arg->kind != VSS_TERM_COMPARISON || arg->how != BTEqualStrategyNumber ||
			!equal(((VssTerm *) linitial(arg->args))->expr, ((VssTerm *) linitial(first->args))->expr))
			return NULL;
		value = (const Const *) ((VssTerm *) lsecond(arg->args))->expr;
		if (!IsA(value, Const) || value->constisnull || value->consttype != model->consttype)
			return NULL;
		values[foreach_current_index(cell)] = value->constvalue;
	}
	array_type = get_array_type(model->consttype);
	if (!OidIsValid(array_type) || !is_bound_as_array(((VssTerm *) linitial(first->args))->class) ||
		vssfdw_type_class(model->consttype) != ((VssTerm *) linitial(first->args))->class)
		return NULL;
	get_typlenbyvalalign(model->consttype, &typlen, &typbyval, &typalign);
	array = construct_array(values, list_length(args), model->consttype, typlen, typbyval, typalign);
	term = vssfdw_make_term(VSS_TERM_ANY, "IN",
							list_make2(linitial(first->args),
									   vssfdw_constant_term(makeConst(array_type, -1, model->constcollid, -1,
																	  PointerGetDatum(array), false, false))),
							(Expr *) expr);
	term->class = VSS_CLASS_BOOLEAN;
	term->how = BTEqualStrategyNumber;
	return term;
}
