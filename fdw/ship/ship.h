/*
 * ship.h
 *		What means the same in SQLite, and how it is spelled.
 *
 * Which columns compare alike (column_class.c), which expressions, aggregates
 * and orders go down (shippable.c and shippable_upper.c; pushdown_functions.c
 * and time_map.c know the functions), and their SQL (deparse*.c, literals.c,
 * bounds.c, assign.c).
 */
#ifndef VSS_SHIP_H
#define VSS_SHIP_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pathnodes.h"

#include "fdw/values/values.h"

/* ---------- relation.c: a relation as the planner sees it ---------- */

/* A column of a foreign table as the planner sees it. */
typedef struct VssPlanColumn
{
	char *name; /* in SQLite; NULL for a dropped column */
	VssClass class;
	const char *reader;      /* function that makes the value comparable; NULL: the bare column is */
	const char *reader_args; /* what follows the column in its call */
	bool one_form;           /* values that are equal are also shown alike, as 1.0 and 1.00 are not */
	bool text_only;          /* what is stored is TEXT, sure of it */
	bool binary;             /* collation BINARY is sure */
	bool as_blob;            /* option column_type says that it is a BLOB */
	bool not_null;
} VssPlanColumn;

/* A semi or anti join, written as [NOT] EXISTS in the outer side's WHERE. */
typedef struct VssExists
{
	bool anti;
	RelOptInfo *inner;
	List *clauses; /* RestrictInfo or bare: conditions of the join */
} VssExists;

/*
 * Planner's state of a relation: RelOptInfo.fdw_private.  The first part is of
 * all kinds, the others of base relations, of joins that SQLite does, and of
 * what comes after the joins (grouping, distinct, order, limit).
 */
typedef struct VssRel
{
	VssConnection *conn;
	VssServerOptions *server;
	Relids relids;      /* base relations that SQLite reads for it */
	List *remote_conds; /* RestrictInfo or bare: SQLite evaluates them */
	List *local_conds;  /* RestrictInfo or bare: PostgreSQL does */
	List *
		guessed_conds; /* bare, of base relations, from local_conds: SQLite leaves out rows that surely fail them */
	double remote_rows; /* rows that satisfy remote_conds */
	Cost walk_cost;     /* of making these inside SQLite, none handed over */
	double rows;        /* of the unsorted path, and what it costs */
	Cost startup_cost;
	Cost total_cost;

	/* base relation */
	Oid relid;
	const VssTableOptions *table;
	const VssTableInfo *info;
	int natts;
	VssPlanColumn *columns; /* by attnum - 1 */

	Bitmapset *attrs_used;  /* pull_varattnos form: what rows must contain */
	double tuples;          /* rows of the table */
	Selectivity remote_sel; /* remote_rows / tuples */

	RestrictInfo *knn_predicate; /* vss_knn(col, q, k [, ef]), or NULL */

	/* join; a semi or anti join is its outer side with one more of exists */
	RelOptInfo *outer;
	RelOptInfo *inner;
	JoinType jointype;
	List *join_clauses; /* RestrictInfo: ON */
	List *own_conds;    /* RestrictInfo: those of remote_conds that are of no side */
	List *exists;       /* VssExists, among the conditions of WHERE */

	/* after the joins */
	RelOptInfo *input;   /* what is grouped, sorted or cut; NULL in the kinds above */
	List *grouped_tlist; /* grouping: what SQLite returns */
	bool distinct;       /* SELECT DISTINCT, no aggregates */
	Expr *grouped_by;    /* the one column that an index gives the groups in order of, or NULL */

	/* the query's last steps: order, limit */
	RelOptInfo *core; /* whose rows these are: one of the kinds above; NULL in them */
	Expr *limit;      /* or NULL; may be a NULL constant */
	Expr *offset;
} VssRel;

#define VSS_REL(baserel) ((VssRel *) (baserel)->fdw_private)

/* Fill natts and columns of a base relation, whose relid and info are set. */
void vssfdw_load_columns(VssRel *rel);

/* The planner's state of the column that var is, or NULL: not of a relation we read. */
const VssPlanColumn *vssfdw_var_column(PlannerInfo *root, const Var *var);

/* The hnsw indexes (VssIndexInfo) over the column. */
List *vssfdw_column_indexes(const VssRel *rel, AttrNumber attnum);

/* The first of them for this metric, or NULL. */
const VssIndexInfo *vssfdw_column_index(const VssRel *rel, AttrNumber attnum, BridgeMetric metric);

/* ---------- column_class.c ---------- */

/* Class of a value of this type that PostgreSQL hands down; VSS_CLASS_NONE for other types. */
VssClass vssfdw_type_class(Oid type);

