/*
 * planner.h
 *		What the files share that plan, scan and explain.
 *
 * The split is by question: which ways are there to read a relation (paths.c,
 * knn_path.c, join_path.c, upper_path.c, order_path.c), which plans do they
 * become (paths.c, knn_plan.c, remote_plan.c, direct_plan.c), what do they cost
 * (cost.c, unique_keys.c, analyze.c), what means the same in SQLite (column_class.c,
 * shippable.c, shippable_upper.c, pushdown_functions.c, time_map.c, and the functions of readers.c,
 * decimal.c, assign.c and their like), how is it spelled (deparse.c, deparse_aggregate.c,
 * deparse_conds.c, deparse_select.c, literals.c, bounds.c), how are rows fetched
 * (scan.c, whole_row.c, knn.c, read_ahead.c), what does EXPLAIN say (explain.c).
 */
#ifndef VSS_PLANNER_H
#define VSS_PLANNER_H

#include "fdw/fdw.h"

#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_state.h"
#endif
#include "foreign/fdwapi.h"
#include "lib/stringinfo.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/resowner.h"

typedef struct VssDeparse VssDeparse;

/* ---------- paths.c ---------- */

/*
 * How a SQLite value compares.  Two operands of one class compare in SQLite as
 * in PostgreSQL; see column_class.c for what a column must be to have a class.
 */
typedef enum VssClass
{
	VSS_CLASS_NONE, /* do not compare in SQLite */
	VSS_CLASS_INTEGER,
	VSS_CLASS_FLOAT,
	VSS_CLASS_BOOLEAN,
	VSS_CLASS_TEXT,
	VSS_CLASS_BPCHAR, /* text without the blanks at its end */
	VSS_CLASS_BYTES,
	VSS_CLASS_DATE,        /* days since 2000-01-01 */
	VSS_CLASS_TIMESTAMP,   /* microseconds since then */
	VSS_CLASS_TIMESTAMPTZ, /* likewise, in UTC */
	VSS_CLASS_TIME,        /* microseconds since midnight */
	VSS_CLASS_NUMERIC,     /* BLOB, see decimal.c */
	VSS_CLASS_UUID         /* BLOB of 16 bytes */
} VssClass;

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

/*
 * fdw_private of the ForeignPaths that ask an hnsw index; NIL for the others.
 * All of it is nodes, as PostgreSQL may copy a path.
 */
enum VssKnnPathItem
{
	VSS_KNN_PATH_INDEX,    /* String: name of the hnsw table */
	VSS_KNN_PATH_COLUMN,   /* Integer: attnum of the vector column */
	VSS_KNN_PATH_DISTANCE, /* Expr: col <operator> q, or NULL for the predicate */
	VSS_KNN_PATH_QUERY,    /* Expr: q */
	VSS_KNN_PATH_K,        /* Expr of the predicate, or NULL */
	VSS_KNN_PATH_EF,       /* Expr of the predicate, or NULL */
	VSS_KNN_PATH_BOUND,    /* Expr: only distances up to this are wanted, or NULL */
	VSS_KNN_PATH_PREFILTER /* Boolean: collect the matching rowids first */
};

/* The planner's state of the column that var is, or NULL: not of a relation we read. */
const VssPlanColumn *vssfdw_var_column(PlannerInfo *root, const Var *var);

/* The hnsw indexes (VssIndexInfo) over the column. */
List *vssfdw_column_indexes(const VssRel *rel, AttrNumber attnum);

/* The first of them for this metric, or NULL. */
const VssIndexInfo *vssfdw_column_index(const VssRel *rel, AttrNumber attnum, BridgeMetric metric);

/* ---------- knn_path.c ---------- */

/* Add the paths ordered by distance that the query has a use for. */
void vssfdw_add_knn_paths(PlannerInfo *root, RelOptInfo *baserel);

/* Add the path that measures all distances in the index, for a condition distance < x. */
void vssfdw_add_range_path(PlannerInfo *root, RelOptInfo *baserel);

