/*
 * test_hnsw_hostile.c
 *		Graph files that were damaged, or made to do harm.
 *
 * Damage (wrong checksums) must never change an answer: it is the right one or
 * it is withheld.  Malice (fitted checksums) may give nonsense, but must not
 * crash, hang or read out of bounds; run under AddressSanitizer it shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support_file.h"

#define N 700
#define DIM 36
#define M 5
#define QUERIES 8
#define K 10

/* A sound file and what it answers. */
typedef struct Sound
{
	uint8_t *bytes;
	size_t size;
	HnswHeader header;
	float *vectors;
	float *queries;
	HnswHit hits[QUERIES][K];
} Sound;

static Sound sound;

static int
setup(void **state)
{
	HnswSnapshot *snapshot;
	HnswStatus status;

	sample_make_file("sound.hnsw", HNSW_L2, DIM, M, N);
	sound.bytes = file_read("sound.hnsw", &sound.size);
	memcpy(&sound.header, sound.bytes, sizeof(sound.header));
	sound.vectors = sample_vectors(N, DIM, 1);
	sound.queries = sample_vectors(QUERIES, DIM, 77);
	snapshot = sample_open("sound.hnsw");
	for (int i = 0; i < QUERIES; i++)
		assert_int_equal(sample_search(snapshot, sound.queries + i * DIM, 40, K, sound.hits[i], &status), K);
	hnsw_snapshot_close(snapshot);
	/* The paths below need layers and every section in several blocks. */
	assert_true(sound.header.layer_count[2] > 0);
	for (int i = 0; i < HNSW_SUMS; i++)
		if (i != HNSW_UPPER && i != HNSW_BASIS && i != HNSW_CODES && i != HNSW_ORDER)
			assert_true(sound.header.section_offset[i + 1] - sound.header.section_offset[i] > HNSW_BLOCK);
	return 0;
}

static int
teardown(void **state)
{
	free(sound.bytes);
	free(sound.vectors);
	free(sound.queries);
	return 0;
}

/* ---------- damage ---------- */

/*
 * Ask everything of a file: each answer equals the sound one or comes as
 * HNSW_CORRUPT, and then the snapshot says so.  Returns whether any was withheld.
 */
static bool
ask_everything(const char *path)
{
	HnswSnapshot *snapshot = sample_open(path);
	HnswHit hits[K];
	HnswStatus status;
	float vector[DIM];
	bool withheld = false;

	for (int i = 0; i < QUERIES; i++)
	{
		size_t found = sample_search(snapshot, sound.queries + i * DIM, 40, K, hits, &status);

		for (size_t j = 0; j < found; j++)
		{
			assert_int_equal(hits[j].label, sound.hits[i][j].label);
			assert_true(hits[j].distance == sound.hits[i][j].distance);
		}
		if (found < K)
		{
			assert_int_equal(status, HNSW_CORRUPT);
			assert_true(hnsw_snapshot_is_corrupt(snapshot));
			withheld = true;
		}
	}
	for (size_t i = 0; i < N; i++)
	{
		status = hnsw_snapshot_vector(snapshot, sample_label(i), vector);
		if (status == HNSW_OK)
			assert_memory_equal(vector, sound.vectors + i * DIM, sizeof(vector));
		else
		{
			assert_int_equal(status, HNSW_CORRUPT);
			withheld = true;
		}
	}
	assert_int_equal(withheld, hnsw_snapshot_is_corrupt(snapshot));
	hnsw_snapshot_close(snapshot);
	return withheld;
}

static void
test_every_header_bit(void **state)
{
	const char *path = "header.hnsw";
	int fd;

	file_write(path, sound.bytes, sound.size);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(HnswHeader); i++)
		for (int bit = 0; bit < 8; bit++)
		{
			uint8_t flipped = sound.bytes[i] ^ (uint8_t) (1 << bit);
			HnswSnapshot *snapshot;
			HnswError err = {0};

			assert_int_equal(pwrite(fd, &flipped, 1, (off_t) i), 1);
			assert_int_equal(hnsw_snapshot_open(path, &snapshot, &err), HNSW_CORRUPT);
			assert_null(snapshot);
			assert_true(err.message[0] != 0);
			assert_int_equal(pwrite(fd, &sound.bytes[i], 1, (off_t) i), 1);
		}
	/* What follows in the block means nothing. */
	for (size_t i = sizeof(HnswHeader); i < HNSW_BLOCK; i += 97)
	{
		assert_int_equal(pwrite(fd, "x", 1, (off_t) i), 1);
		assert_false(ask_everything(path));
	}
	close(fd);
}

