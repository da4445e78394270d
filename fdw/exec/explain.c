/*
 * explain.c
 *		What EXPLAIN says of a foreign scan: the SQL that SQLite is sent, and of
 *		a KNN scan index, metric, k, ef and strategy; with ANALYZE what the
 *		searches did, summed over all loops.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "nodes/nodeFuncs.h"

#include "fdw/exec/exec.h"

static const char *
metric_name(BridgeMetric metric)
{
	switch (metric)
	{
		case BRIDGE_COSINE:
			return "cosine";
		case BRIDGE_L2:
			return "l2";
		case BRIDGE_IP:
			return "ip";
	}
	return "unknown";
}

/* k of the predicate when it is known now, else that it comes with execution, or that rows stream. */
static void
explain_k(ForeignScan *plan, bool predicate, bool ordered, ExplainState *es)
{
	Const *k = list_nth(plan->fdw_exprs, 1);

	if (!predicate)
		ExplainPropertyText("K", ordered ? "stream" : "all within the bound", es);
	else if (!IsA(k, Const))
		ExplainPropertyText("K", "parameter", es);
	else if (k->constisnull)
		ExplainPropertyText("K", "NULL", es);
	else
		ExplainPropertyInteger("K", NULL, DatumGetInt64(k->constvalue), es);
}

/*
 * How far searches go: by the ef that the query, the session or the table gives, else by
 * the index's margin.  Of the last search, if one has asked a graph; else what is known
 * before.
 */
static void
explain_reach(ForeignScan *plan, List *knn, const VssKnnReport *report, ExplainState *es)
{
	Const *given = list_nth(plan->fdw_exprs, 2);
	int limit = intVal(list_nth(knn, VSS_KNN_LIMIT));
	int64 asked = vssfdw_asked_ef();
	int64 ef = asked > 0 ? asked : intVal(list_nth(knn, VSS_KNN_EF));

	if (report->ef > 0)
		ExplainPropertyInteger("ef_search", NULL, report->ef, es);
	else if (report->margin > 0)
		ExplainPropertyFloat("Margin", NULL, report->margin, 2, es);
	else if (!IsA(given, Const))
		ExplainPropertyText("ef_search", "parameter", es);
	else if (!given->constisnull)
		ExplainPropertyInteger("ef_search", NULL, DatumGetInt32(given->constvalue), es);
	else if (ef > 0)
		ExplainPropertyInteger("ef_search", NULL, Max(ef, Min(limit, VSS_MAX_EF)), es);
	else
		ExplainPropertyFloat("Margin", NULL, intVal(list_nth(knn, VSS_KNN_MARGIN)) / 1000.0, 2, es);
}

/* What will be tried first; the module may still find another way better. */
static const char *
planned_strategy(List *knn)
{
	bool has_prefilter = strVal(list_nth(knn, VSS_KNN_PREFILTER_SQL))[0] != '\0';

	if (vssfdw_knn_strategy == VSS_STRATEGY_PREFILTER)
		return has_prefilter ? "prefilter" : "auto";
	if (vssfdw_knn_strategy != VSS_STRATEGY_AUTO)
		return vssfdw_strategy_name(vssfdw_knn_strategy);
	return boolVal(list_nth(knn, VSS_KNN_USE_PREFILTER)) ? "prefilter" : "auto";
}

/*
 * How the index is at this moment: why the graph that is there could not be asked, and rows
 * without a vector.  For EXPLAIN that does not run the query; a search that runs tells it itself.
 */
