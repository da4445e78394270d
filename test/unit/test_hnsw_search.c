/*
 * test_hnsw_search.c
 *		The cursor: order, completeness, resuming, filters, interrupts, work.
 */
#include "support.h"

#include "hnsw/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N 4000

typedef struct Fixture
{
	Set *set;
	Set *queries;
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
} Fixture;

static int
setup(void **state)
{
	Fixture *f = calloc(1, sizeof *f);

	f->set = set_clustered(N, 64, 71, 1);
	f->queries = set_clustered(20, 64, 71, 2);

	/* labels unlike node numbers, negative and large ones too */
	for (size_t i = 0; i < N; i++)
		f->set->labels[i] = (int64_t) (i * 1000003) - 5000000;
	f->builder = set_graph(f->set, 0, N, HNSW_COSINE, 12, 80);
	f->snapshot = set_snapshot(f->builder);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	Fixture *f = *state;

	hnsw_snapshot_close(f->snapshot);
	hnsw_builder_free(f->builder);
	set_free(f->queries);
	set_free(f->set);
	free(f);
	return 0;
}

static size_t
row_of(int64_t label)
{
	return (size_t) ((label + 5000000) / 1000003);
}

static HnswCursor *
begin_k(const HnswSnapshot *snapshot, const float *query, uint32_t k, const HnswSearchOptions *options)
{
	HnswCursor *cursor;
	HnswError err = {0};

	if (hnsw_search_begin(snapshot, query, k, options, &cursor, &err) != HNSW_OK)
		fail_msg("%s", err.message);
	return cursor;
}

static HnswCursor *
begin(const HnswSnapshot *snapshot, const float *query, const HnswSearchOptions *options)
{
	return begin_k(snapshot, query, 0, options);
}

/* Read a cursor to its end; every row in wanted comes once, no other, with the true distance. */
static void
read_all(const Fixture *f, HnswCursor *cursor, const float *query, const bool *wanted, size_t wanted_count)
{
	bool *seen = calloc(N, sizeof *seen);
	HnswStatus status;
	HnswHit hit;
	size_t n = 0;

	while ((status = hnsw_search_next(cursor, &hit)) == HNSW_OK)
	{
		size_t row = row_of(hit.label);

		assert_true(row < N && f->set->labels[row] == hit.label);
		assert_false(seen[row]);
		assert_true(wanted == NULL || wanted[row]);
		assert_true(hit.distance == hnsw_distance(HNSW_COSINE, query, set_vector(f->set, row), f->set->dim));
		seen[row] = true;
		n++;
	}
	assert_int_equal(status, HNSW_DONE);
	assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_DONE);
	assert_int_equal(n, wanted_count);
	free(seen);
}

static void
to_the_end_every_node_once(void **state)
{
	Fixture *f = *state;
	const uint32_t efs[] = {1, 10, 100, N - 1, N, 65536};

	for (size_t e = 0; e < sizeof efs / sizeof *efs; e++)
	{
		const float *query = set_vector(f->queries, e);
		HnswSearchOptions options = {.ef = efs[e]};
		HnswCursor *cursor = begin(f->snapshot, query, &options);
		HnswStats stats;

		read_all(f, cursor, query, NULL, N);
		hnsw_search_stats(cursor, &stats);
		assert_true(stats.exhausted);

		/* each node's two keys and distance at most once, but for the way down */
		assert_true(stats.distances_computed <= 3 * N + 400);
		hnsw_search_end(cursor);
	}
}

static void
first_ef_are_in_order(void **state)
{
	Fixture *f = *state;

	for (size_t q = 0; q < f->queries->count; q++)
	{
		HnswSearchOptions options = {.ef = 150};
		HnswCursor *cursor = begin(f->snapshot, set_vector(f->queries, q), &options);
		double last = -INFINITY;
		HnswHit hit;

		for (int i = 0; i < 150; i++)
		{
			assert_ok(hnsw_search_next(cursor, &hit));
			assert_true(hit.distance >= last);
			last = hit.distance;
		}
		hnsw_search_end(cursor);
	}
}

