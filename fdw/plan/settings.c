/*
 * settings.c
 *		What a user says of searches for one session: vss_fdw.ef_search and
 *		vss_fdw.knn_strategy (vss_fdw.c registers them).
 */
#include "fdw/plan/plan.h"

int vssfdw_ef_search = 0;
int vssfdw_knn_strategy = VSS_STRATEGY_AUTO;

const char *
vssfdw_strategy_name(int strategy)
{
	switch ((VssStrategy) strategy)
	{
		case VSS_STRATEGY_AUTO:
			return "auto";
		case VSS_STRATEGY_GRAPH:
			return "graph";
		case VSS_STRATEGY_PREFILTER:
			return "prefilter";
		case VSS_STRATEGY_EXACT:
			return "exact";
	}
	return "unknown";
}
