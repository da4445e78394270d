/*
 * test_hnsw_check.c
 *		The validator finds what is wrong, says where, and nothing else.
 *
 * Each test breaks one rule in the bytes of a sound file, fits the checksums
 * and expects the finding by its words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_file.h"

#define N 600
#define DIM 36
#define M 4
#define PATH "checked.hnsw"

static uint8_t *sound;
static uint8_t *bytes; /* a copy to break */
static size_t size;
static const HnswHeader *header; /* of bytes */

static int
setup(void **state)
{
	sample_make_file(PATH, HNSW_COSINE, DIM, M, N);
	sound = file_read(PATH, &size);
	bytes = malloc(size);
	header = (const HnswHeader *) bytes;
	return bytes == NULL;
}

static int
teardown(void **state)
{
	free(sound);
	free(bytes);
	return 0;
}

static int
fresh(void **state)
{
	memcpy(bytes, sound, size);
	return 0;
}

static uint32_t *
links0(uint32_t node)
{
	return (uint32_t *) (bytes + header->section_offset[HNSW_LINKS0]) + (size_t) node * 2 * M;
}

static uint32_t *
links1(uint32_t node)
{
	return (uint32_t *) (bytes + header->section_offset[HNSW_UPPER]) + (size_t) node * M;
}

static float *
vector(uint32_t node)
{
	return (float *) (bytes + header->section_offset[HNSW_VECTORS]) + (size_t) node * DIM;
}

static int64_t *
label(uint32_t node)
{
	return (int64_t *) (bytes + header->section_offset[HNSW_LABELS]) + node;
}

static uint32_t *
order(uint32_t place)
{
	return (uint32_t *) (bytes + header->section_offset[HNSW_ORDER]) + place;
}

/* How many links of a row are in use. */
static uint32_t
degree(const uint32_t *row, uint32_t slots)
{
	uint32_t n = 0;

	while (n < slots && row[n] != HNSW_NO_NODE)
		n++;
	return n;
}

/* ---------- running it ---------- */

typedef struct Heard
{
	const char *words;
	uint64_t with, without;
	uint64_t stop_after; /* findings; 0: never */
} Heard;

static bool
hear(void *arg, const char *finding)
{
	Heard *heard = arg;

	if (heard->words != NULL && strstr(finding, heard->words) != NULL)
		heard->with++;
	else
	{
		heard->without++;
		if (heard->words != NULL)
			print_message("also: %s\n", finding);
	}
	return heard->with + heard->without != heard->stop_after;
}

/* The file has exactly one problem, and its finding contains words. */
static void
expect_finding(const char *words)
{
	Heard heard = {.words = words};
	HnswSnapshot *snapshot;
	uint64_t problems = 0;

	sample_refit(bytes, size);
	file_write(PATH, bytes, size);
	snapshot = sample_open(PATH);
	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, hear, &heard, &problems), HNSW_OK);
	if (heard.with != 1 || heard.without != 0)
		fail_msg("\"%s\": %llu findings with these words and %llu others", words,
				 (unsigned long long) heard.with, (unsigned long long) heard.without);
	assert_int_equal(problems, 1);
	hnsw_snapshot_close(snapshot);
}

static void
test_sound(void **state)
{
	HnswSnapshot *snapshot;

	file_write(PATH, bytes, size);
	snapshot = sample_open(PATH);
	assert_int_equal(sample_problems(snapshot), 0);
	assert_false(hnsw_snapshot_is_corrupt(snapshot));
	hnsw_snapshot_close(snapshot);
}

static void
test_empty_and_single(void **state)
{
	for (size_t n = 0; n < 2; n++)
	{
		HnswSnapshot *snapshot;

		sample_make_file("few.hnsw", HNSW_IP, 3, 4, n);
		snapshot = sample_open("few.hnsw");
		assert_int_equal(sample_problems(snapshot), 0);
		hnsw_snapshot_close(snapshot);
	}
}

/* ---------- one broken rule each ---------- */

static void
test_self_link(void **state)
{
	uint32_t *row = links0(37);

	/* One more link keeps all others; where the row is full, the graph has slack. */
	row[degree(row, 2 * M) < 2 * M ? degree(row, 2 * M) : 2 * M - 1] = 37;
	expect_finding("node 37, layer 0: link to itself");
}

static void
test_double_link(void **state)
{
	uint32_t *row = links0(41);
	char words[80];

	row[degree(row, 2 * M) < 2 * M ? degree(row, 2 * M) : 2 * M - 1] = row[0];
	snprintf(words, sizeof(words), "node 41, layer 0: two links to node %u", row[0]);
	expect_finding(words);
}

