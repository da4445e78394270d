/*
 * knn.c
 *		Asking an hnsw index: the scans ordered by distance, the predicate
 *		vss_knn, and the cursor behind the rowset vss_knn.
 *
 * A scan ordered by distance runs up to three statements, and each yields the
 * same columns, then distance and rowid.  It has up to three parts:
 *
 *	SEARCH		rows in order of distance
 *	ZEROS		rows whose distance is NaN: the vector has length zero
 *	BLANKS		rows whose distance is NULL
 *
 * PostgreSQL takes NaN for greater than all numbers, and NULLs where the query wants
 * them.  So the parts come in this order, or in a falling order (of 1 - distance and its like)
 * with the first at the end, or in the middle (sequences).  A part is left out where no
 * row of it can meet the bound.  A scan that is read to its end has given every matching
 * row exactly once.  Without a query vector, or with one of length zero, there is
 * nothing to search, and the other parts have all rows.
 *
 * SEARCH goes by one or two statements:
 *
 *	SEARCH --> STREAM ----------------------> next part
 *	       |      \--> PREFILTER --/
 *	       +--> PREFILTER ----------/
 *
 * STREAM reads the index in order of distance and tests the conditions row by
 * row.  That is right when many rows match near the query, which shows only when
 * it runs.  So it is given up as soon as what is left of it, by the share of rows
 * that matched so far, would cost more than PREFILTER, whose price the planner has
 * told; or once it has cost that much since the last match.  Then PREFILTER
 * collects the matching rowids and asks for the nearest among them; what was
 * already given is skipped.  Where nobody could know how many rows match, as of
 * a parameter, and an index finds them, they are counted first, up to a few.
 *
 * Of an index kept by hand-written triggers ZEROS has all rows, those without a vector and
 * those that the index has never heard of among them, and skips what was given; there is no
 * BLANKS then.
 *
 * The predicate runs STREAM alone, with k.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "fdw/exec/exec.h"

/* A stream is not given up before so many rows, nor by the share that matched before so many matches. */
#define MIN_PULL 100
#define MIN_MATCHES 2

/* Rowids already given. */
typedef struct RowidEntry
{
	int64 rowid;
	char status;
} RowidEntry;

#define SH_PREFIX rowids
#define SH_ELEMENT_TYPE RowidEntry
#define SH_KEY_TYPE int64
#define SH_KEY rowid
#define SH_HASH_KEY(table, key) murmurhash32((uint32) ((key) ^ ((uint64) (key) >> 32)))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "common/hashfn.h"
#include "lib/simplehash.h"

typedef enum Phase
{
	PHASE_START,
	PHASE_SEARCH, /* a part, of which only the next two are ever the present phase */
	PHASE_STREAM,
	PHASE_PREFILTER,
	PHASE_ZEROS,
	PHASE_BLANKS,
	PHASE_DONE
} Phase;

/* By VssKnnOrder: the parts. */
#define PARTS 3
static const Phase sequences[][PARTS + 1] = {
	[VSS_NEAREST_FIRST] = {PHASE_SEARCH, PHASE_ZEROS, PHASE_BLANKS, PHASE_DONE},
	[VSS_FALLING_NULLS_FIRST] = {PHASE_BLANKS, PHASE_ZEROS, PHASE_SEARCH, PHASE_DONE},
	[VSS_FALLING_NULLS_LAST] = {PHASE_ZEROS, PHASE_SEARCH, PHASE_BLANKS, PHASE_DONE},
};

struct VssKnnScan
{
	/* from the plan */
	const char *index;
	BridgeMetric metric;
	int limit;
	int most;           /* rows that are read at the very most, 0: unknown */
	int price;          /* of PREFILTER, in rows of STREAM */
	int distance_place; /* in the scan tuple, from 0; -1: not wanted */
	bool predicate;
	bool ordered;
	bool bounded; /* statements have a bound of the distance */
	bool widened; /* it is of pgvector's distances */
	bool falls;   /* it is of what falls as the distance rises: then NaN is within it */
	List *steps;  /* how what is bounded is made of the distance */
	VssKnnOrder order;
	bool use_prefilter;
	bool declared;
	const char *prefilter_sql; /* NULL without */
	const char *unplaced_sql;  /* NULL without */
	const char *probe_sql;     /* NULL without */
	VssScanValue query;
	VssScanValue k;
	VssScanValue ef;
	VssScanValue bound;
	VssScanValue cut;
	bool is_cut; /* no more rows than cut says are wanted */

