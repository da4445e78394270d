/*
 * check.c
 *		hnsw_check([table]): does the index say what the truth says?
 *
 * Returns 'ok', or one finding a line, up to FINDINGS of them and then their
 * number.  In one snapshot of the database, which a rollback-journal database
 * cannot be written during:
 *
 *	- each graph file: checksums, structure, reachability
 *	- graph and delta together against the truth, row by row: missing, superfluous,
 *	  differing vectors; and rows of the truth that are no vector of the index's at all
 *	- the evidence that the table of content= is followed (content/evidence.c)
 *	- a table that feeds the index by triggers written by hand, against the truth, and
 *	  what its triggers lack
 *
 * hnsw_rebuild() mends all but the last, and rows that are no vectors, which are
 * the user's to mend: only he knows what is right.
 */
#include "sqlite_bridge/module/module.h"

#include <stdlib.h>
#include <string.h>

#define FINDINGS 100

typedef struct Check
{
	BridgeIndex *index;
	BridgeStore *store;
	sqlite3_str *out;
	int64_t count; /* of findings */

	BridgeState state;
	BridgeSnapshot *snapshot; /* NULL: searches are exact */
	int segment;              /* of it, the one looked at */
	int64_t graph_rows;       /* nodes that the truth walk came across */

	/* The delta's last change of each rowid, by rowid. */
	struct Last
	{
		int64_t rowid;
		int64_t seq;
		bool live;
		bool met; /* the walk of the truth came across its row */
	} * changes;
	size_t change_count, change_capacity;

	/* Rows without a place in the graph, as merges list them. */
	bool unplaced_known;
	int64_t *unplaced;
	size_t unplaced_count;

	float *vector; /* scratch, dim floats */
} Check;

