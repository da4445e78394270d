/*
 * test_hnsw_stages.c
 *		Searches that stop when they are sure: recall for every k, stream and
 *		filter with one margin; order, completeness, work.
 */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N 8000
#define DIM 48
#define QUERIES 40
#define MOST 1000

typedef struct Fixture
{
	Set *set;
	Set *queries;
	HnswBuilder *builder[3]; /* by metric */
	HnswSnapshot *snapshot[3];
	HnswTuned tuned[3];
} Fixture;

static const HnswMetric metrics[] = {HNSW_COSINE, HNSW_L2, HNSW_IP};

static int
setup(void **state)
{
	static Fixture f;
	HnswError err;

	f.set = set_clustered(N, DIM, 71, 1);
	f.queries = set_clustered(QUERIES, DIM, 71, 2);
	for (int i = 0; i < 3; i++)
	{
		f.builder[i] = set_graph(f.set, 0, N, metrics[i], 16, 100);
		f.snapshot[i] = set_snapshot(f.builder[i]);
		assert_ok(hnsw_snapshot_tune(f.snapshot[i], 0.97, NULL, NULL, &f.tuned[i], &err));
	}
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	Fixture *f = *state;

	for (int i = 0; i < 3; i++)
	{
		hnsw_snapshot_close(f->snapshot[i]);
		hnsw_builder_free(f->builder[i]);
	}
	set_free(f->queries);
	set_free(f->set);
	return 0;
}

static HnswCursor *
begin(const HnswSnapshot *snapshot, const float *query, uint32_t k, const HnswSearchOptions *options)
{
	HnswCursor *cursor;
	HnswError err = {0};

	if (hnsw_search_begin(snapshot, query, k, options, &cursor, &err) != HNSW_OK)
		fail_msg("%s", err.message);
	return cursor;
}

/* ---------- filters ---------- */

/* Which rows a filter admits, and how often it was asked of each. */
typedef struct Filter
{
	const bool *wanted;
	unsigned char asked[N];
} Filter;

static bool
admits(void *arg, int64_t label)
{
	Filter *filter = arg;

	assert_int_equal(filter->asked[label - 1], 0);
	filter->asked[label - 1] = 1;
	return filter->wanted[label - 1];
}

/* Rows by a condition that has to do with the distance: the nearer half of these clusters only, or the farther. */
static size_t
choose(const Fixture *f, int one_in, int kind, const float *query, bool *wanted, bool *dead)
{
	size_t count = 0;
	double middle[N];

	if (kind != 0)
		exact_nearest(f->set, NULL, HNSW_COSINE, query, N, middle);
	for (size_t i = 0; i < N; i++)
	{
		double d = kind == 0 ? 0 : hnsw_distance(HNSW_COSINE, query, set_vector(f->set, i), DIM);
		bool side = kind == 0 || (kind < 0 ? d > middle[N / 4] : d < middle[N / 4]);

		wanted[i] = side && i % (size_t) one_in == 0;
		dead[i] = !wanted[i];
		count += wanted[i];
	}
	return count;
}

/* Share of the k nearest among the wanted that come, masked by the search or by its caller. */
static double
filtered_recall(const Fixture *f, int one_in, int kind, int k, bool stream)
{
	static bool wanted[N];
	static bool dead[N];
	static Filter filter;
	HnswSearchOptions options = {
		.margin = f->tuned[0].margin, .admit = stream ? NULL : admits, .admit_arg = &filter};
	double found = 0;
	double asked = 0;

	filter.wanted = wanted;
	for (size_t q = 0; q < QUERIES; q++)
	{
		const float *query = set_vector(f->queries, q);
		size_t count = choose(f, one_in, kind, query, wanted, dead);
		size_t expected = count < (size_t) k ? count : (size_t) k;
		double truth[MOST];
		HnswCursor *cursor = begin(f->snapshot[0], query, stream ? 0 : (uint32_t) k, &options);
		HnswHit hit;
		double last = -INFINITY;

		memset(filter.asked, 0, sizeof filter.asked);
		exact_nearest(f->set, dead, HNSW_COSINE, query, k, truth);
		for (size_t got = 0; got < expected;)
		{
			assert_ok(hnsw_search_next(cursor, &hit)); /* never fewer than there are */
			if (!wanted[hit.label - 1])
			{
				assert_true(stream);
				continue;
			}
			if (!stream)
				assert_true(hit.distance >= last);
			last = hit.distance;
			found += hit.distance <= truth[expected - 1];
			got++;
		}
		asked += (double) expected;
		hnsw_search_end(cursor);
	}
	return found / asked;
}

static void
filters_keep_the_recall(void **state)
{
	Fixture *f = *state;
	const int shares[] = {1, 2, 10, 100, 1000, N};

	for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
		for (int kind = -1; kind <= 1; kind++)
			for (int stream = 0; stream < 2; stream++)
			{
				double recall = filtered_recall(f, shares[i], kind, 10, stream);

				if (recall < 0.97)
					fail_msg("one in %d, kind %d, %s: recall %.3f", shares[i], kind,
							 stream ? "streamed" : "masked", recall);
			}
}