	/* statements, prepared with the scan */
	VssStatement *prefilter;
	VssStatement *unplaced;
	VssStatement *probe;

	/* of the present scan */
	Phase phase;
	int part; /* the next one of the sequence */
	VssStatement *current;
	double farthest;         /* the bound */
	bool farthest_is_nan;    /* then it bounds nothing: NaN is greater than all */
	const VssVector *vector; /* in the bound values' context; NULL: SQL NULL */
	rowids_hash *given;      /* NULL while nothing needs it */
	int64 given_count;
	uint64 passed;     /* rows of the running search that met SQLite's conditions */
	bool all_listed;   /* SEARCH gave all rows that match: none is left for the other parts */
	BridgeStats stats; /* the running statement writes here */
	bool counted;      /* stats are in the report */
	VssKnnReport report;
};

static void
check_bind(VssStatement *statement, int rc)
{
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, statement->conn->db, statement->conn->servername, statement->sql);
}

/* ---------- a scan's beginning ---------- */

static const char *
sql_or_null(List *items, int item)
{
	const char *sql = strVal(list_nth(items, item));

	return sql[0] != '\0' ? sql : NULL;
}

VssKnnScan *
vssfdw_knn_begin(ForeignScanState *node, List *items)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	VssKnnScan *knn = palloc0(sizeof(VssKnnScan));

	knn->index = strVal(list_nth(items, VSS_KNN_INDEX));
	knn->metric = intVal(list_nth(items, VSS_KNN_METRIC));
	knn->limit = intVal(list_nth(items, VSS_KNN_LIMIT));
	knn->most = intVal(list_nth(items, VSS_KNN_BOUND));
	knn->price = intVal(list_nth(items, VSS_KNN_PRICE));
	knn->distance_place = intVal(list_nth(items, VSS_KNN_DISTANCE_SLOT)) - 1;
	knn->predicate = boolVal(list_nth(items, VSS_KNN_PREDICATE));
	knn->ordered = boolVal(list_nth(items, VSS_KNN_ORDERED));
	knn->use_prefilter = boolVal(list_nth(items, VSS_KNN_USE_PREFILTER));
	knn->declared = boolVal(list_nth(items, VSS_KNN_DECLARED));
	knn->widened = boolVal(list_nth(items, VSS_KNN_WIDENED));
	knn->falls = boolVal(list_nth(items, VSS_KNN_FALLS));
	knn->steps = list_nth(items, VSS_KNN_STEPS);
	knn->order = intVal(list_nth(items, VSS_KNN_ORDER));
	knn->prefilter_sql = sql_or_null(items, VSS_KNN_PREFILTER_SQL);
	knn->unplaced_sql = sql_or_null(items, VSS_KNN_UNPLACED_SQL);
	knn->probe_sql = sql_or_null(items, VSS_KNN_PROBE_SQL);
	vssfdw_value_init(&knn->query, linitial(plan->fdw_exprs), &node->ss.ps);
	vssfdw_value_init(&knn->k, lsecond(plan->fdw_exprs), &node->ss.ps);
	vssfdw_value_init(&knn->ef, lthird(plan->fdw_exprs), &node->ss.ps);
	vssfdw_value_init(&knn->bound, lfourth(plan->fdw_exprs), &node->ss.ps);
	knn->bounded = exprType(lfourth(plan->fdw_exprs)) != VOIDOID;
	vssfdw_value_init(&knn->cut, list_nth(plan->fdw_exprs, 4), &node->ss.ps);
	knn->is_cut = exprType(list_nth(plan->fdw_exprs, 4)) != VOIDOID;
	knn->counted = true;
	return knn;
}

