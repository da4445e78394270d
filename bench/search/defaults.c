/*
 * defaults.c
 *		What a user gets who sets nothing, as the product itself defines it: a
 *		margin that is measured on the graph.
 */
#include "hnsw/hnsw.h"

#include <stdio.h>
#include <stdlib.h>

float bench_default_margin(const char *graph);

float
bench_default_margin(const char *graph)
{
	HnswSnapshot *snapshot;
	HnswError err;
	HnswTuned tuned;

	if (hnsw_snapshot_open(graph, &snapshot, &err) != HNSW_OK ||
		hnsw_snapshot_tune(snapshot, 0.97, NULL, NULL, &tuned, &err) != HNSW_OK)
	{
		fprintf(stderr, "%s: %s\n", graph, err.message);
		exit(1);
	}
	hnsw_snapshot_close(snapshot);
	return tuned.margin;
}