static void
going_on_computes_nothing_again(void **state)
{
	Fixture *f = *state;

	for (size_t q = 0; q < f->queries->count; q++)
	{
		HnswSearchOptions options = {.ef = 40};
		HnswCursor *cursor = begin(f->snapshot, set_vector(f->queries, q), &options);
		HnswStats at10;
		HnswStats at20;
		HnswHit hit;

		for (int i = 0; i < 10; i++)
			assert_ok(hnsw_search_next(cursor, &hit));
		hnsw_search_stats(cursor, &at10);
		for (int i = 0; i < 10; i++)
			assert_ok(hnsw_search_next(cursor, &hit));
		hnsw_search_stats(cursor, &at20);
		assert_int_equal(at20.nodes_visited, at10.nodes_visited);

		/* at most the vectors of the pool themselves, each once */
		assert_true(at20.distances_computed <= at10.distances_computed + 40);
		hnsw_search_end(cursor);
	}
}

/* Widened beyond ef, a search finds what a wider one would have found. */
static void
widening_keeps_recall(void **state)
{
	Fixture *f = *state;
	int found = 0;

	for (size_t q = 0; q < f->queries->count; q++)
	{
		const float *query = set_vector(f->queries, q);
		HnswSearchOptions options = {.ef = 20};
		HnswCursor *cursor = begin(f->snapshot, query, &options);
		double truth[100];
		HnswHit hit;
		HnswStats stats;

		exact_nearest(f->set, NULL, HNSW_COSINE, query, 100, truth);
		for (int i = 0; i < 120; i++)
		{
			assert_ok(hnsw_search_next(cursor, &hit));
			found += hit.distance <= truth[99];
		}
		hnsw_search_stats(cursor, &stats);
		assert_true(stats.distances_computed < 3 * N);
		hnsw_search_end(cursor);
	}
	assert_true(found >= 0.95 * 100 * (double) f->queries->count);
}

static void
cursor_is_used_again(void **state)
{
	Fixture *f = *state;
	HnswSearchOptions options = {.ef = 60};
	HnswCursor *cursor = begin(f->snapshot, set_vector(f->queries, 0), &options);
	HnswError err;
	HnswHit hit;

	for (int round = 0; round < 3; round++)
		for (size_t q = 0; q < f->queries->count; q++)
		{
			HnswHit want[30];
			HnswStats fresh;
			HnswStats again;

			assert_int_equal(set_search(f->snapshot, NULL, set_vector(f->queries, q), 30, 60, want, &fresh),
							 30);
			assert_ok(hnsw_search_again(cursor, set_vector(f->queries, q), 0, &err));
			for (int i = 0; i < 30; i++)
			{
				assert_ok(hnsw_search_next(cursor, &hit));
				assert_int_equal(hit.label, want[i].label);
				assert_true(hit.distance == want[i].distance);
			}
			hnsw_search_stats(cursor, &again);
			assert_memory_equal(&again, &fresh, sizeof again);
			if (round == 1)
				while (hnsw_search_next(cursor, &hit) == HNSW_OK)
					;
		}
	hnsw_search_end(cursor);
}

/* Read 150 results, the first k in order; the work that those took. */
static uint64_t
read_first(HnswCursor *cursor, uint32_t k, HnswHit *hits)
{
	HnswStats stats;

	for (uint32_t i = 0; i < 150; i++)
	{
		assert_ok(hnsw_search_next(cursor, &hits[i]));
		assert_true(i == 0 || i >= k || hits[i].distance >= hits[i - 1].distance);
		if (i + 1 == k)
			hnsw_search_stats(cursor, &stats);
	}
	return stats.distances_computed;
}

/* Who tells k gets the same results, the first k cheaper, and may read on. */
static void
knowing_k_only_saves_work(void **state)
{
	Fixture *f = *state;
	const uint32_t ks[] = {1, 10, 40, 150};
	HnswSearchOptions options = {.ef = 150};
	HnswError err;
	uint32_t compared = 0;
	uint32_t different = 0;

	for (size_t i = 0; i < sizeof ks / sizeof *ks; i++)
	{
		HnswCursor *cursor = begin(f->snapshot, set_vector(f->queries, 0), &options);
		uint64_t knowing = 0;
		uint64_t not_knowing = 0;
		HnswHit want[150];
		HnswHit hits[150];

		for (size_t q = 0; q < f->queries->count; q++)
		{
			assert_ok(hnsw_search_again(cursor, set_vector(f->queries, q), 0, &err));
			not_knowing += read_first(cursor, ks[i], want);
			assert_ok(hnsw_search_again(cursor, set_vector(f->queries, q), ks[i], &err));
			knowing += read_first(cursor, ks[i], hits);
			for (uint32_t j = 0; j < 150; j++, compared++)
				different += hits[j].label != want[j].label;
		}
		if (ks[i] == 150)
			assert_true(knowing <= not_knowing);
		else
			assert_true(knowing + (150 - 2 * ks[i]) * f->queries->count / 2 < not_knowing);
		assert_ok(hnsw_search_again(cursor, set_vector(f->queries, 0), ks[i], &err));
		read_all(f, cursor, set_vector(f->queries, 0), NULL, N);
		hnsw_search_end(cursor);
	}
	assert_true(different <= compared / 1000);
}

