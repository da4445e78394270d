/*
 * test_hnsw_equal.c
 *		Equal vectors: one node with a list of labels, in builders, files, searches.
 */
#include "support.h"
#include "support_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIM 36 /* has codes and sketches */

static const HnswMetric metrics[] = {HNSW_COSINE, HNSW_L2, HNSW_IP};

static void
make_equal(Set *set, size_t from, size_t to, size_t as)
{
	for (size_t i = from; i < to; i++)
		memcpy(set_vector(set, i), set_vector(set, as), set->dim * sizeof(float));
}

/* ---------- a crowd among others ---------- */

/* The nearest to a row's own vector is at its distance; below some sets' recall it would not be found. */
static size_t
lost_rows(const HnswSnapshot *snapshot, const Set *set, size_t first, size_t count,
		  const HnswSearchOptions *options)
{
	HnswMetric metric = hnsw_snapshot_info(snapshot)->params.metric;
	size_t lost = 0;

	for (size_t i = first; i < first + count; i++)
	{
		const float *own = set_vector(set, i);
		HnswHit hit;

		assert_int_equal(set_search_as(snapshot, set, own, 1, options, &hit, NULL), 1);
		lost += hit.distance > hnsw_distance(metric, own, own, set->dim);
	}
	return lost;
}

/* So many copies of one vector come in between the others: everybody is found by his own vector. */
static void
crowd_hides_nobody(size_t crowd, size_t others, HnswMetric metric)
{
	Set *set = set_clustered(crowd + others, DIM, 31, 1);
	HnswHit *hits = malloc((crowd + 1) * sizeof *hits);
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	HnswTuned tuned;
	HnswError err;

	make_equal(set, others / 2, others / 2 + crowd, 0);
	builder = set_graph(set, 0, set->count, metric, 16, 100);
	assert_int_equal(hnsw_builder_count(builder), set->count);
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, set->count);
	assert_int_equal(hnsw_snapshot_info(snapshot)->nodes, others);
	assert_ok(hnsw_snapshot_tune(snapshot, 0.97, NULL, NULL, &tuned, &err));
	for (int way = 0; way < 2; way++)
	{
		HnswSearchOptions options = {.ef = 40, .margin = way == 0 ? tuned.margin : 0};

		assert_int_equal(lost_rows(snapshot, set, 0, others / 2, &options), 0);
		assert_int_equal(lost_rows(snapshot, set, others / 2 + crowd, others - others / 2, &options), 0);

		/* the crowd itself comes whole, in the order of its labels, and then others */
		assert_int_equal(
			set_search_as(snapshot, set, set_vector(set, 0), (int) crowd + 1, &options, hits, NULL),
			crowd + 1);
		assert_int_equal(hits[0].label, 1);
		for (size_t i = 1; i < crowd + 1; i++)
			assert_int_equal(hits[i].label, others / 2 + i);
	}
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	free(hits);
	set_free(set);
}

static void
crowds(void **state)
{
	(void) state;
	crowd_hides_nobody(20000, 10000, HNSW_COSINE);
	crowd_hides_nobody(12000, 2000, HNSW_L2);
	crowd_hides_nobody(300, 300, HNSW_L2);
}