static bool
admits_nothing(void *arg, int64_t label)
{
	++*(int *) arg;
	(void) label;
	return false;
}

static void
a_filter_that_admits_nothing_is_asked_of_all(void **state)
{
	Fixture *f = *state;
	int asked = 0;
	HnswSearchOptions options = {.margin = 0.2F, .admit = admits_nothing, .admit_arg = &asked};
	HnswCursor *cursor = begin(f->snapshot[0], set_vector(f->queries, 0), 10, &options);
	HnswHit hit;

	assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_DONE);
	assert_int_equal(asked, N);
	assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_DONE);
	hnsw_search_end(cursor);
}

/* ---------- every k, every metric ---------- */

static void
one_margin_serves_every_k(void **state)
{
	Fixture *f = *state;
	const int ks[] = {1, 10, 100, MOST};

	for (int i = 0; i < 3; i++)
		for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
		{
			HnswSearchOptions options = {.margin = f->tuned[i].margin};
			double recall = set_recall_as(f->snapshot[i], f->set, NULL, f->queries, ks[j], &options, NULL);

			if (recall < 0.97)
				fail_msg("metric %d, k %d, margin %.2f: recall %.3f", i, ks[j], (double) options.margin,
						 recall);
		}
}

/* Pages: those who read on find at every depth what a search for as many would have found. */
static void
streams_keep_the_recall(void **state)
{
	Fixture *f = *state;

	for (int i = 0; i < 3; i++)
	{
		HnswSearchOptions options = {.margin = f->tuned[i].margin};
		int found[4] = {0};
		int late = 0;

		for (size_t q = 0; q < QUERIES; q++)
		{
			const float *query = set_vector(f->queries, q);
			HnswCursor *cursor = begin(f->snapshot[i], query, 0, &options);
			double truth[MOST];
			double last = -INFINITY;
			HnswHit hit;

			exact_nearest(f->set, NULL, metrics[i], query, MOST, truth);
			for (int n = 1; n <= MOST; n++)
			{
				assert_ok(hnsw_search_next(cursor, &hit));
				found[0] += n <= 10 && hit.distance <= truth[9];
				found[1] += n <= 40 && hit.distance <= truth[39];
				found[2] += n <= 200 && hit.distance <= truth[199];
				found[3] += hit.distance <= truth[MOST - 1];
				late += hit.distance < last;
				last = hit.distance;
			}
			hnsw_search_end(cursor);
		}
		assert_true(found[0] >= 0.97 * 10 * QUERIES);
		assert_true(found[1] >= 0.97 * 40 * QUERIES);
		assert_true(found[2] >= 0.97 * 200 * QUERIES);
		assert_true(found[3] >= 0.97 * MOST * QUERIES);
		assert_true(late <= MOST * QUERIES / 500);
	}
}

/* ---------- completeness and work ---------- */

static void
to_the_end_every_node_once(void **state)
{
	Fixture *f = *state;
	const float margins[] = {0.01F, 0.2F, 1, 16};
	const uint32_t ks[] = {0, 1, 10, 500, N, 2 * N};

	for (int i = 0; i < 3; i++)
		for (size_t m = 0; m < sizeof margins / sizeof *margins; m++)
			for (size_t j = 0; j < sizeof ks / sizeof *ks; j++)
			{
				const float *query = set_vector(f->queries, j);
				HnswSearchOptions options = {.margin = margins[m]};
				HnswCursor *cursor = begin(f->snapshot[i], query, ks[j], &options);
				bool *seen = calloc(N, sizeof *seen);
				size_t n = 0;
				HnswStatus status;
				HnswStats stats;
				HnswHit hit;

				while ((status = hnsw_search_next(cursor, &hit)) == HNSW_OK)
				{
					size_t row = (size_t) hit.label - 1;

					assert_true(row < N && !seen[row]);
					assert_true(hit.distance ==
								hnsw_distance(metrics[i], query, set_vector(f->set, row), DIM));
					seen[row] = true;
					n++;
				}
				assert_int_equal(status, HNSW_DONE);
				assert_int_equal(n, N);
				hnsw_search_stats(cursor, &stats);

				/* each node's two keys and distance at most once, but for the way down */
				assert_true(stats.distances_computed <= 3 * N + 400);
				free(seen);
				hnsw_search_end(cursor);
			}
}

/* A cursor that is used again does what a new one does, after whatever it did before. */
static void
cursor_is_used_again(void **state)
{
	Fixture *f = *state;
	HnswSearchOptions options = {.margin = 0.2F};
	HnswCursor *cursor = begin(f->snapshot[0], set_vector(f->queries, 0), 0, &options);
	HnswError err;
	HnswHit hit;

	for (size_t q = 0; q < QUERIES; q++)
	{
		uint32_t k = q % 3 * 15;
		HnswCursor *fresh = begin(f->snapshot[0], set_vector(f->queries, q), k, &options);
		HnswStats a;
		HnswStats b;
		HnswHit want;

		assert_ok(hnsw_search_again(cursor, set_vector(f->queries, q), k, &err));
		for (int i = 0; i < 60; i++)
		{
			assert_ok(hnsw_search_next(cursor, &hit));
			assert_ok(hnsw_search_next(fresh, &want));
			assert_int_equal(hit.label, want.label);
		}
		hnsw_search_stats(cursor, &a);
		hnsw_search_stats(fresh, &b);
		assert_memory_equal(&a, &b, sizeof a);
		hnsw_search_end(fresh);
		if (q % 7 == 0)
			while (hnsw_search_next(cursor, &hit) == HNSW_OK)
				;
	}
	hnsw_search_end(cursor);
}

