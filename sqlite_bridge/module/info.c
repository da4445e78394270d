/*
 * info.c
 *		hnsw_info([table]): the state of an index as JSON.
 *
 *	index, dim, metric, m, ef_construction, content
 *	ef_search		candidates that a search keeps, where the table was given that; else
 *	recall			the share of the true neighbours that searches shall find, and
 *	margin			how far they go on for it (hnsw/stages.c)
 *	visits			nodes that a search for ten visits
 *	questions		how many of the user's margin is measured by; 0: by stored vectors
 *	rows			rows of the truth
 *	changes			number of the last change
 *	delta_rows		changes that the graph lacks
 *	delta_stored	rows of the delta table or of the journal but its last, trimmed or not
 *	follow			of content= with a journal: `followed`, or why the graph is not used until the
 *					next merge (content/evidence.c); `format_1` without one; null without content=
 *	bad_rows		rows that hold no vector of the index's kind, as of the last merge that read all
 *	merge_due		whether a merge is worth while
 *	merge			automatic merges of the file in this process: running, phase, done (a share), merges,
 *					cancelled, error, and why none runs although one is due: `in_memory`, `read_only`,
 *					`host` (merges are the host's business), `off` (hnsw_config), `no_threads`,
 *					`pause` (after one that failed), `not_asked` (the next search or commit will)
 *	graph			state, reason, path, token, seq, rows, nodes, layers, bytes, code, segments, hidden,
 *					old_files, old_bytes
 *
 * token is the base's, seq what the whole graph is the image of; rows those that count, nodes
 * (equal vectors are one) and bytes those of all files, layers the most.  segments has token, seq,
 * rows, nodes and bytes of each file, base first; hidden says how many rows of the base do not count.
 * old_files are those beside them, which the next merge removes where they are this database's or of one that is gone.
 *
 * graph.state is `used`; `none` before the first merge; `missing`; `foreign` for
 * a file of another database; `older` for another image than the database
 * names; `corrupt`; `version`; `unreadable`; `behind` where follow says why.  Only `used` lets searches use the graph.
 *
 * Everything is read in one snapshot of the database.
 */
#include "sqlite_bridge/module/module.h"

#include <string.h>
#include <sys/stat.h>

typedef struct GraphState
{
	const char *state;
	char reason[240];
	int segment_count; /* with info: all of them, or the one that cannot be used */
	HnswSnapshotInfo infos[BRIDGE_MAX_SEGMENTS];
	uint64_t hidden;
} GraphState;

/* ---------- the graph file ---------- */

static const char *
state_of_status(HnswStatus status)
{
	switch (status)
	{
		case HNSW_NOTFOUND:
			return "missing";
		case HNSW_CORRUPT:
			return "corrupt";
		case HNSW_VERSION:
			return "version";
		default:
			return "unreadable";
	}
}

/* Look at one name; true when the file there is the segment, and info is filled in. */
static bool
look_at(const BridgeIndex *index, const char *path, const BridgeSegment *segment, HnswSnapshotInfo *info,
		GraphState *out)
{
	HnswSnapshot *graph = NULL;
	HnswError error = {0};
	HnswStatus status = hnsw_snapshot_open(path, &graph, &error);

	out->reason[0] = '\0';
	memset(info, 0, sizeof(*info));
	if (status != HNSW_OK)
	{
		out->state = state_of_status(status);
		sqlite3_snprintf(sizeof(out->reason), out->reason, "%s", error.message);
		return false;
	}
	*info = *hnsw_snapshot_info(graph);
	hnsw_snapshot_close(graph);
	if (info->identity.database_device != index->files.device ||
		info->identity.database_inode != index->files.inode)
		out->state = "foreign";
	else if (memcmp(info->identity.token, segment->token, HNSW_TOKEN_BYTES) != 0)
		out->state = "older";
	else
	{
		out->state = "used";
		return true;
	}
	return false;
}

