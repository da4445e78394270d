/*
 * support.c
 *		See support.h.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

double
load_factor(void)
{
	double load;

	if (getloadavg(&load, 1) != 1)
		return 1;
	load /= (double) sysconf(_SC_NPROCESSORS_ONLN);
	return load > 1 ? load : 1;
}

uint64_t
random_bits(Random *r)
{
	uint64_t x = r->state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

double
random_unit(Random *r)
{
	return (double) (random_bits(r) >> 11) / 9007199254740992.0;
}

double
random_normal(Random *r)
{
	double u = 1 - random_unit(r);

	return sqrt(-2 * log(u)) * cos(2 * M_PI * random_unit(r));
}

static Set *
set_new(size_t count, uint32_t dim)
{
	Set *set = calloc(1, sizeof *set);

	set->dim = dim;
	set->count = count;
	set->vectors = malloc((count > 0 ? count : 1) * dim * sizeof *set->vectors);
	set->labels = malloc((count > 0 ? count : 1) * sizeof *set->labels);
	for (size_t i = 0; i < count; i++)
		set->labels[i] = (int64_t) i + 1;
	return set;
}

Set *
set_normal(size_t count, uint32_t dim, uint64_t seed)
{
	Set *set = set_new(count, dim);
	Random r = {seed};

	for (size_t i = 0; i < count * dim; i++)
		set->vectors[i] = (float) random_normal(&r);
	return set;
}

#define LATENT 12
#define CENTRES 32

Set *
set_clustered(size_t count, uint32_t dim, uint64_t shape, uint64_t seed)
{
	Set *set = set_new(count, dim);
	Random fixed = {shape};
	Random r = {seed};
	double *map = malloc(LATENT * dim * sizeof *map);
	double centre[CENTRES][LATENT];

	for (int i = 0; i < CENTRES * LATENT; i++)
		centre[i / LATENT][i % LATENT] = random_normal(&fixed);
	for (size_t i = 0; i < LATENT * (size_t) dim; i++)
		map[i] = random_normal(&fixed);
	for (size_t i = 0; i < count; i++)
	{
		const double *c = centre[random_bits(&r) % CENTRES];
		double z[LATENT];

		for (int j = 0; j < LATENT; j++)
			z[j] = tanh(c[j] + 0.6 * random_normal(&r));
		for (uint32_t d = 0; d < dim; d++)
		{
			double x = 0.1 * random_normal(&r);

			for (int j = 0; j < LATENT; j++)
				x += z[j] * map[j * (size_t) dim + d];
			set_vector(set, i)[d] = (float) x;
		}
	}
	free(map);
	return set;
}

void
set_free(Set *set)
{
	free(set->vectors);
	free(set->labels);
	free(set);
}

HnswBuilder *
set_graph(const Set *set, size_t first, size_t count, HnswMetric metric, uint32_t m, uint32_t ef)
{
	HnswParams params = {.dim = set->dim, .metric = metric, .m = m, .ef_construction = ef, .seed = 7};
	HnswTask one = {.threads = 1};
	HnswBuilder *builder;
	HnswError err = {0};

	if (hnsw_builder_create(&params, count, &builder, &err) != HNSW_OK ||
		hnsw_builder_add_many(builder, count, set->labels + first, set_vector(set, first), &one, &err) !=
			HNSW_OK)
		fail_msg("set_graph: %s", err.message);
	return builder;
}

static bool
print_finding(void *arg, const char *finding)
{
	(void) arg;
	print_error("finding: %s\n", finding);
	return true;
}

uint64_t
set_problems(const HnswSnapshot *snapshot)
{
	uint64_t problems = 0;

	assert_ok(hnsw_snapshot_check(snapshot, NULL, print_finding, NULL, &problems));
	return problems;
}

HnswSnapshot *
set_snapshot(HnswBuilder *builder)
{
	HnswWriteOptions options = {.mode = -1, .group = -1};
	HnswSnapshot *snapshot;
	HnswError err = {0};

	if (hnsw_builder_snapshot(builder, &options, &snapshot, &err) != HNSW_OK)
		fail_msg("set_snapshot: %s", err.message);
	assert_int_equal(set_problems(snapshot), 0);
	return snapshot;
}

static int
compare_doubles(const void *x, const void *y)
{
	double a = *(const double *) x;
	double b = *(const double *) y;

	return a < b ? -1 : a > b;
}

void
exact_nearest(const Set *set, const bool *dead, HnswMetric metric, const float *query, int k, double *out)
{
	double *all = malloc((set->count + (size_t) k) * sizeof *all);
	size_t n = 0;

	for (size_t i = 0; i < set->count; i++)
		if (dead == NULL || !dead[i])
			all[n++] = hnsw_distance(metric, query, set_vector(set, i), set->dim);
	qsort(all, n, sizeof *all, compare_doubles);
	for (int i = 0; i < k; i++)
		out[i] = (size_t) i < n ? all[i] : INFINITY;
	free(all);
}

int
set_search_as(const HnswSnapshot *snapshot, const Set *set, const float *query, int k,
			  const HnswSearchOptions *options, HnswHit *hits, HnswStats *stats)
{
	uint32_t sorted = options->margin > 0 ? (uint32_t) k : options->ef;
	HnswMetric metric = hnsw_snapshot_info(snapshot)->params.metric;
	HnswCursor *cursor;
	HnswError err = {0};
	HnswStatus status = HNSW_OK;
	int n = 0;

	if (hnsw_search_begin(snapshot, query, options->margin > 0 ? (uint32_t) k : 0, options, &cursor, &err) !=
		HNSW_OK)
		fail_msg("set_search: %s", err.message);
	while (n < k && (status = hnsw_search_next(cursor, &hits[n])) == HNSW_OK)
	{
		if (set != NULL)
			assert_true(hits[n].distance ==
						hnsw_distance(metric, query, set_vector(set, (size_t) hits[n].label - 1), set->dim));
		if (n > 0 && (uint32_t) n < sorted)
			assert_true(hits[n - 1].distance <= hits[n].distance);
		n++;
	}
	if (n < k)
		assert_int_equal(status, HNSW_DONE);
	if (stats != NULL)
		hnsw_search_stats(cursor, stats);
	hnsw_search_end(cursor);
	return n;
}

int
set_search(const HnswSnapshot *snapshot, const Set *set, const float *query, int k, uint32_t ef,
		   HnswHit *hits, HnswStats *stats)
{
	return set_search_as(snapshot, set, query, k, &(HnswSearchOptions){.ef = ef}, hits, stats);
}

double
set_recall_as(const HnswSnapshot *snapshot, const Set *set, const bool *dead, const Set *queries, int k,
			  const HnswSearchOptions *options, HnswStats *total)
{
	HnswMetric metric = hnsw_snapshot_info(snapshot)->params.metric;
	double *truth = malloc((size_t) k * sizeof *truth);
	HnswHit *hits = malloc((size_t) k * sizeof *hits);
	size_t found = 0;

	if (total != NULL)
		memset(total, 0, sizeof *total);
	for (size_t q = 0; q < queries->count; q++)
	{
		const float *query = set_vector(queries, q);
		HnswStats stats;
		int n = set_search_as(snapshot, set, query, k, options, hits, &stats);

		exact_nearest(set, dead, metric, query, k, truth);
		for (int i = 0; i < n; i++)
			found += hits[i].distance <= truth[k - 1];
		if (total != NULL)
		{
			total->nodes_visited += stats.nodes_visited;
			total->distances_computed += stats.distances_computed;
		}
	}
	free(truth);
	free(hits);
	return (double) found / ((double) k * (double) queries->count);
}

double
set_recall(const HnswSnapshot *snapshot, const Set *set, const bool *dead, const Set *queries, int k,
		   uint32_t ef, HnswStats *total)
{
	return set_recall_as(snapshot, set, dead, queries, k, &(HnswSearchOptions){.ef = ef}, total);
}