/* The B-tree family whose operators mean the class's order. */
Oid vssfdw_class_family(VssClass class);

/* Whether comparisons depend on a collation. */
bool vssfdw_class_is_text(VssClass class);

/* Of numeric(precision, scale). */
int vssfdw_numeric_precision(int32 typmod);
int vssfdw_numeric_scale(int32 typmod);

/* Enter class and reader of a column; class VSS_CLASS_NONE where SQLite must not compare it. */
void vssfdw_classify(VssPlanColumn *out, const VssColumn *column, const VssColumnInfo *info,
					 bool keeps_affinity);

/* ---------- literals.c ---------- */

/* 'text' with quotes doubled, palloc'd. */
char *vssfdw_quote_literal(const char *text);

/* Write the value as it compares; false where it has no exact or short literal. */
bool vssfdw_put_literal(StringInfo buf, Oid type, Datum value, bool isnull);

/* Bind it; returns SQLite's result code.  The value lives in CurrentMemoryContext. */
int vssfdw_bind_compared(sqlite3_stmt *stmt, int number, Oid type, Datum value, bool isnull);

/* The function that a bound value needs to compare, or NULL; likewise an element of a bound array. */
const char *vssfdw_param_reader(Oid type);
const char *vssfdw_element_reader(Oid type);

/* ---------- shippable.c ---------- */

/*
 * Whether the expression is free of the relation's columns and of anything
 * that must be evaluated more than once a scan: PostgreSQL computes it and
 * binds the value.
 */