/* Add the one path there is for a relation with a vss_knn predicate. */
void vssfdw_add_predicate_path(PlannerInfo *root, RelOptInfo *baserel);

/* Whether clause is vss_knn(column of this relation, ...), raising an error when its form is not supported. */
bool vssfdw_is_knn_predicate(PlannerInfo *root, RelOptInfo *baserel, Expr *clause);

/* create_foreignscan_path of all versions. */
ForeignPath *vssfdw_make_path(PlannerInfo *root, RelOptInfo *rel, double rows, Cost startup, Cost total,
							  List *pathkeys, Relids required_outer, List *private);

/* ---------- pgvector.c ---------- */

/* Whether it is computed by an operator of pgvector's, whose numbers are rounded otherwise than the index's. */
bool vssfdw_is_pgvector_distance(const Expr *distance);

/*
 * Whether the query sorts by the distance and uses it for nothing else, so that
 * nobody sees which of the two numbers it was.
 */
bool vssfdw_only_sorted_by(PlannerInfo *root, RelOptInfo *baserel, List *local_exprs, Expr *distance);

/*
 * A bound of the index's distances within which all rows lie that are within
 * bound by pgvector's; whether there is one for the metric.
 */
double vssfdw_widened(BridgeMetric metric, int dim, double bound);
bool vssfdw_has_widened(BridgeMetric metric);

/* ---------- knn_plan.c ---------- */

/* Whether the query reads nothing but this relation, or the table it is a partition of; then its target list. */
bool vssfdw_reads_alone(PlannerInfo *root, RelOptInfo *baserel, List **tlist);

typedef struct VssKnnPlan
{
	PlannerInfo *root;
	RelOptInfo *baserel;
	ForeignPath *path;
	List *tlist;
	List *columns; /* attribute numbers that must be fetched */
	List *remote_exprs;
	List *local_exprs;
	/* set by vssfdw_plan_knn */
	List *scan_tlist; /* NIL: rows have the table's layout */
	List *exprs;      /* fdw_exprs */
} VssKnnPlan;

/* Returns fdw_private. */
List *vssfdw_plan_knn(VssKnnPlan *plan);

/* ---------- join_path.c ---------- */

void vssGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
							RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra);

/* "(a) LEFT JOIN (b)", for EXPLAIN. */
char *vssfdw_relation_label(PlannerInfo *root, RelOptInfo *rel);

/* ---------- upper_path.c ---------- */

void vssGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
							 RelOptInfo *output_rel, void *extra);

/* What is known of a relation made of input's rows, before it is said how. */
VssRel *vssfdw_rel_above(RelOptInfo *input);

void vssfdw_add_upper_path(PlannerInfo *root, RelOptInfo *output, PathTarget *target, double rows,
						   Cost startup, Cost total, List *pathkeys);

/* ---------- order_path.c ---------- */

/* A path in the order that the query wants, where SQLite can give it. */
void vssfdw_add_sorted_path(PlannerInfo *root, RelOptInfo *rel, Cost startup, Cost total);

/* The expression of this relation that SQLite sorts by for the pathkey, or NULL. */
Expr *vssfdw_order_expr(PlannerInfo *root, RelOptInfo *rel, PathKey *pathkey);

/* The rows of groups in the query's order. */
void vssfdw_add_ordered_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *ordered);

/* The query's last rows, cut by LIMIT and OFFSET. */
void vssfdw_add_final_path(PlannerInfo *root, RelOptInfo *input, RelOptInfo *final,
						   FinalPathExtraData *extra);

/* " ORDER BY ..." for the pathkeys. */
void vssfdw_deparse_order(VssDeparse *context, List *pathkeys);

/* " LIMIT ... OFFSET ..."; the numbers of their parameters (IntList), 0 where there is none. */
List *vssfdw_deparse_limit(VssDeparse *context, const VssRel *state);