/* ---------- filters ---------- */

typedef struct Filter
{
	const bool *wanted;
	unsigned char *asked;
} Filter;

static bool
filter_admits(void *arg, int64_t label)
{
	Filter *filter = arg;
	size_t row = row_of(label);

	assert_int_equal(filter->asked[row], 0);
	filter->asked[row] = 1;
	return filter->wanted[row];
}

static void
filter_never_under_returns(void **state)
{
	Fixture *f = *state;
	const int shares[] = {1, 2, 10, 100, 1000, N};

	for (size_t s = 0; s < sizeof shares / sizeof *shares; s++)
	{
		bool *wanted = calloc(N, sizeof *wanted);
		unsigned char *asked = calloc(N, 1);
		bool *dead = calloc(N, sizeof *dead);
		Filter filter = {wanted, asked};
		HnswSearchOptions options = {.ef = 50, .admit = filter_admits, .admit_arg = &filter};
		size_t count = 0;
		int found = 0;
		int asked_for = 0;

		for (size_t i = 0; i < N; i++)
		{
			wanted[i] = i % (size_t) shares[s] == 0;
			dead[i] = !wanted[i];
			count += wanted[i];
		}
		for (size_t q = 0; q < f->queries->count; q++)
		{
			const float *query = set_vector(f->queries, q);
			uint32_t k = q % 2 * 10;
			HnswCursor *cursor;
			double truth[10];
			double last = -INFINITY;
			HnswHit hit;

			memset(asked, 0, N);
			cursor = begin_k(f->snapshot, query, k, &options);
			exact_nearest(f->set, dead, HNSW_COSINE, query, 10, truth);
			for (size_t i = 0; i < 10 && i < count; i++)
			{
				assert_ok(hnsw_search_next(cursor, &hit));
				assert_true(wanted[row_of(hit.label)]);
				assert_true(hit.distance >= last);
				last = hit.distance;
				found += hit.distance <= truth[9];
				asked_for++;
			}
			hnsw_search_end(cursor);

			memset(asked, 0, N);
			cursor = begin_k(f->snapshot, query, k, &options);
			read_all(f, cursor, query, wanted, count);
			hnsw_search_end(cursor);
		}
		if (found < 0.98 * asked_for)
			fail_msg("one in %d admitted: recall %.3f", shares[s], (double) found / asked_for);
		free(dead);
		free(asked);
		free(wanted);
	}
}

static bool
admits_nothing(void *arg, int64_t label)
{
	(void) arg;
	(void) label;
	return false;
}

static void
filter_that_admits_nothing(void **state)
{
	Fixture *f = *state;
	HnswSearchOptions options = {.ef = 10, .admit = admits_nothing};
	HnswCursor *cursor = begin(f->snapshot, set_vector(f->queries, 0), &options);
	HnswStats stats;
	HnswHit hit;

	assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_DONE);
	hnsw_search_stats(cursor, &stats);
	assert_int_equal(stats.rejected, N);
	hnsw_search_end(cursor);
}

/* ---------- interrupts ---------- */

typedef struct Countdown
{
	int calls;
	int stop_at;
} Countdown;

static bool
count_down(void *arg)
{
	Countdown *c = arg;

	return ++c->calls >= c->stop_at;
}