void
vssfdw_knn_prepare(ForeignScanState *node, VssScanState *state)
{
	VssKnnScan *knn = state->knn;

	if (knn->prefilter_sql != NULL)
	{
		knn->prefilter = vssfdw_prepare(state->conn, knn->prefilter_sql, state->context);
		vssfdw_drain_before_writes(node, knn->prefilter);
	}
	if (knn->unplaced_sql != NULL)
	{
		knn->unplaced = vssfdw_prepare(state->conn, knn->unplaced_sql, state->context);
		vssfdw_drain_before_writes(node, knn->unplaced);
	}
	if (knn->probe_sql != NULL)
		knn->probe = vssfdw_prepare(state->conn, knn->probe_sql, state->context);
}

/*
 * The table was rebuilt, restored or vacuumed by somebody who knows nothing of the index: for the
 * log, once a session and reason.
 */
static void
log_behind(const VssKnnScan *knn)
{
	static const char *last = NULL;
	static char index[NAMEDATALEN];

	if (last == knn->stats.behind && strncmp(index, knn->index, sizeof(index) - 1) == 0)
		return;
	last = knn->stats.behind;
	strlcpy(index, knn->index, sizeof(index));
	ereport(LOG, (errmsg("index \"%s\" in SQLite cannot be used: %s", knn->index, knn->stats.behind),
				  errdetail("Searches of it are exact until the next merge, which repairs it."),
				  errhint("vss_merge merges now.")));
}

/* Take what the statement has told so far into the report, once. */
static void
count(VssKnnScan *knn)
{
	if (knn->counted)
		return;
	knn->counted = true;
	knn->report.searches++;
	knn->report.strategy = knn->stats.strategy;
	knn->report.ef = knn->stats.ef;
	knn->report.margin = knn->stats.margin;
	knn->report.nodes_visited += knn->stats.nodes_visited;
	knn->report.distances_computed += knn->stats.distances_computed;
	knn->report.delta_rows += knn->stats.delta_rows;
	/* by the index, and by the conditions that SQLite tests on what the index gives */
	knn->report.rows_filtered += knn->stats.rows_filtered + (knn->stats.rows_returned - knn->passed);
	knn->report.behind = knn->stats.behind;
	knn->report.bad_rows = knn->stats.bad_rows;
	if (knn->stats.behind != NULL)
		log_behind(knn);
}

/* ---------- statements ---------- */

/* The value of an integer argument; 0 for NULL. */
static int64
integer_argument(ForeignScanState *node, const VssScanValue *argument, bool is_int8, bool *isnull)
{
	Datum value = vssfdw_value(argument, node->ss.ps.ps_ExprContext, isnull);

	if (*isnull)
		return 0;
	return is_int8 ? DatumGetInt64(value) : DatumGetInt32(value);
}

/*
 * How many candidates a search keeps: the predicate's own argument, else the
 * setting, else the index's, which is 0 here; of the latter two *least at least,
 * as many as rows are wanted.
 */
static int64
choose_ef(ForeignScanState *node, VssKnnScan *knn, int64 *least)
{
	bool isnull;
	int64 ef = integer_argument(node, &knn->ef, false, &isnull);

	*least = isnull ? knn->limit : 0;
	return isnull ? vssfdw_asked_ef() : ef;
}

static void
bind_query(VssKnnScan *knn, VssStatement *statement)
{
	if (knn->vector == NULL)
		check_bind(statement, sqlite3_bind_null(statement->stmt, VSS_PARAM_QUERY));
	else
		check_bind(statement, sqlite3_bind_blob(statement->stmt, VSS_PARAM_QUERY, knn->vector->x,
												knn->vector->dim * sizeof(float), SQLITE_STATIC));
}

