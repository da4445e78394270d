/*
 * defaults.c
 *		What a user gets who sets nothing, as the product itself defines it: an
 *		ef_search that is measured on the graph.
 */
#include "hnsw/hnsw.h"

#include <stdio.h>
#include <stdlib.h>

uint32_t bench_default_ef(const char *graph);

uint32_t
bench_default_ef(const char *graph)
{
	HnswSnapshot *snapshot;
	HnswError err;
	uint32_t ef;

	if (hnsw_snapshot_open(graph, &snapshot, &err) != HNSW_OK ||
		hnsw_snapshot_tune(snapshot, NULL, &ef, &err) != HNSW_OK)
	{
		fprintf(stderr, "%s: %s\n", graph, err.message);
		exit(1);
	}
	hnsw_snapshot_close(snapshot);
	return ef;
}
