/*
 * test_hnsw_tune.c
 *		The margin that is measured for a graph, against queries it has never seen.
 */
#include "support.h"

#include <math.h>

#define K 10
#define TARGET 0.97
#define N 8000
#define QUERIES 200

typedef struct Fixture
{
	Set *easy_set, *easy_queries; /* clusters on a surface of few dimensions */
	Set *hard_set, *hard_queries; /* no structure at all */
	HnswBuilder *easy_builder, *hard_builder;
	HnswSnapshot *easy, *hard;
} Fixture;

static int
setup(void **state)
{
	static Fixture f;

	f.easy_set = set_clustered(N, 48, 5, 1);
	f.easy_queries = set_clustered(QUERIES, 48, 5, 2);
	f.easy_builder = set_graph(f.easy_set, 0, N, HNSW_COSINE, 16, 100);
	f.easy = set_snapshot(f.easy_builder);
	f.hard_set = set_normal(N, 32, 3);
	f.hard_queries = set_normal(QUERIES, 32, 4);
	f.hard_builder = set_graph(f.hard_set, 0, N, HNSW_L2, 8, 60);
	f.hard = set_snapshot(f.hard_builder);
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	Fixture *f = *state;

	hnsw_snapshot_close(f->easy);
	hnsw_snapshot_close(f->hard);
	hnsw_builder_free(f->easy_builder);
	hnsw_builder_free(f->hard_builder);
	set_free(f->easy_set);
	set_free(f->easy_queries);
	set_free(f->hard_set);
	set_free(f->hard_queries);
	return 0;
}

static HnswTuned
tuned(const HnswSnapshot *snapshot)
{
	HnswError err;
	HnswTuned out;

	assert_ok(hnsw_snapshot_tune(snapshot, TARGET, NULL, NULL, &out, &err));
	assert_string_equal(err.message, "");
	return out;
}

static double
recall_with(const HnswSnapshot *snapshot, const Set *set, const Set *queries, float margin, HnswStats *stats)
{
	return set_recall_as(snapshot, set, NULL, queries, K, &(HnswSearchOptions){.margin = margin}, stats);
}

static void
hard_data_get_more_and_reach_the_recall(void **state)
{
	Fixture *f = *state;
	HnswTuned t = tuned(f->hard);
	HnswStats stats;
	double least = recall_with(f->hard, f->hard_set, f->hard_queries, 0.12F, NULL);
	double most = recall_with(f->hard, f->hard_set, f->hard_queries, t.margin, &stats);

	print_message("# hard: %.2f, recall %.4f, %.4f at 0.12\n", (double) t.margin, most, least);
	assert_true(least < TARGET - 0.01); /* or this data would show nothing */
	assert_true(t.margin > 0.12F && t.margin < 1);
	assert_true(most >= TARGET);
	/* and no more than it takes */
	assert_true(recall_with(f->hard, f->hard_set, f->hard_queries, t.margin / 2, NULL) < TARGET + 0.01);
	/* what a search costs is told, too */
	assert_in_range(t.visits, stats.nodes_visited / QUERIES / 2, stats.nodes_visited / QUERIES * 2);
}

static void
easy_data_stay_near_the_least(void **state)
{
	Fixture *f = *state;
	HnswTuned t = tuned(f->easy);
	double recall = recall_with(f->easy, f->easy_set, f->easy_queries, t.margin, NULL);

	print_message("# easy: recall %.4f at %.2f\n", recall, (double) t.margin);
	assert_true(recall >= TARGET);
	assert_true(t.margin < tuned(f->hard).margin || t.visits < tuned(f->hard).visits);
}

static void
more_recall_may_be_asked_for(void **state)
{
	Fixture *f = *state;
	HnswTuned low;
	HnswTuned high;
	HnswError err;

	assert_ok(hnsw_snapshot_tune(f->hard, 0.90, NULL, NULL, &low, &err));
	assert_ok(hnsw_snapshot_tune(f->hard, 0.995, NULL, NULL, &high, &err));
	assert_true(low.margin < high.margin && low.visits < high.visits);
	assert_true(recall_with(f->hard, f->hard_set, f->hard_queries, low.margin, NULL) >= 0.90);
	assert_true(recall_with(f->hard, f->hard_set, f->hard_queries, high.margin, NULL) >= 0.99);
}

/* Questions unlike what is stored get what they need, which others of their kind then have. */
static void
questions_of_the_caller(void **state)
{
	Fixture *f = *state;
	Set *questions = set_normal(2 * QUERIES, 32, 77);
	HnswQuestions asked = {questions->vectors, QUERIES};
	Set others = {32, QUERIES, set_vector(questions, QUERIES), NULL};
	HnswTuned own = tuned(f->hard);
	HnswTuned theirs;
	HnswError err;
	double recall;

	/* far out, where every stored vector is about as far as another */
	for (size_t i = 0; i < 2 * QUERIES * 32; i++)
		questions->vectors[i] *= 3;
	assert_ok(hnsw_snapshot_tune(f->hard, TARGET, &asked, NULL, &theirs, &err));
	recall = recall_with(f->hard, f->hard_set, &others, theirs.margin, NULL);
	print_message("# questions: %.4f at %.2f, where stored vectors want %.2f; %.4f at that\n", recall,
				  (double) theirs.margin, (double) own.margin,
				  recall_with(f->hard, f->hard_set, &others, own.margin, NULL));
	assert_true(theirs.margin != own.margin); /* or these would show nothing */
	assert_true(theirs.recall >= TARGET);
	assert_true(recall >= TARGET - 0.01);

	/* a question that cannot be asked; too many */
	set_vector(questions, 3)[5] = NAN;
	assert_int_equal(hnsw_snapshot_tune(f->hard, TARGET, &asked, NULL, &theirs, &err), HNSW_INVALID);
	asked.count = HNSW_MAX_QUESTIONS + 1;
	assert_int_equal(hnsw_snapshot_tune(f->hard, TARGET, &asked, NULL, &theirs, &err), HNSW_INVALID);
	set_free(questions);
}

