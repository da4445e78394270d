/*
 * plan.h
 *		Which ways there are to read a relation, what they cost, and the plan of
 *		the one chosen.
 */
#ifndef VSS_PLAN_H
#define VSS_PLAN_H

#include "postgres.h"

#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"

#include "fdw/ship/ship.h"

/* ---------- paths.c: base relations ---------- */

/* create_foreignscan_path of all versions. */
ForeignPath *vssfdw_make_path(PlannerInfo *root, RelOptInfo *rel, double rows, Cost startup, Cost total,
							  List *pathkeys, Relids required_outer, List *items);

/* Callbacks of the planner. */
void vssGetForeignRelSize(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid);
void vssGetForeignPaths(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid);
ForeignScan *vssGetForeignPlan(PlannerInfo *root, RelOptInfo *foreignrel, Oid foreigntableid,
							   ForeignPath *best_path, List *tlist, List *scan_clauses, Plan *outer_plan);
bool vssIsForeignScanParallelSafe(PlannerInfo *root, RelOptInfo *rel, RangeTblEntry *rte);

/* ---------- join_path.c ---------- */

void vssGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
							RelOptInfo *innerrel, JoinType jointype, JoinPathExtraData *extra);

/* The relations whose columns the rows of rel have: none of what only an EXISTS looks at. */
Relids vssfdw_visible_relids(RelOptInfo *rel);

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

/* ---------- remote_plan.c: plans, and what they tell the executor ---------- */