static void
interrupt_stops_everything(void **state)
{
	Fixture *f = *state;
	int interrupted_scans = 0;

	for (int stop_at = 1; stop_at < 12; stop_at++)
	{
		Countdown countdown = {0, stop_at};
		HnswSearchOptions options = {.ef = 30, .interrupted = count_down, .interrupt_arg = &countdown};
		HnswCursor *cursor = begin(f->snapshot, set_vector(f->queries, 0), &options);
		HnswStatus status;
		HnswStats stats;
		HnswHit hit;

		while ((status = hnsw_search_next(cursor, &hit)) == HNSW_OK)
			;
		assert_int_equal(status, HNSW_INTERRUPTED);
		assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_INTERRUPTED);
		hnsw_search_stats(cursor, &stats);

		/* asked often enough: no more than 512 distances between two questions */
		assert_true(stats.distances_computed <= (uint64_t) stop_at * 512 + 512);
		interrupted_scans += stats.exhausted;

		/* and the cursor is good for another search */
		countdown.stop_at = 1000000;
		assert_ok(hnsw_search_again(cursor, set_vector(f->queries, 1), 0, NULL));
		assert_ok(hnsw_search_next(cursor, &hit));
		hnsw_search_end(cursor);
	}
	assert_true(interrupted_scans > 0);
}

/* ---------- work ---------- */

static void
work_grows_like_the_logarithm(void **state)
{
	static const size_t sizes[] = {1000, 4000, 16000};
	double work[3];
	Set *set = set_clustered(16000, 48, 81, 1);
	Set *queries = set_clustered(100, 48, 81, 2);

	(void) state;
	for (int s = 0; s < 3; s++)
	{
		HnswBuilder *builder = set_graph(set, 0, sizes[s], HNSW_COSINE, 8, 60);
		HnswSnapshot *snapshot = set_snapshot(builder);
		uint64_t total = 0;
		HnswStats stats;
		HnswHit hits[10];

		for (size_t q = 0; q < queries->count; q++)
		{
			set_search(snapshot, set, set_vector(queries, q), 10, 32, hits, &stats);
			assert_false(stats.exhausted);
			total += stats.distances_computed;
		}
		work[s] = (double) total / (double) queries->count;
		hnsw_snapshot_close(snapshot);
		hnsw_builder_free(builder);
	}
	print_message("# distances a query at 1,000, 4,000, 16,000 nodes: %.0f, %.0f, %.0f\n", work[0], work[1],
				  work[2]);

	/* sixteen times the nodes; log 16000 / log 1000 is 1.4 */
	assert_true(work[2] / work[0] < 2);
	assert_true(work[2] < 16000 / 20);
	set_free(queries);
	set_free(set);
}

/* ---------- arguments, extremes, damage ---------- */

static void
bad_queries(void **state)
{
	Fixture *f = *state;
	float query[64] = {0};
	HnswSearchOptions options = {.ef = 10};
	HnswCursor *cursor;
	HnswError err;

	assert_int_equal(hnsw_search_begin(f->snapshot, query, 0, &options, &cursor, &err), HNSW_INVALID);
	assert_null(cursor);
	query[3] = NAN;
	assert_int_equal(hnsw_search_begin(f->snapshot, query, 0, &options, &cursor, &err), HNSW_INVALID);
	query[3] = -INFINITY;
	assert_int_equal(hnsw_search_begin(f->snapshot, query, 0, &options, &cursor, &err), HNSW_INVALID);
	query[3] = 1;
	options.ef = 0;
	assert_int_equal(hnsw_search_begin(f->snapshot, query, 0, &options, &cursor, &err), HNSW_INVALID);
	options.ef = HNSW_MAX_EF + 1;
	assert_int_equal(hnsw_search_begin(f->snapshot, query, 0, &options, &cursor, &err), HNSW_INVALID);
	options.ef = HNSW_MAX_EF;
	cursor = begin(f->snapshot, query, &options);
	assert_int_equal(hnsw_search_again(cursor, set_vector(f->queries, 0), 0, &err), HNSW_OK);
	hnsw_search_end(cursor);
}