static void
all_equal(void **state)
{
	Set *set = set_normal(5000, DIM, 1);
	HnswSearchOptions options = {.margin = HNSW_DEFAULT_MARGIN};
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	HnswHit *hits = malloc(5001 * sizeof *hits);
	HnswStats stats;

	(void) state;
	make_equal(set, 1, 5000, 0);
	builder = set_graph(set, 0, 5000, HNSW_COSINE, 16, 100);
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->nodes, 1);
	assert_int_equal(set_search_as(snapshot, set, set_vector(set, 3), 10, &options, hits, &stats), 10);
	assert_true(stats.distances_computed < 10);
	assert_int_equal(set_search_as(snapshot, set, set_vector(set, 3), 5001, &options, hits, NULL), 5000);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(hits[i].label, i + 1);

	/* the last one to go takes the node along */
	for (int i = 0; i < 4999; i++)
		assert_ok(hnsw_builder_remove(builder, i + 1));
	hnsw_snapshot_close(snapshot);
	snapshot = set_snapshot(builder);
	assert_int_equal(set_search_as(snapshot, set, set_vector(set, 3), 10, &options, hits, NULL), 1);
	assert_int_equal(hits[0].label, 5000);
	assert_ok(hnsw_builder_remove(builder, 5000));
	assert_int_equal(hnsw_builder_remove(builder, 5000), HNSW_NOTFOUND);
	hnsw_snapshot_close(snapshot);
	snapshot = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, 0);
	assert_int_equal(hnsw_snapshot_info(snapshot)->nodes, 0);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	free(hits);
	set_free(set);
}

/* Many results of many copies: the walk goes for nodes, not for labels. */
static void
k_counts_labels_and_the_walk_nodes(void **state)
{
	const size_t nodes = 3000;
	const size_t copies = 20;
	Set *few = set_clustered(nodes, DIM, 5, 1);
	Set *many = set_clustered(nodes * copies, DIM, 5, 1);
	HnswSearchOptions options = {.margin = HNSW_DEFAULT_MARGIN};
	HnswHit hits[1000];
	HnswStats hundred;
	HnswStats thousand;
	HnswSnapshot *snapshot[2];
	Set *sets[2] = {few, many};

	(void) state;
	for (size_t i = 0; i < nodes * copies; i++)
		memcpy(set_vector(many, i), set_vector(few, i / copies), DIM * sizeof(float));
	for (int i = 0; i < 2; i++)
	{
		HnswBuilder *builder = set_graph(sets[i], 0, sets[i]->count, HNSW_L2, 16, 100);

		snapshot[i] = set_snapshot(builder);
		hnsw_builder_free(builder);
	}
	assert_int_equal(hnsw_snapshot_info(snapshot[1])->nodes, nodes);
	assert_int_equal(set_search_as(snapshot[0], few, set_vector(few, 7), 50, &options, hits, &hundred), 50);
	assert_int_equal(set_search_as(snapshot[1], many, set_vector(few, 7), 1000, &options, hits, &thousand),
					 1000);
	assert_true(thousand.nodes_visited <= hundred.nodes_visited * 11 / 10);
	for (int i = 0; i < 2; i++)
	{
		hnsw_snapshot_close(snapshot[i]);
		set_free(sets[i]);
	}
}

/* ---------- against brute force ---------- */

#define LABELS 400
#define VECTORS 60 /* that labels have */

typedef struct Model
{
	int vector[LABELS + 1]; /* by label; -1: it is not there */
	bool masked;
	Random random;
} Model;

static bool
admit(void *arg, int64_t label)
{
	(void) arg;
	return label % 3 == 1 || label % 10 == 0;
}

static int
compare_hits(const void *x, const void *y)
{
	const HnswHit *a = x;
	const HnswHit *b = y;

	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	return a->label < b->label ? -1 : a->label > b->label;
}

/* To the end: exactly the rows that are there, by distance and then by label. */
static void
compare_with_model(const HnswSnapshot *snapshot, const Model *model, const Set *set, const float *query,
				   const HnswSearchOptions *options, uint32_t k)
{
	HnswMetric metric = hnsw_snapshot_info(snapshot)->params.metric;
	HnswHit expected[LABELS];
	size_t count = 0;
	HnswCursor *cursor;
	HnswError err;
	HnswHit hit;

	for (int64_t label = 1; label <= LABELS; label++)
		if (model->vector[label] >= 0 && (options->admit == NULL || admit(NULL, label)))
			expected[count++] = (HnswHit){
				label, hnsw_distance(metric, query, set_vector(set, (size_t) model->vector[label]), DIM)};
	qsort(expected, count, sizeof *expected, compare_hits);
	assert_ok(hnsw_search_begin(snapshot, query, k, options, &cursor, &err));
	for (size_t i = 0; i < count; i++)
	{
		assert_ok(hnsw_search_next(cursor, &hit));
		assert_int_equal(hit.label, expected[i].label);
		assert_true(hit.distance == expected[i].distance);
	}
	assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_DONE);
	hnsw_search_end(cursor);
}