/* Nor does it remember what a filter let through before. */
static void
filtered_cursor_is_used_again(void **state)
{
	Fixture *f = *state;
	static bool wanted[N];
	static Filter filter;
	HnswSearchOptions options = {.margin = 0.2F, .admit = admits, .admit_arg = &filter};
	HnswCursor *cursor = begin(f->snapshot[0], set_vector(f->queries, 0), 10, &options);
	HnswError err;

	filter.wanted = wanted;
	for (size_t q = 0; q < QUERIES; q++)
	{
		HnswCursor *fresh = begin(f->snapshot[0], set_vector(f->queries, q), 10, &options);
		HnswStats stats[2];
		HnswHit hit;

		/* nearly nothing, then nearly all */
		for (size_t i = 0; i < N; i++)
			wanted[i] = (i % 1000 == 0) == (q % 2 == 0);
		assert_ok(hnsw_search_again(cursor, set_vector(f->queries, q), 10, &err));
		for (int which = 0; which < 2; which++)
		{
			HnswCursor *c = which == 0 ? cursor : fresh;

			memset(filter.asked, 0, sizeof filter.asked);
			for (int i = 0; i < 5; i++)
				assert_ok(hnsw_search_next(c, &hit));
			hnsw_search_stats(c, &stats[which]);
		}
		assert_memory_equal(&stats[0], &stats[1], sizeof stats[0]);
		hnsw_search_end(fresh);
	}
	hnsw_search_end(cursor);
}

/* What is far from everything is searched for longer than what has neighbours. */
static void
hard_questions_get_more_work(void **state)
{
	Fixture *f = *state;
	HnswSearchOptions options = {.margin = 0.2F};
	Set *far = set_normal(QUERIES, DIM, 9);
	HnswStats easy;
	HnswStats hard;

	set_recall_as(f->snapshot[0], f->set, NULL, f->queries, 10, &options, &easy);
	set_recall_as(f->snapshot[0], f->set, NULL, far, 10, &options, &hard);
	assert_true(hard.nodes_visited > 2 * easy.nodes_visited);
	set_free(far);
}

typedef struct Countdown
{
	int calls;
	int stop_at;
} Countdown;

static bool
count_down(void *arg)
{
	Countdown *c = arg;

	return ++c->calls == c->stop_at;
}

static void
it_can_be_stopped_at_any_time(void **state)
{
	Fixture *f = *state;
	bool *wanted = calloc(N, sizeof *wanted);
	Filter *filter = calloc(1, sizeof *filter);

	filter->wanted = wanted; /* nothing: the whole graph is gone through */
	for (int at = 1; at <= 20; at++)
	{
		Countdown countdown = {0, at};
		HnswSearchOptions options = {.margin = 0.3F,
									 .admit = admits,
									 .admit_arg = filter,
									 .interrupted = count_down,
									 .interrupt_arg = &countdown};
		HnswCursor *cursor = begin(f->snapshot[0], set_vector(f->queries, 1), 10, &options);
		HnswHit hit;

		memset(filter->asked, 0, sizeof filter->asked);
		assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_INTERRUPTED);
		assert_int_equal(countdown.calls, at);
		assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_INTERRUPTED);
		assert_int_equal(countdown.calls, at);
		hnsw_search_end(cursor);
	}
	free(filter);
	free(wanted);
}

static void
wrong_margins_are_refused(void **state)
{
	Fixture *f = *state;
	const float wrong[] = {-0.1F, 17, NAN, INFINITY};
	HnswCursor *cursor;
	HnswError err;

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
	{
		HnswSearchOptions options = {.ef = 10, .margin = wrong[i]};

		assert_int_equal(
			hnsw_search_begin(f->snapshot[0], set_vector(f->queries, 0), 0, &options, &cursor, &err),
			HNSW_INVALID);
		assert_non_null(strstr(err.message, "margin"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_keep_the_recall),
		cmocka_unit_test(a_filter_that_admits_nothing_is_asked_of_all),
		cmocka_unit_test(one_margin_serves_every_k),
		cmocka_unit_test(streams_keep_the_recall),
		cmocka_unit_test(to_the_end_every_node_once),
		cmocka_unit_test(cursor_is_used_again),
		cmocka_unit_test(filtered_cursor_is_used_again),
		cmocka_unit_test(hard_questions_get_more_work),
		cmocka_unit_test(it_can_be_stopped_at_any_time),
		cmocka_unit_test(wrong_margins_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