/* A graph that goes by its own name only: what lies at <path> is somebody else's. */
static void
mention_path(const BridgeIndex *index, const BridgeSegment *segment, GraphState *out)
{
	char *name = index->files.path ? bridge_files_token_path(&index->files, segment->token) : NULL;
	struct stat named;
	struct stat path;

	if (name != NULL && stat(name, &named) == 0 &&
		(stat(index->files.path, &path) != 0 || named.st_dev != path.st_dev || named.st_ino != path.st_ino))
		sqlite3_snprintf(sizeof(out->reason), out->reason,
						 "the graph is in its own file %s; what lies at path is missing or not ours", name);
	sqlite3_free(name);
}

/* Look for a segment's file under its names. */
static bool
look_for(const BridgeIndex *index, const BridgeState *state, int segment, GraphState *out)
{
	const BridgeSegment *wanted = &state->segments[segment];
	HnswSnapshotInfo *info = &out->infos[segment];
	char *name = bridge_files_token_path(&index->files, wanted->token);
	bool found = name != NULL && look_at(index, name, wanted, info, out);

	/* Where neither will do, the state of the second, which people know, is told. */
	if (!found && segment == 0)
		found = look_at(index, index->files.path, wanted, info, out);
	sqlite3_free(name);
	if (found && index->rejected && memcmp(index->rejected_token, wanted->token, HNSW_TOKEN_BYTES) == 0)
	{
		out->state = "corrupt";
		sqlite3_snprintf(sizeof(out->reason), out->reason, "%s", index->rejected_reason);
		found = false;
	}
	return found;
}

/* How many rows of the base are hidden, without having the graph open. */
static int
count_hidden(BridgeStore *store, GraphState *out, BridgeError *err)
{
	int64_t *hidden;
	size_t count;
	bool sound;
	int rc = bridge_store_hidden(store, &hidden, &count, &sound, err);

	sqlite3_free(hidden);
	out->hidden = count;
	if (rc == SQLITE_OK && !sound)
	{
		out->state = "corrupt";
		sqlite3_snprintf(sizeof(out->reason), out->reason, "the list of the base's hidden rows is damaged");
	}
	return rc;
}

/*
 * What searches find at this moment.  The connection may know more than the
 * headers show: a block that proved damaged.
 */
static int
find_graph(const BridgeIndex *index, BridgeStore *store, const BridgeState *state, GraphState *out,
		   BridgeError *err)
{
	memset(out, 0, sizeof(*out));
	out->state = "none";
	if (state->segment_count == 0)
		return SQLITE_OK;
	if (state->verdict != BRIDGE_FOLLOWED)
	{
		out->state = "behind";
		sqlite3_snprintf(sizeof(out->reason), out->reason, "%s", bridge_verdict_name(state->verdict));
		return SQLITE_OK;
	}
	if (bridge_snapshot_is_of(index->snapshot, state))
	{
		for (int i = 0; i < index->snapshot->count; i++)
			out->infos[i] = *hnsw_snapshot_info(index->snapshot->graphs[i]->map);
		out->segment_count = index->snapshot->count;
		out->hidden = index->snapshot->hidden_count;
		out->state = bridge_snapshot_damaged(index->snapshot) != NULL ? "corrupt" : "used";
		return SQLITE_OK;
	}
	if (index->files.path == NULL)
	{
		out->state = "missing";
		return SQLITE_OK;
	}
	for (int i = 0; i < state->segment_count; i++)
	{
		bool found = look_for(index, state, i, out);

		out->segment_count += out->infos[i].count > 0 || found;
		if (!found)
			return SQLITE_OK;
	}
	return state->segment_count > 1 ? count_hidden(store, out, err) : SQLITE_OK;
}

/* ---------- JSON ---------- */

/* "key":, with a comma before all but the first of an object. */
static void
put_key(sqlite3_str *out, const char *key)
{
	const char *text = sqlite3_str_value(out); /* NULL without memory */
	bool first = text != NULL && text[sqlite3_str_length(out) - 1] == '{';

	sqlite3_str_appendf(out, "%s\"%s\":", first ? "" : ",", key);
}