static void
test_link_out_of_range(void **state)
{
	uint32_t *row = links0(5);

	row[degree(row, 2 * M) < 2 * M ? degree(row, 2 * M) : 2 * M - 1] = N;
	expect_finding("node 5, layer 0: link to node 600, but the layer has 600");
}

static void
test_link_off_its_layer(void **state)
{
	uint32_t members = (uint32_t) header->layer_count[1];
	uint32_t *row = links1(3);
	char words[80];

	assert_in_range(members, 10, N - 1);
	row[degree(row, M) < M ? degree(row, M) : M - 1] = members;
	snprintf(words, sizeof(words), "node 3, layer 1: link to node %u, but the layer has %u", members,
			 members);
	expect_finding(words);
}

static void
test_link_after_unused_slot(void **state)
{
	uint32_t node = 0;
	uint32_t n;

	/* A row with two free slots. */
	while (node < N && degree(links0(node), 2 * M) > 2 * M - 2)
		node++;
	assert_true(node < N);
	n = degree(links0(node), 2 * M);
	links0(node)[n + 1] = node == 0 || links0(node)[0] == 0 ? N - 1 : 0;
	for (uint32_t i = 0; i < n; i++)
		assert_true(links0(node)[i] != links0(node)[n + 1]);
	expect_finding("a link follows an unused slot");
}

static void
test_nan_vector(void **state)
{
	vector(100)[3] = NAN;
	expect_finding("node 100: its vector is not finite");
}

static void
test_zero_vector(void **state)
{
	memset(vector(7), 0, DIM * sizeof(float));
	expect_finding("node 7: its vector is zero");
}

static void
test_wrong_code(void **state)
{
	bytes[header->section_offset[HNSW_CODES] + 9 * header->code_stride] ^= 0x40;
	expect_finding("node 9: its code is not that of its vector");
}

static void
test_wrong_sketch(void **state)
{
	bytes[header->section_offset[HNSW_SKETCHES] + 9 * hnsw_sketch_stride(header->code, DIM)] ^= 0x40;
	expect_finding("node 9: its sketch is not that of its vector");
}

static void
test_exchanged_vectors(void **state)
{
	/* Lengths differ, so for cosine the codes tell, and the sketches. */
	Heard heard = {.words = "its code is not that of its vector"};
	HnswSnapshot *snapshot;
	uint64_t problems;
	float copy[DIM];

	memcpy(copy, vector(20), sizeof(copy));
	memcpy(vector(20), vector(21), sizeof(copy));
	memcpy(vector(21), copy, sizeof(copy));
	sample_refit(bytes, size);
	file_write(PATH, bytes, size);
	snapshot = sample_open(PATH);
	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, hear, &heard, &problems), HNSW_OK);
	assert_int_equal(heard.with, 2);
	assert_int_equal(problems, 4);
	hnsw_snapshot_close(snapshot);
}

static void
test_double_label(void **state)
{
	*label(*order(50)) = *label(*order(51));
	expect_finding("order, place 51: label");
}

static void
test_wrong_order(void **state)
{
	uint32_t node = *order(70);

	*order(70) = *order(71);
	*order(71) = node;
	expect_finding("order, place 71: label");
}

static void
test_order_out_of_range(void **state)
{
	*order(80) = N;
	expect_finding("order, place 80: label number 600, but there are 600");
}

static void
test_order_not_a_permutation(void **state)
{
	*order(90) = *order(91);
	expect_finding("order, place 91: label");
}

static void
test_unreachable_node(void **state)
{
	/* The last node is on layer 0 alone; take away every link to it. */
	for (uint32_t node = 0; node < N; node++)
	{
		uint32_t *row = links0(node);
		uint32_t n = degree(row, 2 * M);

		for (uint32_t i = 0; i < n; i++)
			if (row[i] == N - 1)
			{
				row[i] = row[n - 1];
				row[n - 1] = HNSW_NO_NODE;
				break;
			}
	}
	expect_finding("node 599 (label");
}

/* ---------- checksums ---------- */