/* ---------- remote_plan.c ---------- */

/* The plan of a join, or of what is done after the joins. */
ForeignScan *vssfdw_plan_remote(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist,
								Plan *outer_plan);

/* ---------- unique_keys.c ---------- */

/* Enter the unique keys of the SQLite table into baserel->indexlist. */
void vssfdw_tell_unique_keys(RelOptInfo *baserel);

/* ---------- cost.c ---------- */

/* Rows of the table and rows after the remote conditions, into the VssRel. */
void vssfdw_estimate_size(PlannerInfo *root, RelOptInfo *baserel);

/* Whether the relation's remote conditions leave SQLite's column a single value. */
bool vssfdw_is_fixed_column(PlannerInfo *root, RelOptInfo *baserel, const char *column);

/* The key by which SQLite probably finds the rows of the remote conditions; NULL: it walks the table. */
const VssTableKey *vssfdw_walked_key(PlannerInfo *root, RelOptInfo *baserel);

/* What it costs to hand over the vectors of one row of a base relation or join, beside the row. */
Cost vssfdw_vectors_cost(RelOptInfo *rel);

/* Rows that a scan under these clauses and its own conditions gives at most. */
double vssfdw_lookup_rows(PlannerInfo *root, RelOptInfo *baserel, List *clauses);

/*
 * Cost of reading the relation under its own conditions and under clauses
 * (RestrictInfo of a parameterised path); rows is what comes out.
 */
void vssfdw_cost_scan(PlannerInfo *root, RelOptInfo *baserel, List *clauses, double rows, Cost *startup,
					  Cost *total);

/* Cost of a stream of the index, all rows of it; prefilter: matching rowids are collected first. */
void vssfdw_cost_knn(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, double limit,
					 bool prefilter, Cost *startup, Cost *total);

/* Cost of measuring every vector of the index, and fetching the rows that are near enough. */
void vssfdw_cost_range(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, Cost *startup,
					   Cost *total);

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

/* ---------- extract.c ---------- */

/* A field of dates and times. */
typedef struct VssTimeField
{
	int scale;  /* digits after the point */
	int bytes;  /* of the least integer type that holds all its values, 0: may have a fraction */
	bool grows; /* of an infinite time it is infinite, else NULL */
} VssTimeField;

/* Whether times of the class have the field, and SQLite extracts it exactly. */
bool vssfdw_is_time_field(const char *name, VssClass class, VssTimeField *out);

/* ---------- try_functions.c ---------- */

/* Arithmetic that may fail. */
typedef struct VssAttempt
{
	const char *operation;
	const char *type; /* of the result: smallint, integer, bigint, double precision; days between dates */
} VssAttempt;

bool vssfdw_find_attempt(Oid function, VssAttempt *out);

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

struct VssDeparse
{
	PlannerInfo *root;
	RelOptInfo *rel;
	StringInfo buf;
	int first_param; /* number of params' first member */
	List *params;    /* Expr: what PostgreSQL evaluates and binds */
};

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

/* ---------- scan.c ---------- */

/* ForeignScan.fdw_private. */
enum VssScanItem
{
	VSS_SCAN_SQL,     /* String */
	VSS_SCAN_COLUMNS, /* IntList: for each result column the place in the scan tuple, from 1; a negative
					   * one (SelfItemPointerAttributeNumber) is the rowid, for the ctid */
	VSS_SCAN_KNN,     /* NIL, or a list by VssKnnItem */
	VSS_SCAN_LABEL,   /* String: what is joined or grouped, "" of a base relation */
	VSS_SCAN_LIMIT,   /* IntList: numbers of the parameters that are LIMIT and OFFSET, 0 without; may lack */
	VSS_SCAN_ROWS,    /* list of IntList, by VssWholeRowItem; may lack */
	VSS_SCAN_RECHECK  /* Boolean true: the scan is part of the plan by which EvalPlanQual checks a join's rows
					   * again, which it has, so that nothing is fetched; may lack */
};