static void
bind_strategy(VssStatement *statement, bool conditions_first)
{
	const char *name = NULL;

	/* a filter that comes as rowids has only its own strategies */
	if (vssfdw_knn_strategy == VSS_STRATEGY_EXACT ||
		(vssfdw_knn_strategy == VSS_STRATEGY_GRAPH && !conditions_first) ||
		(vssfdw_knn_strategy == VSS_STRATEGY_PREFILTER && conditions_first))
		name = vssfdw_strategy_name(vssfdw_knn_strategy);
	if (name == NULL)
		check_bind(statement, sqlite3_bind_null(statement->stmt, VSS_PARAM_STRATEGY));
	else
		check_bind(statement,
				   sqlite3_bind_text(statement->stmt, VSS_PARAM_STRATEGY, name, -1, SQLITE_STATIC));
}

/* Begin STREAM or PREFILTER. */
static void
start_search(ForeignScanState *node, VssScanState *state, Phase phase)
{
	VssKnnScan *knn = state->knn;
	VssStatement *statement = phase == PHASE_STREAM ? state->statement : knn->prefilter;
	sqlite3_stmt *stmt;
	int64 least_ef;
	int64 ef = choose_ef(node, knn, &least_ef);
	bool no_k;
	int64 k = integer_argument(node, &knn->k, true, &no_k);

	vssfdw_rewind(statement);
	stmt = statement->stmt;
	count(knn);
	memset(&knn->stats, 0, sizeof(knn->stats));
	knn->passed = 0;
	knn->stats.least_ef = least_ef;
	if (phase == PHASE_PREFILTER || knn->prefilter == NULL)
		knn->stats.expected = knn->most;
	knn->counted = false;

	bind_query(knn, statement);
	check_bind(statement,
			   no_k ? sqlite3_bind_null(stmt, VSS_PARAM_K) : sqlite3_bind_int64(stmt, VSS_PARAM_K, k));
	check_bind(statement,
			   ef == 0 ? sqlite3_bind_null(stmt, VSS_PARAM_EF) : sqlite3_bind_int64(stmt, VSS_PARAM_EF, ef));
	bind_strategy(statement, phase == PHASE_PREFILTER);
	check_bind(statement,
			   sqlite3_bind_pointer(stmt, VSS_PARAM_STATS, &knn->stats, BRIDGE_STATS_POINTER, NULL));
	if (knn->bounded)
		check_bind(statement, sqlite3_bind_double(stmt, VSS_PARAM_BOUND, knn->farthest));
	vssfdw_bind_params(node, state, statement);

	if (phase == PHASE_STREAM && knn->prefilter != NULL && vssfdw_knn_strategy == VSS_STRATEGY_AUTO)
		knn->stats.pull_limit = Max(MIN_PULL, knn->price);
	else if (knn->bounded && knn->ordered)
		/* without a limit the module measures all distances, lest it miss one within the bound */
		knn->stats.pull_limit = PG_INT64_MAX;
	if (knn->given == NULL && !knn->predicate && (!knn->declared || knn->prefilter != NULL))
		knn->given = rowids_create(state->context, 64, NULL);

	knn->phase = phase;
	knn->current = statement;
}

/* Whether the matching rows are so few that they are better collected first, by all that is known now. */
static bool
begins_with_prefilter(ForeignScanState *node, VssScanState *state)
{
	VssKnnScan *knn = state->knn;
	bool few;

	if (knn->prefilter == NULL || vssfdw_knn_strategy != VSS_STRATEGY_AUTO)
		return knn->prefilter != NULL && vssfdw_knn_strategy == VSS_STRATEGY_PREFILTER;
	if (knn->probe == NULL)
		return knn->use_prefilter;
	vssfdw_rewind(knn->probe);
	vssfdw_bind_params(node, state, knn->probe);
	few = vssfdw_step(knn->probe) && sqlite3_column_int(knn->probe->stmt, 0) < VSS_FEW_ROWS;
	vssfdw_rewind(knn->probe);
	return few;
}

/* ---------- parts ---------- */