static void
the_same_graph_gives_the_same_value(void **state)
{
	Fixture *f = *state;
	HnswSnapshot *again = set_snapshot(f->hard_builder);
	HnswTuned a = tuned(f->hard);
	HnswTuned b = tuned(again);

	assert_memory_equal(&a, &b, sizeof a);
	a = tuned(f->hard);
	assert_memory_equal(&a, &b, sizeof a);
	hnsw_snapshot_close(again);
}

/* Nobody can search for what cannot be found: a poor graph gets much, and not more than there is. */
static void
there_is_an_upper_bound(void **state)
{
	Set *set = set_normal(5000, 96, 5);
	HnswBuilder *builder = set_graph(set, 0, 5000, HNSW_L2, 3, 10);
	HnswSnapshot *snapshot = set_snapshot(builder);
	HnswTuned out;
	HnswError err;

	assert_ok(hnsw_snapshot_tune(snapshot, 0.9999, NULL, NULL, &out, &err));
	assert_true(out.margin > HNSW_DEFAULT_MARGIN && out.margin <= 1);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

static void
few_nodes_are_not_measured(void **state)
{
	Set *set = set_normal(4000, 48, 6);
	HnswBuilder *builder = set_graph(set, 0, 4000, HNSW_L2, 3, 10);
	HnswSnapshot *snapshot = set_snapshot(builder);
	HnswBuilder *none;
	HnswSnapshot *empty;
	HnswParams params = {.dim = 4, .metric = HNSW_L2, .m = 4, .ef_construction = 10};
	HnswError err;

	assert_true(tuned(snapshot).margin == (float) HNSW_DEFAULT_MARGIN);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);

	assert_ok(hnsw_builder_create(&params, 0, &none, &err));
	empty = set_snapshot(none);
	assert_true(tuned(empty).margin == (float) HNSW_DEFAULT_MARGIN);
	hnsw_snapshot_close(empty);
	hnsw_builder_free(none);
}

static void
metrics_and_kinds_of_code_all_work(void **state)
{
	static const HnswMetric metrics[] = {HNSW_COSINE, HNSW_L2, HNSW_IP};

	for (size_t i = 0; i < 6; i++)
	{
		Set *set = set_clustered(5000, i < 3 ? 16 : 40, 9, 1); /* below 32 dimensions codes are floats */
		HnswBuilder *builder = set_graph(set, 0, 5000, metrics[i % 3], 16, 60);
		HnswSnapshot *snapshot = set_snapshot(builder);
		Set *queries = set_clustered(100, i < 3 ? 16 : 40, 9, 2);

		assert_true(recall_with(snapshot, set, queries, tuned(snapshot).margin, NULL) >= TARGET);
		set_free(queries);
		hnsw_snapshot_close(snapshot);
		hnsw_builder_free(builder);
		set_free(set);
	}
}

typedef struct Asked
{
	int times;
	int stop_at;
} Asked;

static bool
stop_after(void *arg)
{
	Asked *asked = arg;

	return ++asked->times == asked->stop_at;
}

static void
it_can_be_stopped_at_any_time(void **state)
{
	Fixture *f = *state;
	Asked asked = {0, 0};
	HnswTask task = {.cancelled = stop_after, .arg = &asked};
	HnswError err;
	HnswTuned out;
	int all;

	assert_ok(hnsw_snapshot_tune(f->hard, TARGET, NULL, &task, &out, &err));
	all = asked.times;
	assert_true(all > 500); /* more than once a search */
	for (int at = 1; at <= all; at += 1 + all / 7)
	{
		asked = (Asked){0, at};
		assert_int_equal(hnsw_snapshot_tune(f->hard, TARGET, NULL, &task, &out, &err), HNSW_INTERRUPTED);
		assert_int_equal(asked.times, at); /* and it does nothing more */
		assert_string_not_equal(err.message, "");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hard_data_get_more_and_reach_the_recall),
		cmocka_unit_test(easy_data_stay_near_the_least),
		cmocka_unit_test(more_recall_may_be_asked_for),
		cmocka_unit_test(questions_of_the_caller),
		cmocka_unit_test(the_same_graph_gives_the_same_value),
		cmocka_unit_test(there_is_an_upper_bound),
		cmocka_unit_test(few_nodes_are_not_measured),
		cmocka_unit_test(metrics_and_kinds_of_code_all_work),
		cmocka_unit_test(it_can_be_stopped_at_any_time),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