/*
 * A whole row of a joined table, as one value: after the result columns of
 * VSS_SCAN_COLUMNS come, for each, one that is NULL where an outer join found
 * no row, and the columns of these attribute numbers.
 */
enum VssWholeRowItem
{
	VSS_ROW_PLACE,  /* in the scan tuple, from 1 */
	VSS_ROW_COLUMNS /* the first attribute number */
};

enum VssKnnItem
{
	VSS_KNN_INDEX,         /* String */
	VSS_KNN_METRIC,        /* Integer, a BridgeMetric */
	VSS_KNN_DIM,           /* Integer */
	VSS_KNN_EF,            /* Integer: the index's ef_search when this was planned */
	VSS_KNN_LIMIT,         /* Integer: rows that the query probably wants, 0: unknown */
	VSS_KNN_BOUND,         /* Integer: rows that it reads at the very most, 0: unknown */
	VSS_KNN_ROWS,          /* Integer: rows of the table, for the switch to the prefilter */
	VSS_KNN_DISTANCE_SLOT, /* Integer: place of the distance in the scan tuple, 0: not there */
	VSS_KNN_PREDICATE,     /* Boolean: the rows are those of a vss_knn predicate */
	VSS_KNN_ORDERED,       /* Boolean: the query wants the nearest few, not all within the bound */
	VSS_KNN_USE_PREFILTER, /* Boolean: begin with the prefilter */
	VSS_KNN_DECLARED,      /* Boolean: VssIndexInfo.declared, index and table cannot differ */
	VSS_KNN_WIDENED,       /* Boolean: the bound is of pgvector's distances */
	VSS_KNN_PREFILTER_SQL, /* String, "" without */
	VSS_KNN_TAIL_SQL       /* String, "" without */
};

/*
 * fdw_exprs of a KNN scan begin with q, k, ef and the bound of the distance
 * (NULL pointers cannot be: where not given, a NULL constant of type void);
 * the conditions' parameters follow.
 */
#define VSS_KNN_EXPRS 4

/* A value of the query, evaluated anew for each scan unless it is a constant. */
typedef struct VssScanValue
{
	ExprState *state; /* NULL: the constant */
	Datum value;
	bool isnull;
} VssScanValue;

/* One value to bind. */
typedef struct VssScanParam
{
	VssScanValue value;
	Oid type;
	int number; /* ?number */
	enum
	{
		VSS_PARAM_VALUE,
		VSS_PARAM_LIMIT,
		VSS_PARAM_OFFSET
	} use;
} VssScanParam;

typedef struct VssKnnScan VssKnnScan;

typedef struct VssScanState
{
	VssConnection *conn;
	VssHold *hold;
	MemoryContext context; /* lives as long as the scan */
	MemoryContext bound;   /* bound values; reset at each rescan */

	const char *sql;
	VssStatement *statement; /* NULL under EXPLAIN without ANALYZE */
	bool started;            /* bound and not yet reset */
	bool done;

	int ncolumns;
	VssColumn *columns;  /* of the result columns */
	const char **tables; /* their tables in SQLite, for errors; NULL for a computed one */
	bool *averages;      /* the column is "sum count" of avg() */
	int *places;         /* their places in the scan tuple, from 0; negative: the ctid */
	List *rows;          /* VssWholeRow of whole_row.c */
	int nparams;
	VssScanParam *params;

	VssKnnScan *knn; /* NULL in other scans */

	ResourceOwner owner;        /* of the query, or its cursor */
	struct VssDrained *drained; /* read_ahead.c's; NULL unless rows were fetched ahead */
} VssScanState;

/*
 * The next row from SQLite into the slot, stored there; false at the end.
 * Rows that were drained come before these.
 */
bool vssfdw_scan_fetch(ForeignScanState *node, TupleTableSlot *slot);

/* ---------- whole_row.c ---------- */