/* One bit, anywhere after the header. */
static void
test_flipped_bits(void **state)
{
	const char *path = "flipped.hnsw";
	uint64_t random = 99;
	int fd;

	file_write(path, sound.bytes, sound.size);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (int section = 0; section < HNSW_SECTIONS; section++)
	{
		uint64_t first = sound.header.section_offset[section];
		uint64_t last = section == HNSW_SUMS ? first + (first / HNSW_BLOCK - 1) * sizeof(uint64_t)
											 : sound.header.section_offset[section + 1];
		int withheld = 0;

		/* so small a graph has no basis; see test_hnsw_basis.c */
		if (section == HNSW_BASIS)
		{
			assert_int_equal(first, last);
			continue;
		}
		for (int i = 0; i < 60; i++)
		{
			uint64_t place = first + sample_random(&random) % (last - first);
			uint8_t flipped = sound.bytes[place] ^ (uint8_t) (1 << (sample_random(&random) % 8));

			assert_int_equal(pwrite(fd, &flipped, 1, (off_t) place), 1);
			withheld += ask_everything(path);
			assert_int_equal(pwrite(fd, &sound.bytes[place], 1, (off_t) place), 1);
		}
		/*
		 * Reading every vector touches every block of these three, padding
		 * included; searches touch most of the others.
		 */
		if (section == HNSW_VECTORS || section == HNSW_LABELS || section == HNSW_ORDER)
			assert_int_equal(withheld, 60);
		else
			assert_true(withheld > 5);
	}
	assert_false(ask_everything(path));
	close(fd);
}

/* Two blocks exchanged, both with right sums of their own place's seed? No. */
static void
test_exchanged_blocks(void **state)
{
	uint8_t *bytes = malloc(sound.size);
	uint64_t first = sound.header.section_offset[HNSW_VECTORS];
	uint64_t sums = sound.header.section_offset[HNSW_SUMS];
	uint64_t a, b;

	assert_non_null(bytes);
	memcpy(bytes, sound.bytes, sound.size);
	memcpy(bytes + first, sound.bytes + first + HNSW_BLOCK, HNSW_BLOCK);
	memcpy(bytes + first + HNSW_BLOCK, sound.bytes + first, HNSW_BLOCK);
	file_write("exchanged.hnsw", bytes, sound.size);
	assert_true(ask_everything("exchanged.hnsw"));

	/* Not even with their sums exchanged too: the block number is in the sum. */
	a = sums + (first / HNSW_BLOCK - 1) * sizeof(uint64_t);
	b = a + sizeof(uint64_t);
	memcpy(bytes + a, sound.bytes + b, sizeof(uint64_t));
	memcpy(bytes + b, sound.bytes + a, sizeof(uint64_t));
	file_write("exchanged.hnsw", bytes, sound.size);
	assert_true(ask_everything("exchanged.hnsw"));
	free(bytes);
}

static void
test_every_length(void **state)
{
	const char *path = "length.hnsw";
	size_t step = 61;

	for (size_t size = 0; size <= sound.size + 2 * HNSW_BLOCK; size += step)
	{
		HnswSnapshot *snapshot;
		HnswError err = {0};
		int fd;

		if (size == sound.size)
			continue;
		file_write(path, sound.bytes, size < sound.size ? size : sound.size);
		fd = open(path, O_RDWR);
		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, (off_t) size), 0);
		close(fd);
		assert_int_equal(hnsw_snapshot_open(path, &snapshot, &err), HNSW_CORRUPT);
		assert_null(snapshot);
		/* Around the interesting lengths, every single one. */
		step = size + 70 >= sound.size && size <= sound.size + 8 ? 1 : size < 64 ? 1 : 1021;
	}
}

/* ---------- malice ---------- */

/*
 * Use a file whose checksums fit in every way there is.  The answers may be
 * anything that is well-formed; time must stay bounded.
 */