static void
compare_all(const HnswSnapshot *snapshot, const Model *model, const Set *set)
{
	float vector[DIM];
	uint64_t count = 0;

	for (int64_t label = 1; label <= LABELS; label++)
	{
		HnswStatus status = hnsw_snapshot_vector(snapshot, label, vector);

		count += model->vector[label] >= 0;
		assert_int_equal(status, model->vector[label] >= 0 ? HNSW_OK : HNSW_NOTFOUND);
		if (status == HNSW_OK)
			assert_memory_equal(vector, set_vector(set, (size_t) model->vector[label]), sizeof vector);
	}
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, count);
	assert_true(hnsw_snapshot_info(snapshot)->nodes <= VECTORS);
	for (int way = 0; way < 8; way++)
	{
		HnswSearchOptions options = {
			.ef = LABELS, .margin = way & 1 ? HNSW_MAX_MARGIN : 0, .admit = way & 2 ? admit : NULL};

		compare_with_model(snapshot, model, set, set_vector(set, (size_t) way * 7 % VECTORS), &options,
						   way & 4 ? 5 : 0);
		compare_with_model(snapshot, model, set, set_vector(set, VECTORS + (size_t) way), &options, 0);
	}
}

/* Labels come, go and change their vectors, as in merges: now and then a file is written and loaded. */
static void
changes_against_brute_force(void **state)
{
	Set *set = set_normal(VECTORS + 8, DIM, 3);

	(void) state;
	for (size_t m = 0; m < sizeof metrics / sizeof *metrics; m++)
	{
		Model model = {.random = {m + 1}};
		HnswBuilder *builder = set_graph(set, 0, 0, metrics[m], 8, 60);
		HnswSnapshot *snapshot = NULL;
		HnswTask one = {.threads = 1};
		HnswError err;

		for (int64_t label = 1; label <= LABELS; label++)
			model.vector[label] = -1;
		for (int round = 0; round < 12; round++)
		{
			HnswSnapshot *next;

			for (int i = 0; i < 150; i++)
			{
				int64_t label = 1 + (int64_t) (random_bits(&model.random) % LABELS);
				int vector = (int) (random_bits(&model.random) % VECTORS);

				/* half of them to a few vectors */
				vector = vector % 2 == 0 ? vector % 6 : vector;
				if (random_bits(&model.random) % 4 == 0)
				{
					assert_int_equal(hnsw_builder_remove(builder, label),
									 model.vector[label] >= 0 ? HNSW_OK : HNSW_NOTFOUND);
					model.vector[label] = -1;
					continue;
				}
				assert_ok(hnsw_builder_add(builder, label, set_vector(set, (size_t) vector), &err));
				model.vector[label] = vector;
			}
			next = set_snapshot(builder);
			hnsw_builder_free(builder);
			hnsw_snapshot_close(snapshot);
			snapshot = next;
			compare_all(snapshot, &model, set);
			assert_ok(hnsw_builder_load(snapshot, &one, &builder, &err));
		}
		hnsw_builder_free(builder);
		hnsw_snapshot_close(snapshot);
	}
	set_free(set);
}

