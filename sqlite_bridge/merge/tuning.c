/*
 * tuning.c
 *		How far searches go on where the owner of an index named no ef: when a merge
 *		measures it.
 *
 * The margin that a search needs for the same recall differs from data to data
 * (hnsw/tune.c).  So a merge that makes a
 * base asks the new graph, before it becomes current, and the answer is written
 * in the transaction that makes it so (storage.c, key "tuned").  The user's own
 * questions, where there are any (module/tune.c), are what the graph is asked.  A second segment
 * is searched with what its base needs, being smaller.
 */
#include "sqlite_bridge/merge/merge.h"

/* Measured again when there are so many more rows: by this share of those before. */
#define GROWTH_SHARE 2

bool
bridge_tuning_is_due(const BridgeStore *store, const BridgeState *state, const BridgeBuilt *built)
{
	int64_t rows = (int64_t) hnsw_builder_count(built->builder);

	if (store->params.ef_search > 0 || built->recent)
		return false;
	return state->tuned.margin == 0 || !built->incremental ||
		   rows - state->tuned.rows >= state->tuned.rows / GROWTH_SHARE;
}

int
bridge_tune(BridgeMergeTask *task, BridgeStore *store, const HnswSnapshot *graph, BridgeTuned *tuned,
			BridgeError *err)
{
	HnswTask work = bridge_merge_work(task, BRIDGE_WRITING);
	HnswError hnsw = {0};
	HnswQuestions questions;
	HnswTuned found;
	HnswStatus status;
	double recall = bridge_store_recall(store);
	float *vectors;
	int rc = bridge_store_questions(store, &vectors, &questions.count, err);

	if (rc != SQLITE_OK)
		return rc;
	questions.vectors = vectors;
	bridge_merge_leave(task, false);
	status = hnsw_snapshot_tune(graph, recall, &questions, &work, &found, &hnsw);
	rc = bridge_merge_return(task, err);
	sqlite3_free(vectors);
	if (rc != SQLITE_OK)
		return rc;
	if (status == HNSW_NOMEM) /* the graph is as good without */
		return SQLITE_OK;
	if (status != HNSW_OK)
		return bridge_error_hnsw(err, status, &hnsw, "measuring the graph");
	tuned->margin = found.margin;
	tuned->visits = (int) found.visits;
	tuned->rows = (int64_t) hnsw_snapshot_info(graph)->count;
	return SQLITE_OK;
}

int
bridge_tune_file(BridgeMergeTask *task, BridgeStore *store, const char *path, BridgeTuned *tuned,
				 BridgeError *err)
{
	HnswSnapshot *graph;
	HnswError hnsw = {0};
	HnswStatus status = hnsw_snapshot_open(path, &graph, &hnsw);
	int rc;

	if (status == HNSW_NOMEM)
		return SQLITE_OK;
	if (status != HNSW_OK)
		return bridge_error_hnsw(err, status, &hnsw, "reading the graph file");
	rc = bridge_tune(task, store, graph, tuned, err);
	hnsw_snapshot_close(graph);
	return rc;
}