static void
use_in_every_way(const char *path)
{
	HnswSnapshot *snapshot;
	HnswBuilder *builder = NULL;
	HnswError err;
	HnswHit hit;
	uint64_t problems;
	float *vector;
	float *query;
	uint32_t dim;

	if (hnsw_snapshot_open(path, &snapshot, &err) != HNSW_OK)
	{
		assert_null(snapshot);
		return;
	}
	dim = hnsw_snapshot_info(snapshot)->params.dim;
	vector = malloc(dim * sizeof(float));
	query = sample_vectors(1, dim, 5);
	for (uint32_t ef = 1; ef <= 256; ef *= 16)
	{
		HnswSearchOptions options = {.ef = ef};
		HnswCursor *cursor = NULL;
		uint64_t found = 0;

		if (hnsw_search_begin(snapshot, query, 0, &options, &cursor, &err) == HNSW_OK)
			while (hnsw_search_next(cursor, &hit) == HNSW_OK)
				found++;
		hnsw_search_end(cursor);
		assert_true(found <= hnsw_snapshot_info(snapshot)->count);
	}
	for (size_t i = 0; i < N; i += 7)
		hnsw_snapshot_vector(snapshot, sample_label(i), vector);
	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, NULL, NULL, &problems), HNSW_OK);
	if (hnsw_builder_load(snapshot, NULL, &builder, &err) == HNSW_OK)
	{
		hnsw_builder_add(builder, 5, query, &err);
		hnsw_builder_free(builder);
	}
	hnsw_snapshot_close(snapshot);
	free(vector);
	free(query);
}

/* Put a 32-bit value over several places of a section and fit the sums. */
static void
plant(const char *path, HnswSectionKind section, uint32_t value, size_t every)
{
	uint8_t *bytes = malloc(sound.size);
	uint64_t last = sound.header.section_offset[section + 1];

	assert_non_null(bytes);
	memcpy(bytes, sound.bytes, sound.size);
	for (uint64_t at = sound.header.section_offset[section]; at + 4 <= last; at += 4 * every)
		memcpy(bytes + at, &value, sizeof(value));
	sample_refit(bytes, sound.size);
	file_write(path, bytes, sound.size);
	free(bytes);
}

static uint32_t
float_bits(float f)
{
	uint32_t bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static void
test_planted_values(void **state)
{
	const uint32_t values[] = {0,
							   1,
							   N - 1,
							   N,
							   N + 1,
							   0x7fffffff,
							   0x80000000,
							   0xfffffffe,
							   0xffffffff,
							   float_bits(NAN),
							   float_bits(INFINITY),
							   float_bits(-INFINITY),
							   float_bits(FLT_MAX),
							   float_bits(-FLT_MAX),
							   float_bits(FLT_TRUE_MIN)};
	static const size_t every[] = {1, 2, 3, 11, 1000};

	for (int section = 0; section < HNSW_SUMS; section++)
		for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++)
			for (size_t e = 0; e < sizeof(every) / sizeof(*every); e++)
			{
				plant("planted.hnsw", (HnswSectionKind) section, values[v], every[e]);
				use_in_every_way("planted.hnsw");
			}
}

/* A link list whose every entry leads back: searches must still end. */
static void
test_rings_and_islands(void **state)
{
	uint8_t *bytes = malloc(sound.size);

	assert_non_null(bytes);
	for (int shape = 0; shape < 3; shape++)
	{
		uint32_t *links = (uint32_t *) (bytes + sound.header.section_offset[HNSW_LINKS0]);
		HnswSnapshot *snapshot;
		HnswHit hits[N + 1];
		HnswStatus status;

		memcpy(bytes, sound.bytes, sound.size);
		for (uint32_t node = 0; node < N; node++)
			for (uint32_t i = 0; i < 2 * M; i++)
				links[node * 2 * M + i] = shape == 0   ? node                     /* to itself */
										  : shape == 1 ? (node + 1) % N           /* a ring */
													   : (uint32_t) HNSW_NO_NODE; /* nowhere */
		sample_refit(bytes, sound.size);
		file_write("shape.hnsw", bytes, sound.size);
		use_in_every_way("shape.hnsw");

		/* Lawful values: then every node still comes out, once. */
		snapshot = sample_open("shape.hnsw");
		if (shape != 0)
		{
			assert_int_equal(sample_search(snapshot, sound.queries, 10, N + 1, hits, &status), N);
			assert_int_equal(status, HNSW_DONE);
		}
		hnsw_snapshot_close(snapshot);
	}
	free(bytes);
}