static void
put_text(sqlite3_str *out, const char *key, const char *text)
{
	put_key(out, key);
	if (text == NULL)
	{
		sqlite3_str_appendall(out, "null");
		return;
	}
	sqlite3_str_appendchar(out, 1, '"');
	for (; *text != '\0'; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c == '"' || c == '\\')
			sqlite3_str_appendf(out, "\\%c", c);
		else if (c < 0x20)
			sqlite3_str_appendf(out, "\\u%04x", c);
		else
			sqlite3_str_appendchar(out, 1, (char) c);
	}
	sqlite3_str_appendchar(out, 1, '"');
}

static void
put_number(sqlite3_str *out, const char *key, sqlite3_int64 number)
{
	put_key(out, key);
	sqlite3_str_appendf(out, "%lld", number);
}

static void
put_real(sqlite3_str *out, const char *key, double number)
{
	put_key(out, key);
	sqlite3_str_appendf(out, "%!.6g", number);
}

static void
put_truth(sqlite3_str *out, const char *key, bool truth)
{
	sqlite3_str_appendf(out, ",\"%s\":%s", key, truth ? "true" : "false");
}

/* As bridge_snapshot_rows. */
static uint64_t
graph_rows(const GraphState *graph)
{
	uint64_t rows = 0;

	for (int i = 0; i < graph->segment_count; i++)
		rows += graph->infos[i].count;
	return rows > graph->hidden ? rows - graph->hidden : 0;
}

static void
put_segments(sqlite3_str *out, const GraphState *graph)
{
	put_key(out, "segments");
	sqlite3_str_appendchar(out, 1, '[');
	for (int i = 0; i < graph->segment_count; i++)
	{
		const HnswSnapshotInfo *info = &graph->infos[i];
		char token[17];

		bridge_token_format(info->identity.token, token);
		sqlite3_str_appendall(out, i > 0 ? ",{" : "{");
		put_text(out, "token", token);
		put_number(out, "seq", info->identity.seq);
		put_number(out, "rows", (sqlite3_int64) info->count);
		put_number(out, "nodes", (sqlite3_int64) info->nodes);
		put_number(out, "bytes", (sqlite3_int64) info->file_bytes);
		sqlite3_str_appendchar(out, 1, '}');
	}
	sqlite3_str_appendchar(out, 1, ']');
	put_number(out, "hidden", (sqlite3_int64) graph->hidden);
}

static void
put_graph(sqlite3_str *out, const BridgeIndex *index, const BridgeState *state, const GraphState *graph)
{
	char token[17];

	sqlite3_str_appendall(out, ",\"graph\":{");
	put_text(out, "state", graph->state);
	put_text(out, "reason", graph->reason[0] ? graph->reason : NULL);
	put_text(out, "path", index->files.path);
	if (state->segment_count > 0)
	{
		bridge_token_format(state->segments[0].token, token);
		put_text(out, "token", token);
		put_number(out, "seq", state->position);
	}
	if (graph->segment_count > 0)
	{
		uint64_t nodes = 0;
		uint64_t bytes = 0;
		uint32_t layers = 0;

		for (int i = 0; i < graph->segment_count; i++)
		{
			nodes += graph->infos[i].nodes;
			bytes += graph->infos[i].file_bytes;
			layers = layers > graph->infos[i].layers ? layers : graph->infos[i].layers;
		}
		put_number(out, "rows", (sqlite3_int64) graph_rows(graph));
		put_number(out, "nodes", (sqlite3_int64) nodes);
		put_number(out, "layers", layers);
		put_number(out, "bytes", (sqlite3_int64) bytes);
		put_text(out, "code", graph->infos[0].code);
		put_segments(out, graph);
	}
	if (index->files.path != NULL)
	{
		int64_t count;
		int64_t bytes;

		bridge_publish_left(&index->files, state, &count, &bytes);
		put_number(out, "old_files", count);
		put_number(out, "old_bytes", bytes);
	}
	sqlite3_str_appendall(out, "}");
}

