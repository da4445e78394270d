/*
 * vss_fdw.c
 *		The foreign-data wrapper's table of contents: its settings, and the
 *		callbacks by which PostgreSQL enters it.
 *
 * The rooms of fdw/, from the top: admin/ (import, merges, embeddings),
 * modify/ (what writes), exec/ (how rows are fetched), plan/ (ways and costs),
 * ship/ (what SQLite computes, and its SQL), values/ (conversions, vss_vector),
 * remote/ (the SQLite connection), sqlfn/ (functions that SQLite calls).  Each
 * has one header, in sections by file, and uses only those after it.
 */
#include "postgres.h"

#include <limits.h>

#include "foreign/fdwapi.h"
#include "utils/guc.h"

#include "fdw/admin/admin.h"

PG_MODULE_MAGIC;

static const struct config_enum_entry strategy_options[] = {{"auto", VSS_STRATEGY_AUTO, false},
															{"graph", VSS_STRATEGY_GRAPH, false},
															{"prefilter", VSS_STRATEGY_PREFILTER, false},
															{"exact", VSS_STRATEGY_EXACT, false},
															{NULL, 0, false}};

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	DefineCustomIntVariable("vss_fdw.ef_search",
							"Candidates that a graph search keeps: more find better neighbours, slower.",
							"0 takes the index's own: the value that it was created with, or that was "
							"measured.",
							&vssfdw_ef_search, 0, 0, VSS_MAX_EF, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("vss_fdw.knn_strategy", "How nearest neighbours are searched.",
							 "auto chooses by cost; the others are for tests and diagnosis.",
							 &vssfdw_knn_strategy, VSS_STRATEGY_AUTO, strategy_options, PGC_USERSET, 0, NULL,
							 NULL, NULL);
	DefineCustomBoolVariable("vss_fdw.auto_merge",
							 "Start a background worker when the merge of an index is due.",
							 "Off leaves merging to vss_merge() and to SQLite's own applications.",
							 &vssfdw_auto_merge, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("vss_fdw.merge_workers", "Background merges that run at the same time.",
							"Each takes one of max_worker_processes; 0 runs none.", &vssfdw_merge_workers, 2,
							0, 64, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("vss_fdw.merge_threads", "Threads of each background merge.",
							"0 takes one for each processor.", &vssfdw_merge_threads, 2, 0, 1024, PGC_SIGHUP,
							0, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"vss_fdw.allowed_extensions", "SQLite extensions that servers may load: paths of library files.",
		"A server's option \"extensions\" takes some of them.", &vssfdw_allowed_extensions, "", PGC_SIGHUP,
		GUC_LIST_INPUT | GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
	MarkGUCPrefixReserved("vss_fdw");

	vssfdw_install_planner();
	vssfdw_watch_drops();
	vssfdw_listener.progress = vssfdw_progress;
	vssfdw_listener.merge_due = vssfdw_note_merge;
	vssfdw_listener.committed = vssfdw_launch_merges;
}

VSS_SQL_FUNCTION(vss_fdw_handler);

Datum
vss_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	/* plan/ */
	routine->GetForeignRelSize = vssGetForeignRelSize;
	routine->GetForeignPaths = vssGetForeignPaths;
	routine->GetForeignJoinPaths = vssGetForeignJoinPaths;
	routine->GetForeignUpperPaths = vssGetForeignUpperPaths;
	routine->GetForeignPlan = vssGetForeignPlan;
	routine->IsForeignScanParallelSafe = vssIsForeignScanParallelSafe;
	/* ImportForeignStatistics (19) stays NULL: SQLite keeps none of a column, so ANALYZE samples rows. */
	routine->AnalyzeForeignTable = vssAnalyzeForeignTable;

	/* exec/ */
	routine->BeginForeignScan = vssBeginForeignScan;
	routine->IterateForeignScan = vssIterateForeignScan;
	routine->ReScanForeignScan = vssReScanForeignScan;
	routine->RecheckForeignScan = vssRecheckForeignScan;
	routine->EndForeignScan = vssEndForeignScan;
	routine->ExplainForeignScan = vssExplainForeignScan;

	/* modify/: row by row */
	routine->AddForeignUpdateTargets = vssAddForeignUpdateTargets;
	routine->IsForeignRelUpdatable = vssIsForeignRelUpdatable;
	routine->PlanForeignModify = vssPlanForeignModify;
	routine->BeginForeignModify = vssBeginForeignModify;
	routine->BeginForeignInsert = vssBeginForeignInsert;
	routine->ExecForeignInsert = vssExecForeignInsert;
	routine->ExecForeignBatchInsert = vssExecForeignBatchInsert;
	routine->GetForeignModifyBatchSize = vssGetForeignModifyBatchSize;
	routine->ExecForeignUpdate = vssExecForeignChange;
	routine->ExecForeignDelete = vssExecForeignChange;
	routine->EndForeignModify = vssEndForeignModify;
	routine->EndForeignInsert = vssEndForeignModify;
	routine->ExplainForeignModify = vssExplainForeignModify;

	/* modify/: as one statement */
	routine->PlanDirectModify = vssPlanDirectModify;
	routine->BeginDirectModify = vssBeginDirectModify;
	routine->IterateDirectModify = vssIterateDirectModify;
	routine->EndDirectModify = vssEndDirectModify;
	routine->ExplainDirectModify = vssExplainDirectModify;
	routine->ExecForeignTruncate = vssExecForeignTruncate;

	/* admin/ */
	routine->ImportForeignSchema = vssImportForeignSchema;

	PG_RETURN_POINTER(routine);
}