/* Whether there is something to search by. */
static bool
has_direction(const VssKnnScan *knn)
{
	return knn->vector != NULL &&
		   (knn->metric != BRIDGE_COSINE || bridge_norm(knn->vector->x, knn->vector->dim) != 0);
}

/* Whether rows of the part can be wanted. */
static bool
is_wanted(const VssKnnScan *knn, Phase part)
{
	if (part == PHASE_SEARCH)
		return has_direction(knn);
	if (part == PHASE_DONE)
		return true;
	if (knn->unplaced == NULL || knn->all_listed || (part == PHASE_BLANKS && !knn->declared))
		return false;
	if (part == PHASE_ZEROS && knn->declared && knn->metric != BRIDGE_COSINE && knn->vector != NULL)
		return false;
	/* NULL meets no condition; NaN is above all numbers */
	return !knn->bounded || knn->farthest_is_nan || (part == PHASE_ZEROS && knn->falls);
}

/* Begin ZEROS or BLANKS. */
static void
start_unplaced(ForeignScanState *node, VssScanState *state, Phase part)
{
	VssKnnScan *knn = state->knn;

	vssfdw_rewind(knn->unplaced);
	bind_query(knn, knn->unplaced);
	if (knn->declared)
		check_bind(knn->unplaced,
				   sqlite3_bind_int(knn->unplaced->stmt, VSS_PARAM_K, part == PHASE_BLANKS ? 1 : 0));
	vssfdw_bind_params(node, state, knn->unplaced);
	knn->phase = part;
	knn->current = knn->unplaced;
}

static void
next_part(ForeignScanState *node, VssScanState *state)
{
	VssKnnScan *knn = state->knn;
	Phase part;

	do
	{
		Assert(knn->part <= PARTS);
		part = sequences[knn->order][knn->part++];
	} while (!is_wanted(knn, part));
	if (part == PHASE_DONE)
		knn->phase = PHASE_DONE;
	else if (part != PHASE_SEARCH)
		start_unplaced(node, state, part);
	else
		start_search(node, state, begins_with_prefilter(node, state) ? PHASE_PREFILTER : PHASE_STREAM);
}

/* The bound of the distance; false: no row is within it. */
static bool
evaluate_bound(ForeignScanState *node, VssKnnScan *knn)
{
	bool isnull;
	Datum value = vssfdw_value(&knn->bound, node->ss.ps.ps_ExprContext, &isnull);
	double bound;

	if (isnull)
		return false;
	bound = DatumGetFloat8(value);
	knn->farthest_is_nan = isnan(bound) && !knn->falls;
	if (isnan(bound))
		knn->farthest = get_float8_infinity();
	else
		knn->farthest = vssfdw_undo_steps(knn->steps, bound);
	if (knn->widened && knn->vector != NULL && !isinf(knn->farthest))
		knn->farthest = vssfdw_widened(knn->metric, knn->vector->dim, knn->farthest);
	return true;
}

/* The number of rows after which the scan ends; without one it goes on. */
static void
evaluate_cut(ForeignScanState *node, VssKnnScan *knn)
{
	bool isnull;
	Datum value = vssfdw_value(&knn->cut, node->ss.ps.ps_ExprContext, &isnull);
	int64 count = isnull ? 0 : DatumGetInt64(value);

	knn->most = count > 0 && count <= PG_INT32_MAX ? (int) count : 0;
	knn->limit = knn->most;
}

/* Evaluate the query vector and choose the first statement. */
static void
start(ForeignScanState *node, VssScanState *state)
{
	VssKnnScan *knn = state->knn;
	bool isnull;
	Datum value;

	MemoryContextReset(state->bound);
	value = vssfdw_value(&knn->query, node->ss.ps.ps_ExprContext, &isnull);
	knn->vector = NULL;
	if (!isnull)
	{
		MemoryContext old = MemoryContextSwitchTo(state->bound);

		knn->vector = (VssVector *) PG_DETOAST_DATUM_COPY(value);
		MemoryContextSwitchTo(old);
	}
	if (knn->is_cut)
		evaluate_cut(node, knn);
	if (knn->bounded && !evaluate_bound(node, knn))
	{
		knn->phase = PHASE_DONE;
		return;
	}
	if (knn->predicate)
	{
		bool no_k;

		/* a condition that is NULL is not met */
		(void) integer_argument(node, &knn->k, true, &no_k);
		if (isnull || no_k)
			knn->phase = PHASE_DONE;
		else
			start_search(node, state, PHASE_STREAM);
		return;
	}
	if (!has_direction(knn))
		knn->report.behind = isnull ? "the query vector is NULL" : "the query vector has length zero";
	next_part(node, state);
}