typedef struct Field
{
	const char *name;
	size_t offset;
	size_t size;
} Field;

/* Each header field at values that break some rule, with a fitting header sum. */
static void
test_crafted_headers(void **state)
{
#define FIELD(f)                                                                                             \
	{                                                                                                        \
#f, offsetof(HnswHeader, f), sizeof(((HnswHeader *) 0)->f)                                           \
	}
	const Field fields[] = {
		FIELD(header_bytes),
		FIELD(dim),
		FIELD(metric),
		FIELD(m),
		FIELD(ef_construction),
		FIELD(code),
		FIELD(code_stride),
		FIELD(sketch_rank),
		FIELD(layer_count[0]),
		FIELD(layer_count[1]),
		FIELD(layer_count[2]),
		FIELD(layer_count[30]),
		FIELD(layer_count[31]),
		FIELD(section_offset[HNSW_LINKS0]),
		FIELD(section_offset[HNSW_UPPER]),
		FIELD(section_offset[HNSW_BASIS]),
		FIELD(section_offset[HNSW_SKETCHES]),
		FIELD(section_offset[HNSW_CODES]),
		FIELD(section_offset[HNSW_VECTORS]),
		FIELD(section_offset[HNSW_LABELS]),
		FIELD(section_offset[HNSW_ORDER]),
		FIELD(section_offset[HNSW_SUMS]),
		FIELD(file_bytes),
		FIELD(label_count),
	};
	const uint64_t values[] = {0,
							   1,
							   2,
							   3,
							   7,
							   8,
							   255,
							   257,
							   4096,
							   16001,
							   65537,
							   N - 1,
							   N + 1,
							   N + 1000,
							   UINT64_C(0x7fffffff),
							   UINT64_C(0x80000000),
							   UINT64_C(0xffffffff),
							   UINT64_C(0x100000000),
							   UINT64_C(0x7fffffffffffffff),
							   UINT64_C(0xfffffffffffff000),
							   UINT64_MAX};
	uint8_t *bytes = malloc(sound.size);
	int opened = 0;

	assert_non_null(bytes);
	for (size_t f = 0; f < sizeof(fields) / sizeof(*fields); f++)
		for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++)
		{
			HnswSnapshot *snapshot;
			HnswError err = {0};
			HnswStatus status;

			memcpy(bytes, sound.bytes, sound.size);
			memcpy(bytes + fields[f].offset, &values[v], fields[f].size);
			if (memcmp(bytes, sound.bytes, sound.size) == 0)
				continue;
			sample_refit(bytes, sound.size);
			file_write("crafted.hnsw", bytes, sound.size);
			status = hnsw_snapshot_open("crafted.hnsw", &snapshot, &err);
			if (status == HNSW_OK)
			{
				/* Only what the layout does not depend on. */
				if (strcmp(fields[f].name, "metric") != 0 && strcmp(fields[f].name, "ef_construction") != 0 &&
					strncmp(fields[f].name, "layer_count", 11) != 0)
					fail_msg("%s = %llu was accepted", fields[f].name, (unsigned long long) values[v]);
				hnsw_snapshot_close(snapshot);
				use_in_every_way("crafted.hnsw");
				opened++;
			}
			else
			{
				assert_int_equal(status, HNSW_CORRUPT);
				assert_null(snapshot);
			}
		}
	assert_true(opened > 0);
	free(bytes);
}