static void
put_merge(sqlite3_str *out, const BridgeIndex *index, bool due)
{
	BridgeMergeReport report;

	bridge_merge_report(index, &report);
	sqlite3_str_appendf(out, ",\"merge\":{\"running\":%s", report.running ? "true" : "false");
	if (report.running)
	{
		put_text(out, "phase", bridge_phase_name(report.phase));
		sqlite3_str_appendf(out, ",\"done\":%.3f",
							report.total > 0 ? (double) report.done / (double) report.total : 0.0);
	}
	put_number(out, "merges", (sqlite3_int64) report.merges);
	put_number(out, "cancelled", (sqlite3_int64) report.cancelled);
	put_text(out, "why", due ? report.why : NULL);
	put_text(out, "error", report.error[0] ? report.error : NULL);
	sqlite3_str_appendall(out, "}");
}

/* ---------- gathering ---------- */

static int
count_delta(const BridgeStore *store, int64_t *count, BridgeError *err)
{
	sqlite3_stmt *stmt = NULL;
	char *sql = sqlite3_mprintf("SELECT count(*) %s FROM \"%w\".\"%w_%s\"", store->journal ? "- 1" : "",
								store->schema, store->table, store->journal ? "changes" : "delta");
	int rc = sql ? sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL) : SQLITE_NOMEM;

	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
	{
		*count = sqlite3_column_int64(stmt, 0);
		rc = SQLITE_OK;
	}
	else
		rc = bridge_error_db(err, store->db, "table %s", store->table);
	sqlite3_finalize(stmt);
	sqlite3_free(sql);
	return rc;
}