/* Numbers at the edges of float32 neither break order nor completeness. */
static void
extreme_numbers(void **state)
{
	static const float scales[] = {1e38f, 1e30f, 1e19f, 1, 1e-19f, 1e-30f, 1e-44f};
	const size_t n = 700;

	(void) state;
	for (HnswMetric metric = HNSW_COSINE; metric <= HNSW_IP; metric++)
		for (uint32_t dim = 8; dim <= 40; dim += 32)
		{
			Set *set = set_normal(n, dim, 5);
			HnswBuilder *builder;
			HnswSnapshot *snapshot;
			HnswHit *hits = malloc(n * sizeof *hits);

			for (size_t i = 0; i < n; i++)
				for (uint32_t d = 0; d < dim; d++)
				{
					float *x = &set_vector(set, i)[d];

					*x = fmaxf(-3, fminf(3, *x)) * scales[i % 7];
					if (d == 0 && *x == 0)
						*x = 1e-44f;
				}
			builder = set_graph(set, 0, n, metric, 8, 40);
			snapshot = set_snapshot(builder);
			for (size_t q = 0; q < 14; q++)
			{
				/* set_search checks the order of the first ef */
				assert_int_equal(set_search(snapshot, set, set_vector(set, q), 60, 60, hits, NULL), 60);
				assert_int_equal(set_search(snapshot, set, set_vector(set, q), (int) n, 30, hits, NULL), n);
			}
			free(hits);
			hnsw_snapshot_close(snapshot);
			hnsw_builder_free(builder);
			set_free(set);
		}
}

/*
 * Content that passes every checksum and is nonsense: links at random, out of
 * range, to oneself, repeated; vectors of any bits.  No crash, no endless
 * search; a verdict or results.
 */
static void
hostile_content(void **state)
{
	Fixture *f = *state;
	const HnswHeader *h = &f->snapshot->header;
	size_t words = (f->snapshot->size - h->section_offset[HNSW_LINKS0]) / sizeof(uint32_t);
	uint8_t *copy = malloc(f->snapshot->size);
	size_t blocks = f->snapshot->size / HNSW_BLOCK + 1;
	size_t bits = (blocks + 63) / 64;
	_Atomic uint64_t *verified = malloc(bits * sizeof *verified);
	int corrupt = 0;
	Random r = {9};

	for (int round = 0; round < 60; round++)
	{
		HnswSnapshot hostile = *f->snapshot;
		HnswSearchOptions options = {.ef = 20};
		HnswCursor *cursor;
		HnswStatus status;
		HnswHit hit;
		size_t n = 0;

		memcpy(copy, f->snapshot->base, f->snapshot->size);
		for (size_t i = 0; i < bits; i++)
			atomic_init(&verified[i], UINT64_MAX);
		for (int i = 0; i < 1 << (round % 12); i++)
		{
			size_t at = random_bits(&r) % words;
			uint32_t values[] = {
				0, 1, HNSW_NO_NODE, N, N - 1, (uint32_t) (random_bits(&r) % N), (uint32_t) random_bits(&r)};

			memcpy(copy + h->section_offset[HNSW_LINKS0] + at * sizeof(uint32_t),
				   &values[random_bits(&r) % 7], sizeof(uint32_t));
		}
		hostile.base = copy;
		hostile.verified = verified;
		atomic_init(&hostile.corrupt, false);
		for (int s = 0; s < HNSW_SECTIONS; s++)
			hostile.section[s] = copy + h->section_offset[s];
		cursor = begin(&hostile, set_vector(f->queries, (size_t) round % f->queries->count), &options);
		while ((status = hnsw_search_next(cursor, &hit)) == HNSW_OK)
			assert_true(++n <= N);
		assert_true(status == HNSW_DONE || status == HNSW_CORRUPT);
		if (status == HNSW_CORRUPT)
		{
			assert_true(hnsw_snapshot_is_corrupt(&hostile));
			corrupt++;
		}
		hnsw_search_end(cursor);
	}
	assert_true(corrupt > 0 && corrupt < 60);
	free((void *) verified);
	free(copy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_the_end_every_node_once),
		cmocka_unit_test(first_ef_are_in_order),
		cmocka_unit_test(going_on_computes_nothing_again),
		cmocka_unit_test(widening_keeps_recall),
		cmocka_unit_test(cursor_is_used_again),
		cmocka_unit_test(knowing_k_only_saves_work),
		cmocka_unit_test(filter_never_under_returns),
		cmocka_unit_test(filter_that_admits_nothing),
		cmocka_unit_test(interrupt_stops_everything),
		cmocka_unit_test(work_grows_like_the_logarithm),
		cmocka_unit_test(bad_queries),
		cmocka_unit_test(extreme_numbers),
		cmocka_unit_test(hostile_content),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