/* Whether the rows of the join can have what is asked of them: columns, and whole rows of tables. */
bool vssfdw_has_rows_of(RelOptInfo *joinrel, List *exprs);

/* ", marker, column, ..." for a whole-row Var that is entry resno of the scan's list; its list by VssWholeRowItem. */
List *vssfdw_deparse_whole_row(VssDeparse *context, Var *var, int resno);

/* In the executor: what of a scan's state reads whole rows (a List), and the values of those of the current row. */
List *vssfdw_whole_rows_begin(ForeignScanState *node, List *items, int first);
void vssfdw_store_whole_rows(VssScanState *state, VssStatement *statement, TupleTableSlot *slot);

/* The plan by which EvalPlanQual checks a join's rows again: its scans fetch nothing. */
void vssfdw_mark_recheck(Plan *plan);
bool vssRecheckForeignScan(ForeignScanState *node, TupleTableSlot *slot);

/* ---------- read_ahead.c ---------- */

/* Have the statement's remaining rows fetched before this connection writes. */
void vssfdw_drain_before_writes(ForeignScanState *node, VssStatement *statement);
bool vssfdw_drained_next(VssScanState *state, TupleTableSlot *slot);
void vssfdw_drained_forget(VssScanState *state);

/* A constant costs no set-up of an expression, which a short scan would feel. */
void vssfdw_value_init(VssScanValue *value, Expr *expr, PlanState *parent);
Datum vssfdw_value(const VssScanValue *value, ExprContext *econtext, bool *isnull);

/* Bind the conditions' parameters to a statement. */
void vssfdw_bind_params(ForeignScanState *node, VssScanState *state, VssStatement *statement);

/* Fill the slot from the current row; the places not fetched are NULL. */
void vssfdw_store_row(VssScanState *state, VssStatement *statement, TupleTableSlot *slot);

/* ---------- knn.c ---------- */

VssKnnScan *vssfdw_knn_begin(ForeignScanState *node, List *private);
/* Prepare what may follow state->statement; not under EXPLAIN alone. */
void vssfdw_knn_prepare(ForeignScanState *node, VssScanState *state);
bool vssfdw_knn_fetch(ForeignScanState *node, VssScanState *state, TupleTableSlot *slot);
/* Whether a statement is in the middle of its rows. */
bool vssfdw_knn_is_running(VssScanState *state);
/* Whether as many rows were given as the plan reads at most. */
bool vssfdw_knn_satisfied(VssScanState *state);
void vssfdw_knn_rescan(VssScanState *state);
void vssfdw_knn_end(VssScanState *state);

/* What EXPLAIN tells of one scan; sums over all rescans. */
typedef struct VssKnnReport
{
	const char *strategy; /* of the last search, NULL before any */
	int64 ef;             /* likewise */
	int64 searches;
	uint64 nodes_visited;
	uint64 distances_computed;
	uint64 delta_rows;
	uint64 rows_filtered;
} VssKnnReport;

void vssfdw_knn_report(VssScanState *state, VssKnnReport *report);
const char *vssfdw_strategy_name(int strategy);

/* ---------- analyze.c ---------- */

bool vssAnalyzeForeignTable(Relation rel, AcquireSampleRowsFunc *func, BlockNumber *totalpages);

/* ---------- callbacks, entered by vssfdw_read_routine ---------- */

void vssGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid);
void vssGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid);
ForeignScan *vssGetForeignPlan(PlannerInfo *root, RelOptInfo *foreignrel, Oid foreigntableid,
							   ForeignPath *best_path, List *tlist, List *scan_clauses, Plan *outer_plan);
void vssBeginForeignScan(ForeignScanState *node, int eflags);
TupleTableSlot *vssIterateForeignScan(ForeignScanState *node);
void vssReScanForeignScan(ForeignScanState *node);
void vssEndForeignScan(ForeignScanState *node);
void vssExplainForeignScan(ForeignScanState *node, ExplainState *es);

#endif /* VSS_PLANNER_H */