/* ForeignScan.fdw_private. */
enum VssScanItem
{
	VSS_SCAN_SQL,     /* String */
	VSS_SCAN_COLUMNS, /* IntList: for each result column the place in the scan tuple, from 1; a negative
					   * one (SelfItemPointerAttributeNumber) is the rowid, for the ctid */
	VSS_SCAN_KNN,     /* NIL, or a list by VssKnnItem */
	VSS_SCAN_UNUSED,  /* String: why an index is not asked though the query sorts by a distance; or "" */
	VSS_SCAN_LABEL,   /* String: what is joined or grouped, "" of a base relation */
	VSS_SCAN_LIMIT,   /* NIL, or IntList: numbers of the parameters that are LIMIT and OFFSET, 0 without */
	VSS_SCAN_ROWS,    /* list of IntList, by VssWholeRowItem */
	VSS_SCAN_RECHECK, /* Boolean: the scan is part of the plan by which EvalPlanQual checks a join's rows
					   * again, which it has, so that nothing is fetched */
	VSS_SCAN_ITEMS    /* how many these are */
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

/*
 * A list whose members an enum names: VSS_ITEMS(items, count) of an array of
 * Node pointers that its designators fill, NULL where one says nothing.
 */
#define VSS_ITEMS(items, count)                                                                              \
	(StaticAssertExpr(lengthof(items) == (count), "as many items as the enum has"),                          \
	 vssfdw_item_list(items, count))
List *vssfdw_item_list(Node *const *items, int count);

/* fdw_private of a base relation's scan, by VssScanItem. */
List *vssfdw_base_items(char *sql, List *columns, List *knn, char *unused);

/* The plan of a join, or of what is done after the joins. */
ForeignScan *vssfdw_plan_remote(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist,
								Plan *outer_plan);

/* ---------- whole_row.c ---------- */

/* Whether the rows of the join can have what is asked of them: columns, and whole rows of tables. */
bool vssfdw_has_rows_of(RelOptInfo *joinrel, List *exprs);

/* ", marker, column, ..." for a whole-row Var that is entry resno of the scan's list; its list by VssWholeRowItem. */
List *vssfdw_deparse_whole_row(VssDeparse *context, Var *var, int resno);

/* The plan by which EvalPlanQual checks a join's rows again: its scans fetch nothing. */
void vssfdw_mark_recheck(Plan *plan);

/* ---------- distance.c ---------- */

/* An expression that rises or falls with the distance from an indexed column. */
typedef struct VssDistance
{
	Expr *expr; /* the distance itself */
	AttrNumber attnum;
	Expr *query; /* what the distance is from */
	const VssIndexInfo *index;
	List *steps; /* from the distance to the expression, the last first: an Integer (VssStep), a Const */
	bool falls;  /* the expression falls as the distance rises */
} VssDistance;

typedef enum VssStep
{
	VSS_STEP_ADD,
	VSS_STEP_MULTIPLY,
	VSS_STEP_DIVIDE,
	VSS_STEP_NARROW /* to real */
} VssStep;

bool vssfdw_match_distance(PlannerInfo *root, RelOptInfo *baserel, Expr *expr, VssDistance *out);

/*
 * A bound of the distance within which all rows lie whose expression, of these steps, is
 * on bound's side: below it, or, where it falls, above.
 */
double vssfdw_undo_steps(List *steps, double bound);

/* Whether rows in order of the distance are in this order of the expression. */
bool vssfdw_gives_order(const RelOptInfo *baserel, const VssDistance *distance, bool descending,
						bool nulls_first);

/* The metric of a distance operator or function, 0 of anything else; pgvector: it is one of that extension's. */
int vssfdw_distance_metric(const Expr *expr, bool *pgvector, List **args);

/* The attribute of this relation that expr is, or 0. */
AttrNumber vssfdw_own_column(const RelOptInfo *baserel, Expr *expr);

/* ---------- range.c ---------- */

/* A condition that a search can end by: an expression of a distance is below a value, or above. */
typedef struct VssRange
{
	VssDistance distance;
	Expr *value;
} VssRange;

bool vssfdw_match_range(PlannerInfo *root, RelOptInfo *baserel, Expr *clause, VssRange *out);

/* One that some condition of the relation sets to this very distance. */
bool vssfdw_find_range(PlannerInfo *root, RelOptInfo *baserel, const VssDistance *distance, VssRange *out);

/* ---------- knn_path.c ---------- */

/* Where the rows come whose distance is NaN or NULL. */
typedef enum VssKnnOrder
{
	VSS_NEAREST_FIRST,       /* then NaN, then NULL */
	VSS_FALLING_NULLS_FIRST, /* NULL, NaN, then the nearest */
	VSS_FALLING_NULLS_LAST   /* NaN, the nearest, NULL */
} VssKnnOrder;

/*
 * fdw_private of the ForeignPaths that ask an hnsw index; NIL for the others.
 * All of it is nodes, as PostgreSQL may copy a path.
 */
enum VssKnnPathItem
{
	VSS_KNN_PATH_INDEX,     /* String: name of the hnsw table */
	VSS_KNN_PATH_COLUMN,    /* Integer: attnum of the vector column */
	VSS_KNN_PATH_DISTANCE,  /* Expr: col <operator> q, or NULL for the predicate */
	VSS_KNN_PATH_QUERY,     /* Expr: q */
	VSS_KNN_PATH_K,         /* Expr of the predicate, or NULL */
	VSS_KNN_PATH_EF,        /* Expr of the predicate, or NULL */
	VSS_KNN_PATH_BOUND,     /* Expr: a value that bounds the distances which are wanted, or NULL */
	VSS_KNN_PATH_STEPS,     /* List: how that is made of the distance (VssDistance.steps) */
	VSS_KNN_PATH_ORDER,     /* Integer: a VssKnnOrder */
	VSS_KNN_PATH_FALLS,     /* Boolean: and that falls as the distance rises */
	VSS_KNN_PATH_CUT,       /* Expr: rows after so many do not matter, or NULL */
	VSS_KNN_PATH_PREFILTER, /* Boolean: collect the matching rowids first */
	VSS_KNN_PATH_ITEMS      /* how many these are */
};

/* Whether the pathkey sorts by a distance of this relation, or by what has its order. */
bool vssfdw_match_pathkey(PlannerInfo *root, RelOptInfo *baserel, PathKey *pathkey, VssDistance *out);

/* NULL: the query wants the nearest few, and would not notice that the order is approximate; else why not. */
const char *vssfdw_why_not_nearest(PlannerInfo *root, RelOptInfo *baserel);

/* Add the paths ordered by distance that the query has a use for. */
void vssfdw_add_knn_paths(PlannerInfo *root, RelOptInfo *baserel);

/* Add the path that measures all distances in the index, for a condition distance < x. */
void vssfdw_add_range_path(PlannerInfo *root, RelOptInfo *baserel);

/* Add the paths that do so once for each row of other relations, for a condition a.col <=> b.col < x. */
void vssfdw_add_range_join_paths(PlannerInfo *root, RelOptInfo *baserel);

/* Add the one path there is for a relation with a vss_knn predicate. */
void vssfdw_add_predicate_path(PlannerInfo *root, RelOptInfo *baserel);

/* Whether clause is vss_knn(column of this relation, ...), raising an error when its form is not supported. */
bool vssfdw_is_knn_predicate(PlannerInfo *root, RelOptInfo *baserel, Expr *clause);

/* ---------- knn_plan.c ---------- */

enum VssKnnItem
{
	VSS_KNN_INDEX,  /* String */
	VSS_KNN_METRIC, /* Integer, a BridgeMetric */
	VSS_KNN_DIM,    /* Integer */
	VSS_KNN_EF,     /* Integer: the index's ef_search, 0: none was given, */
	VSS_KNN_MARGIN, /* Integer: and then how far searches go on, in thousandths, when this was planned */
	VSS_KNN_LIMIT,  /* Integer: rows that the query probably wants, 0: unknown */
	VSS_KNN_BOUND,  /* Integer: rows that it reads at the very most, 0: unknown */
	VSS_KNN_PRICE,  /* Integer: rows of a stream that cost as much as collecting the matching rowids */
	VSS_KNN_DISTANCE_SLOT, /* Integer: place of the distance in the scan tuple, 0: not there */
	VSS_KNN_PREDICATE,     /* Boolean: the rows are those of a vss_knn predicate */
	VSS_KNN_ORDER,         /* Integer: a VssKnnOrder */
	VSS_KNN_STEPS,         /* List: how what is bounded is made of the distance (VssDistance.steps) */
	VSS_KNN_FALLS,   /* Boolean: and it falls as the distance rises, so that NaN is within every bound */
	VSS_KNN_ORDERED, /* Boolean: the query wants the nearest few, not all within the bound */
	VSS_KNN_USE_PREFILTER, /* Boolean: begin with the prefilter */
	VSS_KNN_DECLARED,      /* Boolean: VssIndexInfo.declared, index and table cannot differ */
	VSS_KNN_WIDENED,       /* Boolean: the bound is of pgvector's distances */
	VSS_KNN_PREFILTER_SQL, /* String, "" without */
	VSS_KNN_PROBE_SQL,     /* String: counts matching rows up to VSS_FEW_ROWS, where SQLite finds them by an
							* index and nobody knew how many they are; "" without */
	VSS_KNN_UNPLACED_SQL,  /* String: the rows without a distance; "" without */
	VSS_KNN_ITEMS          /* how many these are */
};

/*
 * fdw_exprs of a KNN scan begin with q, k, ef, the bound of the distance, and how many rows it gives
 * at most (NULL pointers cannot be: where not given, a NULL constant of type void);
 * the conditions' parameters follow.
 */
#define VSS_KNN_EXPRS 5

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

/* So many matching rows are few: measuring them is cheaper than asking a graph, whatever it holds. */
#define VSS_FEW_ROWS 1000

/* Returns fdw_private. */
List *vssfdw_plan_knn(VssKnnPlan *plan);

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

/* ---------- unused_index.c ---------- */

/* Why a scan of baserel without an index does not ask one, or "" where the query does not sort by a distance. */
char *vssfdw_why_unused(PlannerInfo *root, RelOptInfo *baserel);

/* ---------- settings.c: what a user says of searches ---------- */

typedef enum VssStrategy
{
	VSS_STRATEGY_AUTO,
	VSS_STRATEGY_GRAPH,
	VSS_STRATEGY_PREFILTER,
	VSS_STRATEGY_EXACT
} VssStrategy;

/* The module keeps no more candidates than this. */
#define VSS_MAX_EF 65536

extern int vssfdw_ef_search;    /* vss_fdw.ef_search; 0 leaves it to the index */
extern int vssfdw_knn_strategy; /* vss_fdw.knn_strategy, a VssStrategy */

/*
 * The candidates that a session's searches shall keep: vss_fdw.ef_search, or
 * where that is 0 hnsw.ef_search, by which programs written for pgvector say it
 * (40, its default there, does not count as said); 0 leaves it to the index.
 */
int vssfdw_asked_ef(void);

const char *vssfdw_strategy_name(int strategy);

/* ---------- estimate.c: how many rows ---------- */

/* How SQLite finds the rows of some conditions. */
typedef struct VssWalk
{
	double rows;           /* that it looks at */
	bool keyed;            /* by an index, or several */
	bool exact;            /* the conditions fix the whole key */
	bool known;            /* rows is no guess */
	bool others;           /* the relation has conditions that no key decides */
	const VssTableKey *by; /* NULL: it walks the table, or takes an index for each alternative */
} VssWalk;

/* The best way under the relation's own conditions and those of a parameterised path. */
VssWalk vssfdw_walk(PlannerInfo *root, RelOptInfo *baserel, List *clauses);

/* Rows of the table and rows after the remote conditions, into the VssRel. */
void vssfdw_estimate_size(PlannerInfo *root, RelOptInfo *baserel);

/* Whether the relation's remote conditions leave SQLite's column a single value. */
bool vssfdw_is_fixed_column(RelOptInfo *baserel, const char *column);

/* The key by which SQLite probably finds the rows of the remote conditions; NULL: it walks the table. */
const VssTableKey *vssfdw_walked_key(PlannerInfo *root, RelOptInfo *baserel);

/* Rows that a scan under these clauses and its own conditions gives at most. */
double vssfdw_lookup_rows(PlannerInfo *root, RelOptInfo *baserel, List *clauses);

/* Whether the attribute is SQLite's column of that name. */
bool vssfdw_same_column(const VssRel *rel, AttrNumber attnum, const char *name);

/* ---------- cost.c ---------- */

/* What it costs to hand over the vectors of one row of a base relation or join, beside the row. */
Cost vssfdw_vectors_cost(RelOptInfo *rel);

/*
 * Cost of reading the relation under its own conditions and under clauses
 * (RestrictInfo of a parameterised path); rows is what comes out.
 */
void vssfdw_cost_scan(PlannerInfo *root, RelOptInfo *baserel, List *clauses, double rows, Cost *startup,
					  Cost *total);

/*
 * What it costs to collect the matching rowids and search among them, in rows of
 * a stream that does not: the same unit for the planner, which must guess, and for the
 * executor, which sees how many rows match.
 */
double vssfdw_prefilter_price(PlannerInfo *root, RelOptInfo *baserel);

/* Cost of a stream of the index, all rows of it; prefilter: matching rowids are collected first. */
void vssfdw_cost_knn(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, double limit,
					 bool prefilter, Cost *startup, Cost *total);

/* Cost of measuring every vector of the index, and fetching the rows that are near enough. */
void vssfdw_cost_range(PlannerInfo *root, RelOptInfo *baserel, const VssIndexInfo *index, double rows,
					   Cost *startup, Cost *total);

/* ---------- sample.c: asking SQLite about conditions ---------- */

/* Whether PostgreSQL has statistics of all columns of the conditions (RestrictInfo or bare). */
bool vssfdw_has_statistics(RelOptInfo *baserel, List *clauses);

/*
 * Rows that meet conditions for which SQLite has an index, -1: cannot be told, as
 * when a value is not known yet.  *all: these are all, else there are more.
 */
double vssfdw_count_entries(PlannerInfo *root, RelOptInfo *baserel, List *clauses, bool *all);

/* The share of the table's rows that meet any conditions, by a sample, never 0; -1 likewise. */
double vssfdw_try_on_sample(PlannerInfo *root, RelOptInfo *baserel, List *clauses);

/* A smaller share than this is of so few rows of the sample that it says no more than "few". */
#define VSS_SURE_SHARE 0.03

/* ---------- unique_keys.c ---------- */

/* Enter the unique keys of the SQLite table into baserel->indexlist. */
void vssfdw_tell_unique_keys(RelOptInfo *baserel);

/* ---------- analyze.c ---------- */

bool vssAnalyzeForeignTable(Relation rel, AcquireSampleRowsFunc *func, BlockNumber *totalpages);

#endif /* VSS_PLAN_H */
