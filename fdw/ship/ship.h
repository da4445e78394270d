/*
 * ship.h
 *		What means the same in SQLite, and how it is spelled.
 *
 * Which columns compare alike (column_class.c), which expressions, aggregates
 * and orders go down (shippable.c and shippable_upper.c; the terms of single
 * nodes are made in term.c and *_terms.c; pushdown_functions.c and time_map.c
 * know the functions), and their SQL (deparse*.c, literals.c,
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
	const char *null_value;  /* what is stored for NULL, which vss_nullif() is given; or NULL */
	bool one_form;           /* values that are equal are also shown alike, as 1.0 and 1.00 are not */
	VssTimeUnit unit;        /* of a time's numbers */
	bool rounds;             /* integers that are stored become REAL */
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
	List *tried_conds;  /* bare, of base relations, from local_conds: SQLite leaves out rows that fail them */
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
	List *compared;         /* estimate.c's: what remote_conds say of single columns */
	bool guessed;           /* nobody knows how many rows these leave */

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

/* ---------- term.c: what an expression is in SQLite ---------- */

/*
 * An expression of PostgreSQL's is looked at once, from its leaves up, and
 * becomes a tree of terms.  What may be done with it in SQLite follows from its
 * root alone: kind, class and traits.  The tree is then printed (deparse.c), and
 * read by the bounds (bounds.c) and the estimates (plan/estimate.c).  Terms live in the
 * memory context in which they were made.
 */
typedef enum VssTermKind
{
	VSS_TERM_NONE,       /* SQLite cannot evaluate it */
	VSS_TERM_VALUE,      /* it has one value during a scan: PostgreSQL evaluates it, whatever it is */
	VSS_TERM_COLUMN,     /* of a table that SQLite reads; its class may be NONE */
	VSS_TERM_SAME,       /* its argument, under another type */
	VSS_TERM_CALL,       /* word(arguments) */
	VSS_TERM_LIST,       /* argument word argument word argument ... */
	VSS_TERM_COMPARISON, /* argument word argument, which may first be converted to one class */
	VSS_TERM_PREFIX,     /* word argument */
	VSS_TERM_SUFFIX,     /* argument word */
	VSS_TERM_CASE,       /* condition, result, condition, result, ...; an odd last one is ELSE */
	VSS_TERM_ANY,        /* argument word (elements of the second one, an array) */
	VSS_TERM_TRY,        /* arithmetic that may fail: NULL then */
	VSS_TERM_MATCH,      /* word, which ends in MATCH, and its argument */
	VSS_TERM_AGGREGATE   /* of its argument (none: of rows) */
} VssTermKind;

/* What is so of a term, or of any that it is made of. */
enum VssTermTrait
{
	VSS_READS_ROWS = 1,      /* has a column of the scan */
	VSS_CALLS_READER = 2,    /* has one that compares through a reader */
	VSS_COMPUTES_BEFORE = 4, /* has a value that PostgreSQL computes before the scan, needed or not */
	VSS_MAY_LEAVE_RANGE = 8, /* has times that may come out of their type's range */
	VSS_MAY_RAISE = 16,      /* has a call that is an error for some operands */
	VSS_MAY_FAIL = 32,       /* has arithmetic that may fail (VSS_TERM_TRY) */
	VSS_HIDES_FAILURE = 64,  /* a failure that became NULL would not be seen in its value */
	VSS_TOP_LEVEL = 128      /* has a MATCH that SQLite takes as one of the conditions ANDed alone */
};

typedef struct VssFunction VssFunction;

typedef struct VssTerm
{
	VssTermKind kind;
	VssClass class; /* VSS_CLASS_NONE: its values compare with nothing */
	int traits;
	int size;  /* terms that are printed for it */
	int depth; /* of the printed expression, as SQLite counts */
	Expr *expr;
	const char *word;            /* function or operator of SQLite's */
	List *args;                  /* VssTerm */
	const VssFunction *function; /* the row that it is of, or NULL */
	int how;                     /* VSS_TERM_COMPARISON, VSS_TERM_ANY: as vssfdw_comparison() says, or 0 */
	int scale;                   /* digits after the point that its numerics show, -1: not known */
	bool listed;                 /* VSS_TERM_MATCH: in a list of rowids, whose bracket is open */
} VssTerm;

/* Fill in a term from its arguments; class and what else it is are the caller's. */
VssTerm *vssfdw_make_term(VssTermKind kind, const char *word, List *args, Expr *expr);

/* What SQLite cannot evaluate. */
VssTerm *vssfdw_no_term(Expr *expr);

/* What has one value during a scan; of a constant. */
VssTerm *vssfdw_value_term(Expr *expr);
VssTerm *vssfdw_constant_term(Const *constant);

/* A column, or the value that one of another relation has for this one. */
VssTerm *vssfdw_column_term(PlannerInfo *root, RelOptInfo *rel, Var *var);