/* ---------- rows ---------- */

/* Remember the rowid; false when it was given before. */
static bool
first_time(VssScanState *state, int64 rowid)
{
	bool found = false;

	if (state->knn->given != NULL)
		rowids_insert(state->knn->given, rowid, &found);
	return !found;
}

static bool
is_unplaced(const VssKnnScan *knn)
{
	return knn->phase == PHASE_ZEROS || knn->phase == PHASE_BLANKS;
}

static void
store(VssScanState *state, TupleTableSlot *slot)
{
	VssKnnScan *knn = state->knn;
	sqlite3_stmt *stmt = knn->current->stmt;
	int i = state->ncolumns;
	int place = knn->distance_place;
	bool no_vector;

	vssfdw_store_row(state, knn->current, slot);
	if (place >= 0)
	{
		no_vector = knn->vector == NULL || (is_unplaced(knn) && sqlite3_column_int(stmt, i + 2) != 0);
		slot->tts_isnull[place] = no_vector;
		if (no_vector)
			slot->tts_values[place] = (Datum) 0;
		else if (sqlite3_column_type(stmt, i) == SQLITE_NULL)
			slot->tts_values[place] = Float8GetDatum(get_float8_nan());
		else
			slot->tts_values[place] = Float8GetDatum(sqlite3_column_double(stmt, i));
	}
	ExecStoreVirtualTuple(slot);
}

/* After a match: how much longer is the stream worth to be read? */
static void
reconsider(VssKnnScan *knn)
{
	double pulled = knn->stats.rows_returned;
	double wanted = Max(knn->limit - knn->given_count, 1);

	if (pulled >= MIN_PULL && knn->passed >= MIN_MATCHES && wanted * pulled / knn->passed > knn->price)
		knn->stats.pull_limit = knn->stats.rows_returned;
	else
		knn->stats.pull_limit = knn->stats.rows_returned + Max(MIN_PULL, knn->price);
}

/* Whether PREFILTER gave all of the rows that it listed, so that none is left for another part. */
static bool
gave_all_listed(const VssKnnScan *knn)
{
	return knn->phase == PHASE_PREFILTER && knn->declared && knn->stats.rows_returned == knn->stats.listed;
}

/* The statement has no more rows: what comes after it? */
static void
next_phase(ForeignScanState *node, VssScanState *state)
{
	VssKnnScan *knn = state->knn;
	bool gave_up = knn->phase == PHASE_STREAM && knn->stats.pull_limit_hit;

	knn->all_listed |= gave_all_listed(knn);
	vssfdw_rewind(knn->current);
	if (knn->predicate)
		knn->phase = PHASE_DONE;
	else if (gave_up)
		start_search(node, state, PHASE_PREFILTER);
	else
		next_part(node, state);
}

bool
vssfdw_knn_fetch(ForeignScanState *node, VssScanState *state, TupleTableSlot *slot)
{
	VssKnnScan *knn = state->knn;

	if (knn->phase == PHASE_START)
		start(node, state);
	while (knn->phase != PHASE_DONE && !(knn->is_cut && vssfdw_knn_satisfied(state)))
	{
		CHECK_FOR_INTERRUPTS();
		if (!vssfdw_step(knn->current))
		{
			next_phase(node, state);
			continue;
		}
		if (!is_unplaced(knn))
			knn->passed++;
		if (first_time(state, sqlite3_column_int64(knn->current->stmt, state->ncolumns + 1)))
		{
			store(state, slot);
			knn->given_count++;
			if (knn->phase == PHASE_STREAM && knn->stats.pull_limit > 0 && knn->prefilter != NULL &&
				vssfdw_knn_strategy == VSS_STRATEGY_AUTO)
				reconsider(knn);
			return true;
		}
	}
	return false;
}

