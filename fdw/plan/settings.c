/*
 * settings.c
 *		What a user says of searches for one session: vss_fdw.ef_search and
 *		vss_fdw.knn_strategy (vss_fdw.c registers them), and pgvector's
 *		hnsw.ef_search.
 */
#include "fdw/plan/plan.h"

#include "utils/guc.h"

/* What pgvector's setting is when nobody has set it. */
#define PGVECTOR_EF_SEARCH 40

int vssfdw_ef_search = 0;
int vssfdw_knn_strategy = VSS_STRATEGY_AUTO;

int
vssfdw_asked_ef(void)
{
	const char *text;
	char *end;
	long ef;

	if (vssfdw_ef_search > 0)
		return vssfdw_ef_search;
	/* pgvector may be loaded or not: without it the text is whatever a session says */
	text = GetConfigOption("hnsw.ef_search", true, false);
	if (text == NULL)
		return 0;
	errno = 0;
	ef = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || ef < 1 || ef > VSS_MAX_EF || ef == PGVECTOR_EF_SEARCH)
		return 0;
	return (int) ef;
}

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