/* Whole layouts that agree with themselves, with counts the file cannot hold. */
static void
test_huge_counts(void **state)
{
	static const uint64_t counts[] = {HNSW_MAX_NODES, HNSW_MAX_NODES + UINT64_C(1), UINT64_C(1) << 52,
									  UINT64_C(1) << 61, UINT64_MAX};

	for (size_t c = 0; c < sizeof(counts) / sizeof(*counts); c++)
		for (int grown = 0; grown < 2; grown++)
		{
			HnswHeader header = sound.header;
			HnswSnapshot *snapshot;
			HnswError err;
			uint8_t block[HNSW_BLOCK] = {0};
			int fd;

			for (int l = 0; l < HNSW_MAX_LAYERS; l++)
				header.layer_count[l] = counts[c];
			header.dim = HNSW_MAX_DIM;
			header.m = HNSW_MAX_M;
			hnsw_layout(&header);
			header.checksum = hnsw_header_sum(&header, offsetof(HnswHeader, checksum));
			memcpy(block, &header, sizeof(header));
			file_write("huge.hnsw", block, sizeof(block));
			fd = open("huge.hnsw", O_RDWR);
			assert_true(fd >= 0);
			/* A sparse file of the size it claims, where the system makes one. */
			if (grown && ftruncate(fd, (off_t) header.file_bytes) != 0)
			{
				close(fd);
				continue;
			}
			close(fd);
			if (hnsw_snapshot_open("huge.hnsw", &snapshot, &err) == HNSW_OK)
			{
				HnswHit hit;
				HnswStatus status;
				float *query = sample_vectors(1, HNSW_MAX_DIM, 3);

				assert_true(grown);
				assert_int_equal(sample_search(snapshot, query, 10, 1, &hit, &status), 0);
				assert_true(status == HNSW_CORRUPT || status == HNSW_NOMEM);
				hnsw_snapshot_close(snapshot);
				free(query);
			}
			else
				assert_null(snapshot);
		}
	unlink("huge.hnsw");
}

/* A multiple of 4 in [first, last). */
static uint64_t
place_in(uint64_t *random, uint64_t first, uint64_t last)
{
	return first + sample_random(random) % ((last - first) / 4) * 4;
}

/* Random bytes over random places, sums fitted: a small fuzzer that always runs. */
static void
test_random_content(void **state)
{
	uint8_t *bytes = malloc(sound.size);
	uint64_t random = 4711;

	assert_non_null(bytes);
	for (int i = 0; i < 60; i++)
	{
		size_t places = 1 + sample_random(&random) % 200;

		memcpy(bytes, sound.bytes, sound.size);
		for (size_t j = 0; j < places; j++)
			bytes[HNSW_BLOCK + sample_random(&random) % (sound.size - HNSW_BLOCK)] =
				(uint8_t) sample_random(&random);
		sample_refit(bytes, sound.size);
		file_write("random.hnsw", bytes, sound.size);
		use_in_every_way("random.hnsw");
	}
	free(bytes);
}

/* Somebody writes into the file all the time, between the check of a value and its use. */
static void
test_written_while_searched(void **state)
{
	const char *path = "moving.hnsw";
	HnswSnapshot *snapshot;
	HnswError err;
	pid_t writer;
	int fd;

	file_write(path, sound.bytes, sound.size);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	fflush(NULL);
	writer = fork();
	assert_true(writer >= 0);
	if (writer == 0)
	{
		uint64_t random = 1;
		uint64_t first = sound.header.section_offset[HNSW_LINKS0];
		uint64_t last = sound.header.section_offset[HNSW_SKETCHES];

		/* The right value and a wrong one in turn, links above all. */
		for (;;)
		{
			uint64_t place = place_in(&random, first, last);
			uint32_t wrong = (uint32_t) sample_random(&random);

			if (pwrite(fd, &wrong, sizeof(wrong), (off_t) place) != sizeof(wrong) ||
				pwrite(fd, sound.bytes + place, sizeof(wrong), (off_t) place) != sizeof(wrong))
				_exit(1);
		}
	}
	for (int round = 0; round < 300; round++)
	{
		HnswHit hits[K];
		HnswStatus status;

		assert_int_equal(hnsw_snapshot_open(path, &snapshot, &err), HNSW_OK);
		/* Verified while it stood still, as after a long life; then only bounds protect. */
		memset((void *) snapshot->verified, 0xff, (snapshot->size / HNSW_BLOCK / 64 + 1) * sizeof(uint64_t));
		for (int i = 0; i < QUERIES; i++)
			sample_search(snapshot, sound.queries + i * DIM, 40, K, hits, &status);
		hnsw_snapshot_close(snapshot);
		if (round % 30 == 0)
			use_in_every_way(path);
	}
	kill(writer, SIGKILL);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_header_bit), cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_exchanged_blocks), cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_planted_values),   cmocka_unit_test(test_rings_and_islands),
		cmocka_unit_test(test_crafted_headers),  cmocka_unit_test(test_huge_counts),
		cmocka_unit_test(test_random_content),   cmocka_unit_test(test_written_while_searched),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