/* Different vectors at one distance: their labels come in order, too. */
static void
ties_of_different_vectors(void **state)
{
	Set *set = set_normal(300, DIM, 9);
	float query[DIM] = {0};
	HnswHit hits[300];

	(void) state;
	/* of length two, along an axis each, and every third one a copy */
	memset(set->vectors, 0, 300 * DIM * sizeof(float));
	for (size_t i = 0; i < 300; i++)
		set_vector(set, i)[i * 7 % DIM] = i % 3 == 0 ? 2 : -2;
	for (int way = 0; way < 2; way++)
	{
		HnswSearchOptions options = {.ef = 300, .margin = way == 0 ? HNSW_MAX_MARGIN : 0};
		HnswBuilder *builder = set_graph(set, 0, 300, HNSW_L2, 8, 60);
		HnswSnapshot *snapshot = set_snapshot(builder);

		assert_true(hnsw_snapshot_info(snapshot)->nodes < 100);
		assert_int_equal(set_search_as(snapshot, set, query, 300, &options, hits, NULL), 300);
		for (int i = 0; i < 300; i++)
			assert_int_equal(hits[i].label, i + 1);
		hnsw_snapshot_close(snapshot);
		hnsw_builder_free(builder);
	}
	set_free(set);
}

/* ---------- files ---------- */

static void
without_equal_vectors_nothing_is_added(void **state)
{
	Set *set = set_normal(500, DIM, 4);
	HnswBuilder *builder;
	HnswSnapshot *snapshot;
	uint64_t before;

	(void) state;
	builder = set_graph(set, 0, 500, HNSW_L2, 8, 60);
	snapshot = set_snapshot(builder);
	assert_null(snapshot->starts);
	assert_int_equal(snapshot->header.section_offset[HNSW_ORDER] -
						 snapshot->header.section_offset[HNSW_LABELS],
					 HNSW_BLOCK);
	before = hnsw_snapshot_info(snapshot)->file_bytes;
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);

	/* 12 labels fit into the blocks that are there: a list of starts does not */
	make_equal(set, 499, 500, 0);
	builder = set_graph(set, 0, 500, HNSW_L2, 8, 60);
	snapshot = set_snapshot(builder);
	assert_non_null(snapshot->starts);
	assert_int_equal(hnsw_snapshot_info(snapshot)->file_bytes, before + HNSW_BLOCK);
	hnsw_snapshot_close(snapshot);
	hnsw_builder_free(builder);
	set_free(set);
}

/* How the rows of test/data/format-*.hnsw were made: label 1000 - row, of 70 different vectors. */
static void
vector_of_fixture(int row, float *vector)
{
	int which = row % 70;

	for (int d = 0; d < 33; d++)
		vector[d] = (float) ((which * 31 + d * 17 + which * d) % 23) - 11;
	vector[0] += (float) which / 8;
}

static void
expect_fixture(const HnswSnapshot *snapshot)
{
	HnswSearchOptions options = {.margin = HNSW_MAX_MARGIN};
	HnswHit hits[90];
	bool met[90] = {false};
	float vector[33];
	float copy[33];

	assert_int_equal(hnsw_snapshot_info(snapshot)->count, 90);
	for (int row = 0; row < 90; row++)
	{
		vector_of_fixture(row, vector);
		assert_ok(hnsw_snapshot_vector(snapshot, 1000 - row, copy));
		assert_memory_equal(vector, copy, sizeof vector);
	}
	vector_of_fixture(3, vector);
	assert_int_equal(set_search_as(snapshot, NULL, vector, 90, &options, hits, NULL), 90);
	assert_int_equal(hits[0].label, 1000 - 73);
	assert_int_equal(hits[1].label, 1000 - 3);
	for (int i = 0; i < 90; i++)
	{
		int row = 1000 - (int) hits[i].label;

		assert_in_range(row, 0, 89);
		assert_false(met[row]);
		met[row] = true;
		vector_of_fixture(row, copy);
		assert_true(hits[i].distance == hnsw_distance(HNSW_L2, vector, copy, 33));
	}
}

