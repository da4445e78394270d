/*
 * support_file.c
 *		Graphs and graph files for the tests of hnsw/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support_file.h"

uint64_t
sample_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

float *
sample_vectors(size_t n, uint32_t dim, uint64_t seed)
{
	uint64_t state = seed * 2 + 1;
	float *vectors = malloc((n * dim + 1) * sizeof(float));

	assert_non_null(vectors);
	for (size_t i = 0; i < n * dim; i++)
		vectors[i] = (float) ((double) (sample_random(&state) >> 40) / (1 << 23) - 1.0);
	for (size_t i = 0; i < n; i++)
		if (vectors[i * dim] == 0)
			vectors[i * dim] = 0.5f;
	return vectors;
}

int64_t
sample_label(size_t i)
{
	/* Odd multiplier: different i give different labels. */
	return (int64_t) ((uint64_t) i * UINT64_C(0x9e3779b97f4a7c15));
}

HnswBuilder *
sample_build(HnswMetric metric, uint32_t dim, uint32_t m, size_t n, const float *vectors)
{
	HnswParams params = {.dim = dim, .metric = metric, .m = m, .ef_construction = 64, .seed = 7};
	HnswBuilder *builder = NULL;
	HnswError err = {0};

	assert_int_equal(hnsw_builder_create(&params, n, &builder, &err), HNSW_OK);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(hnsw_builder_add(builder, sample_label(i), vectors + i * dim, &err), HNSW_OK);
	return builder;
}

void
sample_write(HnswBuilder *builder, const char *path)
{
	HnswWriteOptions options = {.identity = {.token = {1, 2, 3, 4, 5, 6, 7, 8},
											 .database_device = 11,
											 .database_inode = 12,
											 .seq = 13},
								.mode = -1,
								.group = -1};
	HnswError err = {0};
	HnswStatus status = hnsw_builder_write(builder, path, &options, NULL, &err);

	if (status != HNSW_OK)
		fail_msg("hnsw_builder_write: %s", err.message);
}

void
sample_make_file(const char *path, HnswMetric metric, uint32_t dim, uint32_t m, size_t n)
{
	float *vectors = sample_vectors(n, dim, 1);
	HnswBuilder *builder = sample_build(metric, dim, m, n, vectors);

	sample_write(builder, path);
	hnsw_builder_free(builder);
	free(vectors);
}

HnswSnapshot *
sample_open(const char *path)
{
	HnswSnapshot *snapshot = NULL;
	HnswError err = {0};

	if (hnsw_snapshot_open(path, &snapshot, &err) != HNSW_OK)
		fail_msg("hnsw_snapshot_open: %s", err.message);
	return snapshot;
}

uint8_t *
file_read(const char *path, size_t *size)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long end;

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	end = ftell(file);
	assert_true(end >= 0);
	rewind(file);
	bytes = malloc((size_t) end + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, (size_t) end, file), end);
	fclose(file);
	*size = (size_t) end;
	return bytes;
}

void
file_write(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

int
folder_count(const char *folder, const char *suffix)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
	{
		size_t length = strlen(entry->d_name);

		n += length >= strlen(suffix) && strcmp(entry->d_name + length - strlen(suffix), suffix) == 0;
	}
	closedir(dir);
	return n;
}

void
sample_refit(uint8_t *bytes, size_t size)
{
	HnswHeader header;
	uint64_t offset;
	uint64_t blocks;

	memcpy(&header, bytes, sizeof(header));
	header.checksum = hnsw_header_sum(&header, offsetof(HnswHeader, checksum));
	memcpy(bytes, &header, sizeof(header));

	offset = header.section_offset[HNSW_SUMS];
	blocks = offset / HNSW_BLOCK;
	if (blocks < 1 || offset > size || (blocks - 1) * sizeof(uint64_t) > size - offset)
		return;
	for (uint64_t block = 1; block < blocks; block++)
	{
		uint64_t sum = hnsw_block_sum(bytes + block * HNSW_BLOCK, block);

		memcpy(bytes + offset + (block - 1) * sizeof(sum), &sum, sizeof(sum));
	}
}

size_t
sample_search(const HnswSnapshot *snapshot, const float *query, uint32_t ef, size_t k, HnswHit *hits,
			  HnswStatus *status)
{
	HnswSearchOptions options = {.ef = ef};
	HnswCursor *cursor = NULL;
	HnswError err = {0};
	size_t found = 0;

	*status = hnsw_search_begin(snapshot, query, 0, &options, &cursor, &err);
	while (*status == HNSW_OK && found < k)
	{
		*status = hnsw_search_next(cursor, &hits[found]);
		if (*status == HNSW_OK)
			found++;
	}
	hnsw_search_end(cursor);
	return found;
}

static bool
print_finding(void *arg, const char *finding)
{
	uint64_t *printed = arg;

	if (++*printed <= 5)
		print_message("check: %s\n", finding);
	return *printed <= 5;
}

uint64_t
sample_problems(const HnswSnapshot *snapshot)
{
	uint64_t problems = UINT64_MAX;
	uint64_t printed = 0;

	assert_int_equal(hnsw_snapshot_check(snapshot, NULL, print_finding, &printed, &problems), HNSW_OK);
	return problems;
}