static void
look_at_index(ForeignScan *plan, const char *index, VssKnnReport *report)
{
	VssConnection *conn = vssfdw_connect(plan->fs_server);
	VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);
	VssStatement *statement = vssfdw_prepare(
		conn,
		"SELECT i ->> '$.graph.state', i ->> '$.follow', i ->> '$.bad_rows' FROM (SELECT hnsw_info(?1) AS i)",
		CurrentMemoryContext);
	sqlite3_stmt *stmt = statement->stmt;

	sqlite3_bind_text(stmt, 1, index, -1, SQLITE_STATIC);
	/* an index that has gone since the query was planned is for the query to tell */
	if (sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0) != NULL)
	{
		const char *state = (const char *) sqlite3_column_text(stmt, 0);

		if (strcmp(state, "behind") == 0)
			report->behind = pstrdup((const char *) sqlite3_column_text(stmt, 1));
		else if (strcmp(state, "corrupt") == 0)
			report->behind = BRIDGE_GRAPH_DAMAGED;
		else if (strcmp(state, "used") != 0 && strcmp(state, "none") != 0)
			report->behind = BRIDGE_GRAPH_MISSING;
		report->bad_rows = sqlite3_column_int64(stmt, 2);
	}
	vssfdw_done(statement);
	vssfdw_release(hold);
}

static void
explain_knn(ForeignScanState *node, List *knn, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	VssScanState *state = node->fdw_state;
	VssKnnReport report = {0};

	if (es->analyze && state != NULL && state->knn != NULL)
		vssfdw_knn_report(state, &report);

	else if (state != NULL && state->conn == NULL)
	{
		look_at_index(plan, strVal(list_nth(knn, VSS_KNN_INDEX)), &report);
		if (report.behind != NULL)
			report.strategy = vssfdw_strategy_name(VSS_STRATEGY_EXACT);
	}

	ExplainPropertyText("Index", strVal(list_nth(knn, VSS_KNN_INDEX)), es);
	ExplainPropertyText("Metric", metric_name(intVal(list_nth(knn, VSS_KNN_METRIC))), es);
	explain_k(plan, boolVal(list_nth(knn, VSS_KNN_PREDICATE)), boolVal(list_nth(knn, VSS_KNN_ORDERED)), es);
	explain_reach(plan, knn, &report, es);
	ExplainPropertyText("Strategy", report.strategy != NULL ? report.strategy : planned_strategy(knn), es);
	if (es->analyze)
	{
		ExplainPropertyInteger("Searches", NULL, report.searches, es);
		ExplainPropertyInteger("Nodes Visited", NULL, report.nodes_visited, es);
		ExplainPropertyInteger("Distances Computed", NULL, report.distances_computed, es);
		ExplainPropertyInteger("Delta Rows", NULL, report.delta_rows, es);
		ExplainPropertyInteger("Rows Filtered", NULL, report.rows_filtered, es);
	}
	if (report.behind != NULL)
		ExplainPropertyText("Index Not Used", report.behind, es);
	if (report.bad_rows > 0)
		ExplainPropertyInteger("Bad Rows", NULL, report.bad_rows, es);
}

void
vssExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	List *knn = list_nth(plan->fdw_private, VSS_SCAN_KNN);
	const char *sql = strVal(list_nth(plan->fdw_private, VSS_SCAN_SQL));
	const char *unused = strVal(list_nth(plan->fdw_private, VSS_SCAN_UNUSED));
	const char *label = strVal(list_nth(plan->fdw_private, VSS_SCAN_LABEL));

	if (label[0] != '\0')
		ExplainPropertyText("Relations", label, es);
	if (unused[0] != '\0')
		ExplainPropertyText("Index Not Used", unused, es);
	if (knn != NIL)
	{
		explain_knn(node, knn, es);
		if (vssfdw_knn_strategy != VSS_STRATEGY_GRAPH && vssfdw_knn_strategy != VSS_STRATEGY_EXACT &&
			strcmp(planned_strategy(knn), "prefilter") == 0)
			sql = strVal(list_nth(knn, VSS_KNN_PREFILTER_SQL));
	}
	ExplainPropertyText("SQLite SQL", sql, es);
	if (knn != NIL && es->verbose && strVal(list_nth(knn, VSS_KNN_UNPLACED_SQL))[0] != '\0')
		ExplainPropertyText("SQLite SQL of Unordered Rows", strVal(list_nth(knn, VSS_KNN_UNPLACED_SQL)), es);
}