static int
describe(BridgeIndex *index, sqlite3_str *out, BridgeError *err)
{
	BridgeStore *store = bridge_index_store(index);
	const BridgeParams *p = &store->params;
	sqlite3_stmt *hold = NULL;
	BridgeState state;
	GraphState graph;
	int64_t rows = 0;
	int64_t stored = 0;
	float *vectors = NULL;
	uint32_t questions = 0;
	int64_t lacking;
	int64_t recent;
	bool due;
	int rc = bridge_hold_view(store, &hold, err);

	if (rc == SQLITE_OK)
		rc = bridge_content_state(store, &state, 0, NULL, NULL, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_truth_count(store, -1, &rows, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_questions(store, &vectors, &questions, err);
	sqlite3_free(vectors);
	if (rc == SQLITE_OK && (!store->journal || store->follow.journal_there))
		rc = count_delta(store, &stored, err);
	if (rc == SQLITE_OK)
		rc = find_graph(index, store, &state, &graph, err);
	sqlite3_finalize(hold);
	if (rc != SQLITE_OK)
		return rc;

	recent = graph.segment_count > 1 ? (int64_t) graph.infos[1].count : 0;
	if (strcmp(graph.state, "used") == 0)
		mention_path(index, &state.segments[0], &graph);
	lacking = state.counter - state.position;
	if (store->journal && state.segment_count == 0)
		lacking = stored;
	sqlite3_str_appendall(out, "{");
	put_text(out, "index", index->table);
	put_text(out, "schema", index->schema);
	put_number(out, "dim", p->dim);
	put_text(out, "metric", hnsw_metric_name(p->metric));
	put_number(out, "m", p->m);
	put_number(out, "ef_construction", p->ef_construction);
	if (p->ef_search > 0)
		put_number(out, "ef_search", p->ef_search);
	else
	{
		put_real(out, "recall", bridge_store_recall(store));
		put_real(out, "margin", bridge_store_margin(store, &state.tuned));
	}
	put_number(out, "visits", bridge_store_visits(store, &state.tuned));
	put_number(out, "questions", questions);
	put_text(out, "content", p->content);
	put_text(out, "follow",
			 p->content == NULL ? NULL
			 : store->journal   ? bridge_verdict_name(state.verdict)
								: "format_1");
	put_number(out, "rows", rows);
	if (store->journal)
		put_number(out, "bad_rows", state.bad_rows);
	put_number(out, "changes", state.counter);
	put_number(out, "delta_rows", lacking);
	put_number(out, "delta_stored", stored);
	due = state.verdict != BRIDGE_FOLLOWED   ? true
		  : strcmp(graph.state, "used") == 0 ? bridge_merge_is_due(recent, lacking)
											 : bridge_merge_is_due(-1, rows);
	put_truth(out, "merge_due", due);
	put_graph(out, index, &state, &graph);
	put_merge(out, index, due);
	sqlite3_str_appendall(out, "}");
	return SQLITE_OK;
}

static void
info_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	const char *name = argc > 0 ? (const char *) sqlite3_value_text(argv[0]) : NULL;
	sqlite3_str *out = sqlite3_str_new(connection->db);
	BridgeError err = {0};
	BridgeIndex *index;
	char *text;
	int rc = bridge_find_index(connection, name, &index, &err);

	if (rc == SQLITE_OK)
	{
		BridgeTable *held = bridge_table_hold(index->connected);

		rc = describe(index, out, &err);
		bridge_table_release(held);
	}
	if (rc == SQLITE_OK && sqlite3_str_errcode(out) != SQLITE_OK)
		rc = bridge_error(&err, SQLITE_NOMEM, "out of memory");
	text = sqlite3_str_finish(out);
	if (rc == SQLITE_OK)
	{
		sqlite3_result_text(context, text, -1, sqlite3_free);
		sqlite3_result_subtype(context, 'J');
		return;
	}
	sqlite3_free(text);
	bridge_error_prefix(&err, "hnsw_info");
	bridge_error_result(context, &err);
}

/*
 * hnsw_margin([index]), NULL where the table was given an ef_search, and
 * hnsw_visits([index]): as last measured, and cheaper than all of hnsw_info.
 */
static void
measured(sqlite3_context *context, int argc, sqlite3_value **argv, bool margin)
{
	BridgeConnection *connection = sqlite3_user_data(context);
	const char *name = argc > 0 ? (const char *) sqlite3_value_text(argv[0]) : NULL;
	BridgeError err = {0};
	BridgeState state;
	BridgeIndex *index;
	int rc = bridge_find_index(connection, name, &index, &err);

	if (rc == SQLITE_OK)
	{
		BridgeTable *held = bridge_table_hold(index->connected);
		BridgeStore *store = bridge_index_store(index);

		rc = bridge_content_state(store, &state, 0, NULL, NULL, &err);
		if (rc == SQLITE_OK && !margin)
			sqlite3_result_int(context, bridge_store_visits(store, &state.tuned));
		else if (rc == SQLITE_OK && bridge_store_margin(store, &state.tuned) > 0)
			sqlite3_result_double(context, bridge_store_margin(store, &state.tuned));
		bridge_table_release(held);
	}
	if (rc != SQLITE_OK)
	{
		bridge_error_prefix(&err, margin ? "hnsw_margin" : "hnsw_visits");
		bridge_error_result(context, &err);
	}
}

static void
margin_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	measured(context, argc, argv, true);
}

static void
visits_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	measured(context, argc, argv, false);
}

int
bridge_info_register(BridgeConnection *connection, BridgeError *err)
{
	static const struct
	{
		const char *name;
		int flags;
		void (*function)(sqlite3_context *, int, sqlite3_value **);
	} functions[] = {
		{"hnsw_info", SQLITE_RESULT_SUBTYPE, info_function},
		{"hnsw_margin", 0, margin_function},
		{"hnsw_visits", 0, visits_function},
	};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
		for (int arguments = 0; arguments <= 1; arguments++)
		{
			int rc = sqlite3_create_function_v2(connection->db, functions[i].name, arguments,
												SQLITE_UTF8 | SQLITE_DIRECTONLY | functions[i].flags,
												bridge_connection_hold(connection), functions[i].function,
												NULL, NULL, bridge_connection_release);

			if (rc != SQLITE_OK)
				return bridge_error_db(err, connection->db, "registering %s", functions[i].name);
		}
	return SQLITE_OK;
}
