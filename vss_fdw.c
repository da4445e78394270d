/*
 * vss_fdw.c
 *		Entry points of the foreign-data wrapper: module initialisation,
 *		settings and the handler.
 *
 * What each callback does is told in the file that implements it; see
 * fdw/fdw.h and fdw/planner.h.
 */
#include "postgres.h"

#include <limits.h>

#include "foreign/fdwapi.h"
#include "utils/guc.h"

#include "fdw/fdw.h"
#include "fdw/modify/modify.h"
#include "fdw/admin/worker.h"

PG_MODULE_MAGIC;

int vssfdw_ef_search = 0;
int vssfdw_knn_strategy = VSS_STRATEGY_AUTO;
bool vssfdw_auto_merge = true;
int vssfdw_merge_workers = 2;
int vssfdw_merge_threads = 2;

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
	MarkGUCPrefixReserved("vss_fdw");
}

VSS_SQL_FUNCTION(vss_fdw_handler);

Datum
vss_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->ImportForeignSchema = vssImportForeignSchema;
	vssfdw_read_routine(routine);
	vssfdw_modify_routine(routine);

	PG_RETURN_POINTER(routine);
}