bool
vssfdw_knn_is_running(VssScanState *state)
{
	const VssStatement *current = state->knn->current;

	return current != NULL && current->stmt != NULL && sqlite3_stmt_busy(current->stmt);
}

bool
vssfdw_knn_satisfied(VssScanState *state)
{
	return state->knn->most > 0 && state->knn->given_count >= state->knn->most;
}

void
vssfdw_knn_rescan(VssScanState *state)
{
	VssKnnScan *knn = state->knn;

	if (knn->current != NULL)
		vssfdw_rewind(knn->current);
	count(knn);
	if (knn->given != NULL)
		rowids_reset(knn->given);
	knn->current = NULL;
	knn->given_count = 0;
	knn->part = 0;
	knn->all_listed = false;
	knn->phase = PHASE_START;
}

void
vssfdw_knn_end(VssScanState *state)
{
	VssKnnScan *knn = state->knn;

	/* the module writes stats no more after this */
	vssfdw_done(knn->prefilter);
	vssfdw_done(knn->unplaced);
	vssfdw_done(knn->probe);
	knn->probe = NULL;
	knn->prefilter = NULL;
	knn->unplaced = NULL;
	if (knn->given != NULL)
		rowids_destroy(knn->given);
	knn->given = NULL;
}

void
vssfdw_knn_report(VssScanState *state, VssKnnReport *report)
{
	count(state->knn);
	*report = state->knn->report;
}

/* ---------- the rowset ---------- */

struct VssKnnCursor
{
	VssHold *hold;
	VssStatement *statement;
};

VssKnnCursor *
vssfdw_knn_open(VssConnection *conn, const char *index, const float *query, int dim, int64 k, int ef,
				MemoryContext context)
{
	VssKnnCursor *cursor = MemoryContextAllocZero(context, sizeof(VssKnnCursor));
	char *sql = psprintf("SELECT k.rowid, k.distance FROM \"main\".%s(?%d, ?%d, ?%d, ?%d) AS k",
						 vssfdw_quote_identifier(index), VSS_PARAM_QUERY, VSS_PARAM_K, VSS_PARAM_EF,
						 VSS_PARAM_STRATEGY);
	sqlite3_stmt *stmt;

	cursor->hold = vssfdw_hold(conn, context);
	cursor->statement = vssfdw_prepare(conn, sql, context);
	stmt = cursor->statement->stmt;
	check_bind(cursor->statement,
			   sqlite3_bind_blob(stmt, VSS_PARAM_QUERY, query, dim * sizeof(float), SQLITE_STATIC));
	check_bind(cursor->statement, sqlite3_bind_int64(stmt, VSS_PARAM_K, k));
	if (ef == 0)
		ef = vssfdw_asked_ef();
	if (ef != 0)
		check_bind(cursor->statement, sqlite3_bind_int(stmt, VSS_PARAM_EF, ef));
	bind_strategy(cursor->statement, false);
	pfree(sql);
	return cursor;
}

bool
vssfdw_knn_next(VssKnnCursor *cursor, int64 *rowid, double *distance)
{
	if (!vssfdw_step(cursor->statement))
		return false;
	*rowid = sqlite3_column_int64(cursor->statement->stmt, 0);
	*distance = sqlite3_column_type(cursor->statement->stmt, 1) == SQLITE_NULL
					? get_float8_nan()
					: sqlite3_column_double(cursor->statement->stmt, 1);
	return true;
}

void
vssfdw_knn_close(VssKnnCursor *cursor)
{
	vssfdw_done(cursor->statement);
	vssfdw_release(cursor->hold);
	pfree(cursor);
}