/* A file of version 3, in which equal vectors have nodes of their own, is read, and written as version 4. */
static void
files_of_version_3(void **state)
{
	HnswSnapshot *snapshot = sample_open(TEST_DATA_DIR "/format-3.hnsw");
	HnswSnapshot *written;
	HnswBuilder *builder;
	HnswTask one = {.threads = 1};
	HnswError err;
	float vector[33];

	(void) state;
	assert_int_equal(hnsw_snapshot_info(snapshot)->format_version, 3);
	assert_int_equal(hnsw_snapshot_info(snapshot)->nodes, 90);
	assert_int_equal(set_problems(snapshot), 0);
	expect_fixture(snapshot);
	assert_ok(hnsw_builder_load(snapshot, &one, &builder, &err));
	written = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(written)->format_version, 4);
	assert_int_equal(hnsw_snapshot_info(written)->nodes, 70);
	expect_fixture(written);
	hnsw_snapshot_close(written);

	/* a copy added and a node's last label taken away */
	vector_of_fixture(3, vector);
	assert_ok(hnsw_builder_add(builder, 1, vector, &err));
	assert_ok(hnsw_builder_remove(builder, 1000 - 40));
	written = set_snapshot(builder);
	assert_int_equal(hnsw_snapshot_info(written)->count, 90);
	assert_int_equal(hnsw_snapshot_info(written)->nodes, 69);
	hnsw_snapshot_close(written);
	hnsw_builder_free(builder);
	hnsw_snapshot_close(snapshot);
}

/* One that this version may write differently one day, but must go on to read. */
static void
files_of_version_4(void **state)
{
	HnswSnapshot *snapshot = sample_open(TEST_DATA_DIR "/format-4.hnsw");

	(void) state;
	assert_int_equal(hnsw_snapshot_info(snapshot)->format_version, 4);
	assert_int_equal(hnsw_snapshot_info(snapshot)->nodes, 70);
	assert_int_equal(set_problems(snapshot), 0);
	expect_fixture(snapshot);
	hnsw_snapshot_close(snapshot);
}

/* ---------- files that were made to do harm ---------- */

typedef struct Lists
{
	uint8_t *bytes;
	size_t size;
	HnswHeader header;
	uint32_t *starts;
} Lists;

static Lists
lists_of_file(void)
{
	Set *set = set_normal(200, DIM, 6);
	HnswBuilder *builder;
	Lists lists;

	make_equal(set, 150, 200, 3);
	builder = set_graph(set, 0, 200, HNSW_L2, 6, 40);
	sample_write(builder, "lists.hnsw");
	hnsw_builder_free(builder);
	set_free(set);
	lists.bytes = file_read("lists.hnsw", &lists.size);
	memcpy(&lists.header, lists.bytes, sizeof lists.header);
	lists.starts =
		(uint32_t *) (lists.bytes + lists.header.section_offset[HNSW_LABELS] + 200 * sizeof(int64_t));
	assert_int_equal(lists.starts[0], 0);
	assert_int_equal(lists.starts[150], 200);
	return lists;
}

static bool
count_problem(void *arg, const char *finding)
{
	(void) arg;
	return strstr(finding, "label") == NULL;
}

static bool
count_labels(void *arg, int64_t label, const float *vector)
{
	(void) label;
	(void) vector;
	++*(uint64_t *) arg;
	return true;
}