bool vssfdw_is_bindable(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* Whether SQLite's answer to this condition is PostgreSQL's. */
bool vssfdw_is_shippable(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* The same with arithmetic that may fail, which is NULL then. */
VssClass vssfdw_guessed_class(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/*
 * Whether SQLite can leave out rows for which the condition is surely false:
 * it has arithmetic that may fail, or else would be shippable.
 */
bool vssfdw_is_guessable(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* CASE x WHEN y as CASE WHEN x = y; any other as it is. */
CaseExpr *vssfdw_searched_case(CaseExpr *expr);

/* Class of a shippable expression, VSS_CLASS_NONE where it is not shippable. */
VssClass vssfdw_expr_class(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* B-tree family float_ops, which PostgreSQL's headers give no symbol. */
#define VSS_FLOAT_BTREE_FAM 1970

/* How an operator compares: a B-tree strategy number, or VSS_NOT_EQUAL, or 0. */
#define VSS_NOT_EQUAL 6
int vssfdw_comparison(Oid opno, VssClass class);

/*
 * The class in which operands of these two are compared, VSS_CLASS_NONE where
 * they are not: dates, timestamps and those with time zone compare with each other.
 */
VssClass vssfdw_common_class(VssClass a, VssClass b);

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

/* Whether text compares by bytes for this purpose. */
bool vssfdw_collation_agrees(ShipContext *context, Oid collation, bool equality);

/* ---------- shippable_upper.c ---------- */

/* Whether SQLite computes this aggregate as PostgreSQL does. */
bool vssfdw_is_shippable_aggregate(PlannerInfo *root, RelOptInfo *rel, Aggref *agg);

/* avg(), which is fetched as "sum count". */
bool vssfdw_is_average(const Aggref *agg);

/* sum() of type numeric, which is fetched as text. */
bool vssfdw_is_numeric_sum(const Aggref *agg);

/* Whether SQLite's groups of the expression are PostgreSQL's under eqop. */
bool vssfdw_is_shippable_group(PlannerInfo *root, RelOptInfo *rel, Expr *expr, Oid eqop);

/* Whether SQLite sorts the expression as the pathkey says. */
bool vssfdw_is_shippable_order(PlannerInfo *root, RelOptInfo *rel, Expr *expr, const PathKey *pathkey);

/* The same of an aggregate. */
VssClass vssfdw_aggregate_class(ShipContext *context, Aggref *agg);

/* ---------- pushdown_functions.c ---------- */

#define VSS_FUNCTION_ARGS 4

/* A function or operator as SQLite has it. */
typedef struct VssFunction
{
	const char *name; /* "||" stands between its arguments */
	bool negated;
	bool may_fail; /* so that it must not stand in a condition */
	VssClass result;
	VssClass args[VSS_FUNCTION_ARGS]; /* what each must be */
	List *operands;                   /* what is handed to it: the arguments, or what they are made of */
} VssFunction;

/* Whether SQLite has the function (of an operator: its function) with these arguments. */
bool vssfdw_find_function(Oid function, Oid collation, List *args, VssFunction *out);

/* Describe a function of at most two arguments, or three with an integer; true. */
bool vssfdw_set_function(VssFunction *out, const char *name, VssClass result, VssClass first,
						 VssClass second);

/* ---------- time_map.c ---------- */

/* The same of functions over dates and times that are not alike for all arguments; *out has its operands. */
bool vssfdw_find_time_function(Oid function, List *args, VssFunction *out);

/* Whether the expression is a call of extract(); *scale: of the digits that its results show. */
bool vssfdw_is_extract(Expr *expr, int *scale);

/* Whether it is a call of date_part(). */
bool vssfdw_is_date_part(Expr *expr);

/* ---------- deparse.c ---------- */

/*
 * Parameters of the KNN statements come first, with fixed numbers; those of
 * the conditions follow.  Other statements number from 1.
 */
enum VssKnnParam
{
	VSS_PARAM_QUERY = 1,
	VSS_PARAM_K,
	VSS_PARAM_EF,
	VSS_PARAM_STRATEGY,
	VSS_PARAM_STATS,
	VSS_PARAM_BOUND,
	VSS_PARAM_FIRST
};

/* Elements of a constant IN list that are written one by one; a longer one is bound as an array. */
#define VSS_MAX_LIST 1000

typedef struct VssDeparse
{
	PlannerInfo *root;
	RelOptInfo *rel;
	StringInfo buf;
	int first_param; /* number of params' first member */
	List *params;    /* Expr: what PostgreSQL evaluates and binds */
} VssDeparse;

/* An expression found shippable. */
void vssfdw_deparse_expr(VssDeparse *context, Expr *expr);

/* The bare column, as it is fetched. */
void vssfdw_deparse_column(VssDeparse *context, Var *var);

/* ---------- deparse_aggregate.c ---------- */

/* A result, in a form that is read back. */
void vssfdw_deparse_result(VssDeparse *context, Expr *expr);

/* The aggregate; of a sum of type numeric, its text. */
void vssfdw_deparse_aggregate(VssDeparse *context, Aggref *agg);

/* ---------- deparse_conds.c ---------- */

/* Conditions joined by AND or OR.  RestrictInfo or bare. */
void vssfdw_deparse_list(VssDeparse *context, List *conds, const char *word);

/* " word cond AND cond ...", nothing without conditions.  RestrictInfo or bare. */
void vssfdw_deparse_conds(VssDeparse *context, const char *word, List *conds);

/* " word (cond) IS NOT FALSE AND ...", nothing without conditions.  Bare ones, found guessable. */
void vssfdw_deparse_guesses(VssDeparse *context, const char *word, List *conds);

/* ---------- assign.c: new values of UPDATE ---------- */

/*
 * Whether SQLite can compute the value that UPDATE gives the column: what a
 * condition may hold, and arithmetic that may fail.  It is evaluated for the
 * rows that are changed, once each.
 */
bool vssfdw_is_assignable(PlannerInfo *root, RelOptInfo *rel, const VssPlanColumn *column, Expr *expr);
void vssfdw_deparse_assigned(VssDeparse *context, Expr *expr);

/* ---------- bounds.c ---------- */

/* Whether an index on the column can be used although it is compared through a reader. */
bool vssfdw_has_bounds(const VssPlanColumn *column);

/* Conditions for SQLite's indexes that follow from conds, each with AND after it. */
void vssfdw_deparse_bounds(VssDeparse *context, List *conds);

/* ---------- deparse_select.c ---------- */

/*
 * SELECT of a base relation.  columns: attribute numbers in order, maybe none.
 * conds: RestrictInfo or bare clauses, all shippable.
 */
void vssfdw_deparse_select(VssDeparse *context, List *columns, List *conds);

/* The statements of a KNN scan; each yields columns, distance, rowid. */
typedef enum VssKnnSql
{
	VSS_KNN_NEAREST,   /* the k nearest, for the predicate */
	VSS_KNN_STREAM,    /* in order of distance, conditions tested row by row */
	VSS_KNN_PREFILTER, /* the same among the matching rowids */
	VSS_KNN_TAIL       /* rows whose distance is NaN or NULL, or that the index lacks */
} VssKnnSql;

void vssfdw_deparse_knn(VssDeparse *context, VssKnnSql which, const VssIndexInfo *index, List *columns,
						List *conds, bool bounded);

/* " FROM ... WHERE ..." of a base relation or join, with all conditions that go down. */
void vssfdw_deparse_rows(VssDeparse *context, RelOptInfo *rel);

/* What stands in FROM for it alone, and its " WHERE ...", nothing without conditions. */
void vssfdw_deparse_relation(VssDeparse *context, RelOptInfo *rel);
void vssfdw_deparse_where(VssDeparse *context, RelOptInfo *rel);

#endif /* VSS_SHIP_H */