static void
test_wrong_sums(void **state)
{
	Heard heard = {.words = "has a wrong checksum"};
	HnswSnapshot *snapshot;
	uint64_t problems;
	uint64_t last = header->section_offset[HNSW_SUMS] - 1;

	/* Padding, so that nothing else is wrong; and an entry of SUMS itself. */
	bytes[last] ^= 1;
	bytes[header->section_offset[HNSW_SUMS]] ^= 1;
	file_write(PATH, bytes, size);
	snapshot = sample_open(PATH);
	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, hear, &heard, &problems), HNSW_OK);
	assert_int_equal(heard.with, 2);
	assert_int_equal(problems, 2);
	assert_true(hnsw_snapshot_is_corrupt(snapshot));
	hnsw_snapshot_close(snapshot);
}

/* A block that a search has verified before is read again. */
static void
test_verified_blocks_are_read_again(void **state)
{
	Heard heard = {.words = "(vectors) has a wrong checksum"};
	HnswSnapshot *snapshot;
	uint64_t problems;
	FILE *file;

	file_write(PATH, bytes, size);
	snapshot = sample_open(PATH);
	assert_int_equal(sample_problems(snapshot), 0);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(hnsw_snapshot_vector(snapshot, *label(i), NULL), HNSW_OK);
	file = fopen(PATH, "r+b");
	assert_non_null(file);
	assert_int_equal(fseek(file, (long) (header->section_offset[HNSW_LABELS] - 1), SEEK_SET), 0);
	assert_int_equal(fputc('x', file), 'x');
	fclose(file);
	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, hear, &heard, &problems), HNSW_OK);
	assert_int_equal(heard.with, 1);
	assert_int_equal(problems, 1);
	hnsw_snapshot_close(snapshot);
}

/* ---------- manners ---------- */

static void
test_report_stops_but_counting_goes_on(void **state)
{
	Heard heard = {.stop_after = 3};
	HnswSnapshot *snapshot;
	uint64_t problems;

	for (uint32_t node = 0; node < 50; node++)
		vector(node)[0] = INFINITY;
	sample_refit(bytes, size);
	file_write(PATH, bytes, size);
	snapshot = sample_open(PATH);
	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, hear, &heard, &problems), HNSW_OK);
	assert_int_equal(heard.without, 3);
	assert_int_equal(problems, 50);
	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, NULL, NULL, &problems), HNSW_OK);
	assert_int_equal(problems, 50);
	hnsw_snapshot_close(snapshot);
}

typedef struct Watch
{
	int calls;
	int stop_at;
	uint64_t done, total;
} Watch;

static bool
watch_cancelled(void *arg)
{
	Watch *watch = arg;

	return ++watch->calls == watch->stop_at;
}

static void
watch_progress(void *arg, uint64_t done, uint64_t total)
{
	Watch *watch = arg;

	assert_true(done > watch->done && done <= total);
	watch->done = done;
	watch->total = total;
}

static void
test_cancel_and_progress(void **state)
{
	int stop = 0;

	sample_make_file("long.hnsw", HNSW_L2, 2, 2, 3000);
	for (;;)
	{
		HnswSnapshot *snapshot = sample_open("long.hnsw");
		Watch watch = {.stop_at = ++stop};
		HnswTask task = {.cancelled = watch_cancelled, .progress = watch_progress, .arg = &watch};
		uint64_t problems;
		HnswStatus status = hnsw_snapshot_check(snapshot, &task, NULL, NULL, &problems);

		hnsw_snapshot_close(snapshot);
		if (status == HNSW_OK)
		{
			assert_int_equal(watch.calls, stop - 1);
			break;
		}
		assert_int_equal(status, HNSW_INTERRUPTED);
		assert_int_equal(watch.calls, stop);
	}
	/* It asks at least once in each of the four passes over the nodes. */
	assert_true(stop > 8);
}

int
main(void)
{
#define RULE(name) cmocka_unit_test_setup(name, fresh)
	const struct CMUnitTest tests[] = {
		RULE(test_sound),
		RULE(test_empty_and_single),
		RULE(test_self_link),
		RULE(test_double_link),
		RULE(test_link_out_of_range),
		RULE(test_link_off_its_layer),
		RULE(test_link_after_unused_slot),
		RULE(test_nan_vector),
		RULE(test_zero_vector),
		RULE(test_wrong_code),
		RULE(test_wrong_sketch),
		RULE(test_exchanged_vectors),
		RULE(test_double_label),
		RULE(test_wrong_order),
		RULE(test_order_out_of_range),
		RULE(test_order_not_a_permutation),
		RULE(test_unreachable_node),
		RULE(test_wrong_sums),
		RULE(test_verified_blocks_are_read_again),
		RULE(test_report_stops_but_counting_goes_on),
		RULE(test_cancel_and_progress),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