/* With fitting checksums: everything ends, and the check finds it. */
static void
expect_harmless(const Lists *lists)
{
	HnswSearchOptions options = {.ef = 300};
	HnswTask one = {.threads = 1};
	HnswSnapshot *snapshot;
	HnswBuilder *builder;
	HnswCursor *cursor;
	HnswError err;
	HnswHit hit;
	float query[DIM] = {1};
	uint64_t problems;
	uint64_t visited = 0;

	sample_refit(lists->bytes, lists->size);
	file_write("harm.hnsw", lists->bytes, lists->size);
	snapshot = sample_open("harm.hnsw");
	for (int way = 0; way < 4; way++)
	{
		options.margin = way & 1 ? 0.3F : 0;
		options.admit = way & 2 ? admit : NULL;
		assert_ok(hnsw_search_begin(snapshot, query, 0, &options, &cursor, &err));
		for (int i = 0; hnsw_search_next(cursor, &hit) == HNSW_OK; i++)
			assert_true(i < 200);
		hnsw_search_end(cursor);
		hnsw_snapshot_close(snapshot);
		snapshot = sample_open("harm.hnsw");
	}
	for (int64_t label = 0; label <= 201; label++)
		(void) hnsw_snapshot_vector(snapshot, label, query);
	(void) hnsw_snapshot_each(snapshot, count_labels, &visited);
	assert_true(visited <= 200);
	assert_ok(hnsw_snapshot_check(snapshot, NULL, count_problem, NULL, &problems));
	assert_true(problems > 0);
	if (hnsw_builder_load(snapshot, &one, &builder, &err) == HNSW_OK)
		hnsw_builder_free(builder);
	hnsw_snapshot_close(snapshot);
}

static void
hostile_lists(void **state)
{
	static const uint32_t values[] = {0,   1,   2,   149,        150,        151,
									  199, 200, 201, 0x7fffffff, 0xfffffffe, 0xffffffff};
	static const int places[] = {0, 1, 3, 4, 75, 149, 150};
	Lists lists = lists_of_file();

	(void) state;
	for (size_t p = 0; p < sizeof places / sizeof *places; p++)
		for (size_t v = 0; v < sizeof values / sizeof *values; v++)
		{
			uint32_t before = lists.starts[places[p]];

			if (before == values[v])
				continue;
			lists.starts[places[p]] = values[v];
			expect_harmless(&lists);
			lists.starts[places[p]] = before;
		}
	/* all of them at once */
	for (int i = 0; i <= 150; i++)
		lists.starts[i] = i % 2 == 0 ? 0 : 200;
	expect_harmless(&lists);
	free(lists.bytes);
}

static void
expect_refused(const Lists *lists)
{
	HnswSnapshot *snapshot;
	HnswError err;

	sample_refit(lists->bytes, lists->size);
	file_write("harm.hnsw", lists->bytes, lists->size);
	assert_int_equal(hnsw_snapshot_open("harm.hnsw", &snapshot, &err), HNSW_CORRUPT);
}

/* A header that speaks of labels which the file has not, or of fewer than nodes. */
static void
hostile_counts(void **state)
{
	static const uint64_t values[] = {0,         1, 149, 150, 199, 201, 5000, UINT32_MAX, UINT64_C(1) << 32,
									  UINT64_MAX};
	Lists lists = lists_of_file();
	uint32_t version = 3;

	(void) state;
	for (size_t v = 0; v < sizeof values / sizeof *values; v++)
	{
		memcpy(lists.bytes + offsetof(HnswHeader, label_count), &values[v], sizeof values[v]);
		/* as many blocks as these have: the file can be, and nothing in it is where it was */
		if (values[v] >= 150 && values[v] <= 201)
			expect_harmless(&lists);
		else
			expect_refused(&lists);
	}
	/* version 3 knows of no lists */
	memcpy(lists.bytes, &lists.header, sizeof lists.header);
	memcpy(lists.bytes + offsetof(HnswHeader, version), &version, sizeof version);
	expect_refused(&lists);
	free(lists.bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crowds),
		cmocka_unit_test(all_equal),
		cmocka_unit_test(k_counts_labels_and_the_walk_nodes),
		cmocka_unit_test(changes_against_brute_force),
		cmocka_unit_test(ties_of_different_vectors),
		cmocka_unit_test(without_equal_vectors_nothing_is_added),
		cmocka_unit_test(files_of_version_3),
		cmocka_unit_test(files_of_version_4),
		cmocka_unit_test(hostile_lists),
		cmocka_unit_test(hostile_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