static void find(Check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
find(Check *check, const char *format, ...)
{
	va_list args;

	if (check->count++ >= FINDINGS)
		return;
	if (check->count > 1)
		sqlite3_str_appendchar(check->out, 1, '\n');
	va_start(args, format);
	sqlite3_str_vappendf(check->out, format, args);
	va_end(args);
}

int
bridge_hold_view(BridgeStore *store, sqlite3_stmt **stmt, BridgeError *err)
{
	char *sql = sqlite3_mprintf("SELECT key FROM \"%w\".\"%w_config\"", store->schema, store->table);
	int rc = sql ? sqlite3_prepare_v2(store->db, sql, -1, stmt, NULL) : SQLITE_NOMEM;

	sqlite3_free(sql);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(*stmt);
	return rc == SQLITE_ROW ? SQLITE_OK : bridge_error_db(err, store->db, "table %s", store->table);
}

static int
poll_cancel(Check *check, int64_t count, BridgeError *err)
{
	if (count % 1024 == 0 && bridge_cancelled(check->index->connection))
		return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
	return SQLITE_OK;
}

/* ---------- the graph file ---------- */

static bool
report_structure(void *arg, const char *finding)
{
	Check *check = arg;

	find(check, "%s: %s", check->segment == 0 ? "graph" : "graph of recent changes", finding);
	return check->count < FINDINGS;
}

static bool
structure_cancelled(void *arg)
{
	return bridge_cancelled(((Check *) arg)->index->connection);
}

/* Labels of the base that are hidden without need.  Those that should be hidden are found by the walk of nodes. */
static int
check_hidden(Check *check, BridgeError *err)
{
	const BridgeSnapshot *snapshot = check->snapshot;

	for (size_t i = 0; i < snapshot->hidden_count; i++)
	{
		HnswStatus status = hnsw_snapshot_vector(snapshot->graphs[0]->map, snapshot->hidden[i], NULL);
		int rc = poll_cancel(check, (int64_t) i, err);

		if (rc != SQLITE_OK || status == HNSW_CORRUPT)
			return rc; /* that the file is damaged is told for itself */
		if (status != HNSW_OK)
			find(check, "graph: row %lld is hidden in the base, which does not hold it",
				 (long long) snapshot->hidden[i]);
	}
	return SQLITE_OK;
}

static int
check_graph(Check *check, BridgeError *err)
{
	HnswTask task = {.cancelled = structure_cancelled, .arg = check, .threads = 1};
	uint64_t problems = 0;
	HnswStatus status;
	int rc = bridge_index_snapshot(check->index, &check->state, &check->snapshot, err);

	if (rc != SQLITE_OK)
		return rc;
	if (check->snapshot == NULL)
	{
		if (check->state.segment_count > 0 && check->state.verdict == BRIDGE_FOLLOWED)
			find(check, "graph: %s; searches are exact until the next merge",
				 check->index->rejected_reason[0] ? check->index->rejected_reason : "there is no graph file");
		return SQLITE_OK;
	}
	for (check->segment = 0; check->segment < check->snapshot->count; check->segment++)
	{
		status = hnsw_snapshot_check(check->snapshot->graphs[check->segment]->map, &task, report_structure,
									 check, &problems);
		if (status == HNSW_INTERRUPTED)
			return bridge_error(err, SQLITE_INTERRUPT, "interrupted");
		if (status == HNSW_NOMEM)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
	}
	return check_hidden(check, err);
}

/* ---------- graph and delta against the truth ---------- */

static int
note_change(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	Check *check = arg;

	if (check->change_count == check->change_capacity)
	{
		size_t capacity = check->change_capacity ? check->change_capacity * 2 : 256;
		struct Last *changes = sqlite3_realloc64(check->changes, capacity * sizeof(*changes));

		if (changes == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		check->changes = changes;
		check->change_capacity = capacity;
	}
	check->changes[check->change_count++] = (struct Last){rowid, seq, vector != NULL, false};
	return SQLITE_OK;
}

static int
compare_last(const void *a, const void *b)
{
	const struct Last *x = a;
	const struct Last *y = b;

	if (x->rowid != y->rowid)
		return x->rowid < y->rowid ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Sort the changes by rowid and keep each one's last. */
static void
keep_last(Check *check)
{
	size_t kept = 0;

	if (check->change_count > 1)
		qsort(check->changes, check->change_count, sizeof(struct Last), compare_last);
	for (size_t i = 0; i < check->change_count; i++)
	{
		if (kept > 0 && check->changes[kept - 1].rowid == check->changes[i].rowid)
			kept--;
		check->changes[kept++] = check->changes[i];
	}
	check->change_count = kept;
}

static int
copy_change(void *arg, int64_t seq, int64_t tag, int64_t rowid, const float *vector, BridgeError *err)
{
	Check *check = arg;

	if (vector != NULL)
		memcpy(check->vector, vector, (size_t) check->index->dim * sizeof(float));
	return SQLITE_OK;
}

/* The last change of a row, or NULL. */
static struct Last *
change_of(const Check *check, int64_t rowid)
{
	size_t low = 0;
	size_t high = check->change_count;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (check->changes[middle].rowid < rowid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < check->change_count && check->changes[low].rowid == rowid ? &check->changes[low] : NULL;
}

/* A change whose row the truth does not have must be a deletion. */
static void
check_unmet_changes(Check *check)
{
	for (size_t i = 0; i < check->change_count; i++)
		if (check->changes[i].live && !check->changes[i].met)
			find(check, "row %lld: in the index (change %lld), but not in the table",
				 (long long) check->changes[i].rowid, (long long) check->changes[i].seq);
}

/* What graph and delta hold for rowid, into check->vector. */
static int
indexed_vector(Check *check, int64_t rowid, bool *present, BridgeError *err)
{
	HnswStatus status = bridge_snapshot_vector(check->snapshot, rowid, check->vector);
	struct Last *change = change_of(check, rowid);

	check->graph_rows += status == HNSW_OK;
	*present = status == HNSW_OK;
	if (change != NULL)
	{
		change->met = true;
		*present = change->live;
		return bridge_store_delta(check->store, change->seq - 1, change->seq, 1, copy_change, check, NULL,
								  err);
	}
	if (status == HNSW_CORRUPT)
		return bridge_error(err, SQLITE_CORRUPT, "the graph file is damaged");
	return SQLITE_OK;
}

/* vector: NULL for a row that belongs in no graph. */
static int
compare_row(Check *check, int64_t rowid, const float *vector, BridgeError *err)
{
	bool present;
	int rc = indexed_vector(check, rowid, &present, err);

	if (rc != SQLITE_OK)
		return rc;
	if (vector != NULL && !present)
		find(check, "row %lld: not in the index", (long long) rowid);
	else if (vector == NULL && present)
		find(check, "row %lld: in the index, but the table has no vector for it", (long long) rowid);
	else if (vector == NULL && check->unplaced_known && change_of(check, rowid) == NULL &&
			 !bridge_labels_have(check->unplaced, check->unplaced_count, rowid))
		find(check, "row %lld: not in the list of rows without a vector", (long long) rowid);
	else if (vector != NULL && memcmp(vector, check->vector, (size_t) check->index->dim * sizeof(float)) != 0)
		find(check, "row %lld: the index has another vector than the table", (long long) rowid);
	return SQLITE_OK;
}

/*
 * A row of the truth.  One that cannot be read, which triggers and the module
 * refuse but a table without its triggers takes, makes exact searches and
 * merges fail: it is a finding, and the walk goes on.
 */
static int
check_row(Check *check, int64_t rowid, sqlite3_value *value, BridgeVector *vector, BridgeError *err)
{
	BridgeError bad = {0};
	bool present;
	int rc = bridge_vector_read(value, vector, &bad);

	if (rc == SQLITE_OK && vector->data != NULL && vector->dim != check->index->dim)
		rc = bridge_error(&bad, SQLITE_MISMATCH, "the vector has %d dimensions, expected %d", vector->dim,
						  check->index->dim);
	if (rc == SQLITE_MISMATCH)
	{
		find(check, "row %lld: %s", (long long) rowid, bad.message ? bad.message : "no vector");
		bridge_error_clear(&bad);
		if (check->snapshot != NULL && check->store->journal)
			return compare_row(check, rowid, NULL, err);
		return check->snapshot != NULL ? indexed_vector(check, rowid, &present, err) : SQLITE_OK;
	}
	if (rc != SQLITE_OK)
	{
		*err = bad;
		return rc;
	}
	if (check->snapshot == NULL)
		return SQLITE_OK;
	return compare_row(check, rowid,
					   bridge_indexable(&check->store->params, vector->data) ? vector->data : NULL, err);
}

static int
walk_truth(Check *check, BridgeError *err)
{
	BridgeVector vector = {0};
	sqlite3_stmt *stmt = NULL;
	int64_t count = 0;
	int step = SQLITE_DONE;
	int64_t rowid;
	int rc = bridge_store_truth_select(check->store, &stmt, err);

	while (rc == SQLITE_OK && (step = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		rc = poll_cancel(check, ++count, err);
		if (rc == SQLITE_OK)
			rc = bridge_store_row_label(check->store, stmt, 0, 2, &rowid, err);
		if (rc == SQLITE_OK)
			rc = check_row(check, rowid, sqlite3_column_value(stmt, 1), &vector, err);
	}
	if (rc == SQLITE_OK && step != SQLITE_DONE)
		rc = bridge_error_db(err, check->store->db, "table %s", check->store->table);
	sqlite3_finalize(stmt);
	bridge_vector_free(&vector);
	return rc;
}

/* Graph nodes that the truth walk did not come across. */
typedef struct ExtraWalk
{
	Check *check;
	BridgeError *err;
	int64_t visited;
	int rc;
} ExtraWalk;

static bool
visit_node(void *arg, int64_t label, const float *vector)
{
	ExtraWalk *walk = arg;
	Check *check = walk->check;
	bool present = true;

	walk->rc = poll_cancel(check, ++walk->visited, walk->err);
	if (walk->rc != SQLITE_OK)
		return false;
	if (bridge_snapshot_hides(check->snapshot, check->segment, label))
		return true;
	for (int i = check->segment + 1; i < check->snapshot->count; i++)
		if (hnsw_snapshot_vector(check->snapshot->graphs[i]->map, label, NULL) == HNSW_OK)
			find(check, "row %lld: twice in the index", (long long) label);
	if (change_of(check, label) != NULL)
		return true; /* masked */
	/* What REPLACE has removed is passed over by searches and taken out by merges. */
	if (check->store->journal && check->store->follow.replaces)
		return true;
	walk->rc = bridge_store_truth_exists(check->store, label, &present, walk->err);
	if (walk->rc == SQLITE_OK && !present)
		find(check, "row %lld: in the index, but not in the table", (long long) label);
	return walk->rc == SQLITE_OK;
}

static int
check_rows(Check *check, BridgeError *err)
{
	ExtraWalk walk = {check, err, 0, SQLITE_OK};
	int rc;

	/* Without a graph searches read the truth alone: there is nothing to compare. */
	if (check->snapshot == NULL)
		return walk_truth(check, err);
	check->vector = sqlite3_malloc64((sqlite3_uint64) check->index->dim * sizeof(float));
	if (check->vector == NULL)
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	rc = bridge_store_delta(check->store, check->state.position, check->state.counter, -1, note_change, check,
							NULL, err);
	keep_last(check);
	if (rc == SQLITE_OK)
		rc = bridge_store_unplaced(check->store, check->state.position, &check->unplaced,
								   &check->unplaced_count, &check->unplaced_known, err);
	if (rc == SQLITE_OK)
		rc = walk_truth(check, err);
	if (rc != SQLITE_OK)
		return rc;
	check_unmet_changes(check);
	if (check->graph_rows == (int64_t) bridge_snapshot_rows(check->snapshot))
		return SQLITE_OK;
	for (check->segment = 0; check->segment < check->snapshot->count && walk.rc == SQLITE_OK;
		 check->segment++)
		if (hnsw_snapshot_each(check->snapshot->graphs[check->segment]->map, visit_node, &walk) ==
			HNSW_CORRUPT)
			return bridge_error(err, SQLITE_CORRUPT, "the graph file is damaged");
	return walk.rc;
}

/* ---------- where the vectors come from ---------- */

/* One line of it: findings are lines. */
static void
find_sql(Check *check, const char *what, char *sql)
{
	for (char *p = sql; *p != '\0'; p++)
		if (*p == '\n')
			*p = p[1] == '\0' ? '\0' : ' ';
	find(check, "%s: %s", what, sql);
}

/* Only where there is a graph does it matter: without one searches read the table. */
static void
check_followed(Check *check)
{
	static const char *const findings[BRIDGE_VERDICTS] = {
		[BRIDGE_TRIGGERS_MISSING] = "the triggers that follow table %s are missing or out of date",
		[BRIDGE_TRIGGERS_ANEW] =
			"the triggers that follow table %s were made anew, and writes may lie between",
		[BRIDGE_OVERTAKEN] = "a newer AFTER INSERT trigger on table %s may hide rows from the index",
		[BRIDGE_VACUUMED] = "rows of table %s may have other numbers since VACUUM or a restored dump",
		[BRIDGE_JOURNAL_LOST] = "the journal of changes of table %s does not go back to the graph",
	};
	const BridgeStore *store = check->store;

	if (!store->journal && store->params.content != NULL)
		find(check, "format 1: writers of table %s must load this extension; hnsw_save() changes that",
			 store->params.content);
	else if (check->state.verdict != BRIDGE_FOLLOWED)
	{
		char *text = sqlite3_mprintf(findings[check->state.verdict], store->params.content);

		find(check, "%s: %s; searches are exact until the next merge, and hnsw_save() repairs it",
			 bridge_verdict_name(check->state.verdict), text != NULL ? text : "");
		sqlite3_free(text);
	}
}

/* Compare a source with the truth, both in order of rowid. */
static int
compare_source(Check *check, const BridgeSource *source, sqlite3_stmt *theirs, sqlite3_stmt *ours,
			   BridgeError *err)
{
	BridgeVector a = {0};
	BridgeVector b = {0};
	int64_t count = 0;
	int left = sqlite3_step(theirs);
	int right = sqlite3_step(ours);
	int rc = SQLITE_OK;

	while (rc == SQLITE_OK && (left == SQLITE_ROW || right == SQLITE_ROW))
	{
		int64_t their_id = left == SQLITE_ROW ? sqlite3_column_int64(theirs, 0) : 0;
		int64_t our_id = right == SQLITE_ROW ? sqlite3_column_int64(ours, 0) : 0;
		BridgeError bad = {0};

		rc = poll_cancel(check, ++count, err);
		if (rc != SQLITE_OK)
			break;
		if (right != SQLITE_ROW || (left == SQLITE_ROW && their_id < our_id))
		{
			/* A row without a vector needs no entry. */
			if (sqlite3_column_type(theirs, 1) != SQLITE_NULL)
				find(check, "row %lld: in table %s, but not in %s", (long long) their_id, source->table,
					 check->store->table);
			left = sqlite3_step(theirs);
			continue;
		}
		if (left != SQLITE_ROW || our_id < their_id)
		{
			find(check, "row %lld: in %s, but not in table %s", (long long) our_id, check->store->table,
				 source->table);
			right = sqlite3_step(ours);
			continue;
		}
		if (bridge_vector_read(sqlite3_column_value(theirs, 1), &a, &bad) != SQLITE_OK)
			find(check, "row %lld: column %s of table %s: %s", (long long) their_id, source->vector,
				 source->table, bad.message ? bad.message : "unreadable");
		else if (bridge_vector_read(sqlite3_column_value(ours, 1), &b, &bad) == SQLITE_OK &&
				 ((a.data == NULL) != (b.data == NULL) ||
				  (a.data != NULL &&
				   (a.dim != b.dim || memcmp(a.data, b.data, (size_t) a.dim * sizeof(float)) != 0))))
			find(check, "row %lld: %s has another vector than table %s", (long long) their_id,
				 check->store->table, source->table);
		bridge_error_clear(&bad);
		left = sqlite3_step(theirs);
		right = sqlite3_step(ours);
	}
	if (rc == SQLITE_OK && (left != SQLITE_DONE || right != SQLITE_DONE))
		rc = bridge_error_db(err, check->store->db, "comparing with table %s", source->table);
	bridge_vector_free(&a);
	bridge_vector_free(&b);
	return rc;
}

static int
check_source(Check *check, BridgeSource *source, BridgeError *err)
{
	sqlite3_stmt *theirs = NULL;
	sqlite3_stmt *ours = NULL;
	char *sql = sqlite3_mprintf("SELECT \"%w\", \"%w\" FROM \"%w\".\"%w\" ORDER BY 1", source->rowid,
								source->vector, check->store->schema, source->table);
	int64_t before = check->count;
	int rc = sql ? sqlite3_prepare_v2(check->store->db, sql, -1, &theirs, NULL) : SQLITE_NOMEM;

	if (rc != SQLITE_OK)
		rc = bridge_error_db(err, check->store->db, "reading table %s", source->table);
	if (rc == SQLITE_OK)
		rc = bridge_store_truth_select(check->store, &ours, err);
	if (rc == SQLITE_OK)
		rc = compare_source(check, source, theirs, ours, err);
	if (rc == SQLITE_OK && check->count > before && source->missing_sql != NULL)
		find_sql(check, "the triggers of the table do not follow every change; missing", source->missing_sql);
	else if (rc == SQLITE_OK && check->count > before)
	{
		char *repair = bridge_source_repair(check->store->table, source);

		if (repair != NULL)
			find_sql(check, "the triggers of the table were not there all the time; to repair", repair);
		sqlite3_free(repair);
	}
	sqlite3_finalize(theirs);
	sqlite3_finalize(ours);
	sqlite3_free(sql);
	return rc;
}

static int
check_sources(Check *check, BridgeError *err)
{
	const BridgeStore *store = check->store;
	BridgeSource *sources = NULL;
	char **names;
	int named;
	int count = 0;
	int rc = bridge_index_names(store->db, store->schema, &names, &named, err);

	bridge_index_names_free(names, named);
	if (rc == SQLITE_OK)
		rc = bridge_sources_find(store->db, store->schema, store->table, named == 1, &sources, &count, err);
	/* With several sources each holds a part of the rows only. */
	if (rc == SQLITE_OK && count == 1)
		rc = check_source(check, &sources[0], err);
	bridge_sources_free(sources, count);
	return rc;
}

/* ---------- all of it ---------- */

/* Without the graph from here on, if it has proved damaged. */
static bool
give_up_damaged(Check *check)
{
	const BridgeGraph *damaged = check->snapshot != NULL ? bridge_snapshot_damaged(check->snapshot) : NULL;

	if (damaged == NULL)
		return false;
	find(check, "graph: the file is damaged; searches are exact until the next merge");
	bridge_index_reject(check->index, damaged->token, "the graph file is damaged");
	bridge_snapshot_release(check->snapshot);
	check->snapshot = NULL;
	return true;
}

static int
check_index(Check *check, BridgeError *err)
{
	sqlite3_stmt *hold = NULL;
	int rc = bridge_hold_view(check->store, &hold, err);

	if (rc == SQLITE_OK)
		rc = bridge_content_state(check->store, &check->state, 0, NULL, NULL, err);
	if (rc == SQLITE_OK)
		rc = check_graph(check, err);
	give_up_damaged(check);
	if (rc == SQLITE_OK)
		rc = check_rows(check, err);
	/* Damage that shows only now is a finding, not a failure. */
	if (give_up_damaged(check) && rc == SQLITE_CORRUPT)
	{
		bridge_error_clear(err);
		rc = SQLITE_OK;
	}
	if (rc == SQLITE_OK && check->store->params.content == NULL)
		rc = check_sources(check, err);
	else if (rc == SQLITE_OK)
		check_followed(check);
	sqlite3_finalize(hold);
	return rc;
}

static void
check_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	const char *name = argc > 0 ? (const char *) sqlite3_value_text(argv[0]) : NULL;
	BridgeError err = {0};
	Check check = {0};
	BridgeTable *held = NULL;
	char *text;
	int rc = bridge_find_index(connection, name, &check.index, &err);

	check.out = sqlite3_str_new(connection->db);
	if (rc == SQLITE_OK)
	{
		held = bridge_table_hold(check.index->connected);
		check.store = bridge_index_store(check.index);
		rc = check_index(&check, &err);
	}
	if (rc == SQLITE_OK && check.count == 0)
		sqlite3_str_appendall(check.out, "ok");
	else if (check.count > FINDINGS)
		sqlite3_str_appendf(check.out, "\n... and %lld more findings",
							(sqlite3_int64) (check.count - FINDINGS));
	if (rc == SQLITE_OK && sqlite3_str_errcode(check.out) != SQLITE_OK)
		rc = bridge_error(&err, SQLITE_NOMEM, "out of memory");
	text = sqlite3_str_finish(check.out);
	bridge_snapshot_release(check.snapshot);
	sqlite3_free(check.changes);
	sqlite3_free(check.unplaced);
	sqlite3_free(check.vector);
	bridge_table_release(held);
	if (rc == SQLITE_OK)
	{
		sqlite3_result_text(context, text, -1, sqlite3_free);
		return;
	}
	sqlite3_free(text);
	bridge_error_prefix(&err, "hnsw_check");
	bridge_error_result(context, &err);
}

int
bridge_check_register(BridgeConnection *connection, BridgeError *err)
{
	for (int arguments = 0; arguments <= 1; arguments++)
	{
		int rc = sqlite3_create_function_v2(
			connection->db, "hnsw_check", arguments, SQLITE_UTF8 | SQLITE_DIRECTONLY,
			bridge_connection_hold(connection), check_function, NULL, NULL, bridge_connection_release);

		if (rc != SQLITE_OK)
			return bridge_error_db(err, connection->db, "registering hnsw_check");
	}
	return SQLITE_OK;
}