/* The column that the term is, or NULL. */
const VssPlanColumn *vssfdw_term_column(PlannerInfo *root, const VssTerm *term);

/*
 * Whether the expression is free of the relation's columns and of anything
 * that must be evaluated more than once a scan: PostgreSQL computes it and
 * binds the value.
 */
bool vssfdw_is_bindable(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* The expression without casts that change nothing. */
Expr *vssfdw_strip_relabel(Expr *expr);

/* ---------- match_term.c: full-text search ---------- */

/* Whether it is vss_match(x, query) or x @@@ query. */
bool vssfdw_is_match(const Expr *expr);

/* The term of one; NULL for another expression.  Several full-text tables that could be meant are an error. */
VssTerm *vssfdw_match_term(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* ---------- operator_terms.c: terms of operators and functions, of those of their arguments ---------- */

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

/* Whether text compares by bytes for this purpose. */
bool vssfdw_collation_agrees(RelOptInfo *rel, Oid collation, bool equality);

/* A comparison, NULL where it is none; only_equality: = and <> alone. */
VssTerm *vssfdw_comparison_term(RelOptInfo *rel, OpExpr *op, List *args, bool only_equality);

/* A function or operator that pushdown_functions.c has a row for; a comparison or such an operator. */
VssTerm *vssfdw_function_term(Oid function, Oid collation, List *args, Expr *expr);
VssTerm *vssfdw_operator_term(RelOptInfo *rel, OpExpr *op, List *args);

/* ---------- list_terms.c ---------- */

/* x = ANY (array) and x <> ALL (array). */
VssTerm *vssfdw_array_term(RelOptInfo *rel, ScalarArrayOpExpr *op, List *args);

/* x = 1 OR x = 2 OR ... as x = ANY (one array), NULL where it cannot be written so. */
VssTerm *vssfdw_alternatives_term(BoolExpr *expr, List *args);

/* How many elements the constant array of x IN (...) has, 0 where it is none; the elements, as terms of constants. */
int vssfdw_list_length(const VssTerm *list);
List *vssfdw_list_elements(const VssTerm *list);

/* ---------- node_terms.c ---------- */

/* The term of a node that is no value, from those of its operands, each of which SQLite has. */
VssTerm *vssfdw_node_term(RelOptInfo *rel, Expr *expr, List *args);

/* ---------- shippable.c: what may be done with an expression ---------- */

/*
 * Larger expressions stay in PostgreSQL: some of SQLite's work over a statement
 * grows with the square of its terms, and cannot be cancelled.
 */
#define VSS_MAX_SIZE 25000

/* The expression in the rows of rel, which may be grouped ones; never NULL. */
VssTerm *vssfdw_term(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* Whether SQLite's answer to this condition is PostgreSQL's. */
bool vssfdw_is_shippable(PlannerInfo *root, RelOptInfo *rel, Expr *expr);

/* The same of its term. */
bool vssfdw_may_ship(const VssTerm *condition);

/*
 * Whether SQLite can leave out rows for which the condition is false: it has
 * arithmetic that may fail, and is NULL then, or else would be shippable.
 */
bool vssfdw_may_try(const VssTerm *condition);

/* ---------- shippable_upper.c ---------- */

/* Make the term that of an aggregate; args has the argument's term, or nothing; filter may be NULL. */
VssTerm *vssfdw_aggregate_term(PlannerInfo *root, RelOptInfo *rel, Aggref *agg, List *args, VssTerm *filter);

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

/* ---------- pushdown_functions.c: one row a function ---------- */

#define VSS_FUNCTION_ARGS 4

enum VssFunctionFlag
{
	VSS_UTF8 = 1,          /* where the database's encoding is UTF-8: it counts or compares characters */
	VSS_FOLDS_CASE = 2,    /* where the collation folds ASCII alone */
	VSS_DETERMINISTIC = 4, /* where equal text has equal bytes */
	VSS_NEGATED = 8,       /* SQLite's function gives the opposite */
	VSS_LOOKS_ALIKE = 16,  /* values that are equal are shown alike */
	VSS_LEAVES_RANGE = 32  /* the result may be beyond its type's range */
};

/*
 * A function of PostgreSQL's (of an operator: its function) and what SQLite has
 * for it.  name: SQLite's function, which never fails; "||" stands between its
 * operands, "" is the operand itself.  tried: the operation of vss_try(), which
 * is NULL where PostgreSQL's function fails.  computed: the function for new
 * values of UPDATE, which fails where PostgreSQL's does and is told the type.
 */
struct VssFunction
{
	Oid function;
	const char *name; /* NULL: it may fail for any operands */
	VssClass result;
	VssClass args[VSS_FUNCTION_ARGS]; /* what each operand must be; VSS_CLASS_NONE: fit decides */
	int flags;
	bool (*fit)(VssTerm *call); /* whether SQLite has it for these operands; may change the call; or NULL */
	const char *tried;
	const char *computed;
};

/* The row of the function, or NULL. */
const VssFunction *vssfdw_find_function(Oid function);

/* ---------- time_map.c: fit of functions over dates and times ---------- */

bool vssfdw_fit_trunc(VssTerm *call);
bool vssfdw_fit_in_range(VssTerm *call);
bool vssfdw_fit_extract(VssTerm *call);
bool vssfdw_fit_whole(VssTerm *call);
bool vssfdw_fit_minus_days(VssTerm *call);
bool vssfdw_fit_plus_interval(VssTerm *call);
bool vssfdw_fit_minus_interval(VssTerm *call);
bool vssfdw_fit_date_plus_interval(VssTerm *call);
bool vssfdw_fit_date_minus_interval(VssTerm *call);

/* ---------- deparse.c ---------- */

/*
 * Parameters of the KNN statements come first, with fixed numbers; those of
 * the conditions follow.  Other statements number from 1.
 */
enum VssKnnParam
{
	VSS_PARAM_QUERY = 1,
	VSS_PARAM_K, /* of the rows without a distance: 1: those without a vector, 0: the others */
	VSS_PARAM_EF,
	VSS_PARAM_STRATEGY,
	VSS_PARAM_STATS,
	VSS_PARAM_BOUND,
	VSS_PARAM_FIRST
};

/* Elements of a constant IN list that are written one by one; a longer one is bound as an array. */
#define VSS_MAX_LIST 1000

/* Longer lists of conditions are written as balanced trees: SQLite limits the depth of an expression. */
#define VSS_MAX_CHAIN 100

typedef struct VssDeparse
{
	PlannerInfo *root;
	RelOptInfo *rel;
	StringInfo buf;
	int first_param; /* number of params' first member */
	List *params;    /* Expr: what PostgreSQL evaluates and binds */
} VssDeparse;

/* An expression found shippable; the same as a term. */
void vssfdw_deparse_expr(VssDeparse *context, Expr *expr);
void vssfdw_deparse_term(VssDeparse *context, const VssTerm *term);

/* The same as it compares with values of another class. */
void vssfdw_deparse_converted(VssDeparse *context, const VssTerm *term, VssClass to);

/* The type's name as SQLite's functions know it. */
const char *vssfdw_sqlite_type_name(Oid type);

/* The bare column, as it is fetched. */
void vssfdw_deparse_column(VssDeparse *context, Var *var);

/* The same as its reader is given it: NULL where it stands for NULL. */
void vssfdw_deparse_stored(VssDeparse *context, Var *var);

/* ---------- deparse_aggregate.c ---------- */

/* A result, in a form that is read back. */
void vssfdw_deparse_result(VssDeparse *context, Expr *expr);

/* The aggregate as SQLite returns it; of a sum of type numeric, its text. */
void vssfdw_deparse_aggregate(VssDeparse *context, const VssTerm *term);

/* ---------- deparse_conds.c ---------- */

/* Terms joined by a word. */
void vssfdw_deparse_terms(VssDeparse *context, List *terms, const char *word);

/* " word cond AND cond ...", nothing without conditions.  RestrictInfo or bare. */
void vssfdw_deparse_conds(VssDeparse *context, const char *word, List *conds);

/* " word (cond) IS NOT FALSE AND ...", nothing without conditions.  Bare ones, that may be tried. */
void vssfdw_deparse_tried(VssDeparse *context, const char *word, List *conds);

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

/* Whether a key of the column's table, which is rel's, begins with it. */
bool vssfdw_leads_key(const VssRel *rel, const VssPlanColumn *column);

/* Whether such a list is short enough to have bounds. */
bool vssfdw_has_list_bounds(const VssTerm *list);

/* Conditions for SQLite's indexes that follow from conds, each with AND after it; terms: theirs, in the same order. */
void vssfdw_deparse_bounds(VssDeparse *context, List *conds, List *terms);

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
	VSS_KNN_UNPLACED   /* rows whose distance is NaN or NULL, or that the index lacks */
} VssKnnSql;

void vssfdw_deparse_knn(VssDeparse *context, VssKnnSql which, const VssIndexInfo *index, List *columns,
						List *conds, bool bounded);

/* " FROM ... WHERE ..." of a base relation or join, with all conditions that go down. */
void vssfdw_deparse_rows(VssDeparse *context, RelOptInfo *rel);

/* What stands in FROM for it alone, and its " WHERE ...", nothing without conditions. */
void vssfdw_deparse_relation(VssDeparse *context, RelOptInfo *rel);
void vssfdw_deparse_where(VssDeparse *context, RelOptInfo *rel);

#endif /* VSS_SHIP_H */
