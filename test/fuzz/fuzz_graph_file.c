/*
 * fuzz_graph_file.c
 *		libFuzzer target: a graph file with anything in it must neither crash
 *		nor hang whoever searches it, checks it or builds upon it.
 *
 * Random bytes would fail at the first checksum and reach nothing.  So the
 * input edits a sound file: byte 0 chooses the file and which checksums are
 * made to fit afterwards, the rest are edits of 6 bytes: a 32-bit place
 * (modulo the size) and two bytes to write there.  An edit whose place has its
 * top bit set cuts the file instead; with bit 6 of byte 0 set the file is cut
 * there only after it was opened, under the map.  Bit 5 asks for a builder,
 * which is slow.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "fuzz.h"

#include "hnsw/internal.h"

#include <fcntl.h>
#include <sys/mman.h>

#define DIM 33 /* of the largest; fewer than 32 have neither codes nor sketches */
#define FILES 8

static struct
{
	uint8_t *bytes;
	size_t size;
} originals[FILES];

int LLVMFuzzerInitialize(int *argc, char ***argv);

static void fit_checksums(uint8_t *bytes, size_t size);

/* As the version before wrote a graph without equal vectors. */
static void
make_version_3(uint8_t *bytes, size_t size)
{
	HnswHeader header;

	memcpy(&header, bytes, sizeof(header));
	must(header.label_count == header.layer_count[0], "equal vectors");
	header.version = 3;
	header.label_count = 0;
	memcpy(bytes, &header, sizeof(header));
	fit_checksums(bytes, size);
}

/* Graphs of no label to 150; those of 150 have several layers. */
int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct
	{
		int labels;
		int vectors; /* that they have */
		uint32_t dim;
		HnswMetric metric;
		bool version_3;
	} kinds[FILES] = {{0, 1, 4, HNSW_COSINE, false},   {1, 1, 4, HNSW_COSINE, false},
					  {20, 20, 4, HNSW_COSINE, false}, {150, 150, DIM, HNSW_L2, false},
					  {150, 40, DIM, HNSW_L2, false},  {30, 1, 4, HNSW_COSINE, false},
					  {150, 150, DIM, HNSW_IP, true},  {60, 7, 4, HNSW_IP, false}};

	for (int f = 0; f < FILES; f++)
	{
		HnswParams params = {
			.dim = kinds[f].dim, .metric = kinds[f].metric, .m = 4, .ef_construction = 20, .seed = 7};
		HnswWriteOptions options = {.mode = -1, .group = -1};
		char path[] = "/tmp/vss_fuzz.XXXXXX";
		int fd = mkstemp(path);
		HnswBuilder *builder;
		HnswError err;
		off_t length;

		must(fd >= 0, "no temporary file");
		must(hnsw_builder_create(&params, 0, &builder, &err) == HNSW_OK, "no builder");
		for (int i = 0; i < kinds[f].labels; i++)
		{
			int j = i % kinds[f].vectors;
			float v[DIM] = {1 + j % 7, j % 11, j % 5 - 2, j % 3, [DIM - 1] = j % 4};

			must(hnsw_builder_add(builder, i, v, &err) == HNSW_OK, "no node");
		}
		must(hnsw_builder_write(builder, path, &options, NULL, &err) == HNSW_OK, "no file");
		hnsw_builder_free(builder);
		close(fd);
		fd = open(path, O_RDONLY);
		length = lseek(fd, 0, SEEK_END);
		originals[f].size = (size_t) length;
		originals[f].bytes = malloc((size_t) length);
		must(pread(fd, originals[f].bytes, (size_t) length, 0) == length, "short file");
		close(fd);
		unlink(path);
		if (kinds[f].version_3)
			make_version_3(originals[f].bytes, originals[f].size);
	}
	return 0;
}

static void
fit_checksums(uint8_t *bytes, size_t size)
{
	HnswHeader header;
	uint64_t *sums;

	if (size < HNSW_BLOCK)
		return;
	memcpy(&header, bytes, sizeof(header));
	if (header.section_offset[HNSW_SUMS] % HNSW_BLOCK == 0 && header.section_offset[HNSW_SUMS] < size)
	{
		size_t blocks = header.section_offset[HNSW_SUMS] / HNSW_BLOCK;

		sums = (uint64_t *) (bytes + header.section_offset[HNSW_SUMS]);
		for (size_t b = 1; b < blocks && header.section_offset[HNSW_SUMS] + b * 8 <= size; b++)
			sums[b - 1] = hnsw_block_sum(bytes + b * HNSW_BLOCK, b);
	}
	header.checksum = hnsw_header_sum(bytes, offsetof(HnswHeader, checksum));
	memcpy(bytes + offsetof(HnswHeader, checksum), &header.checksum, sizeof(header.checksum));
}

static bool
visit(void *arg, int64_t label, const float *vector)
{
	volatile float read;

	for (int i = 0; i < DIM; i++)
		read = vector[i];
	(void) read;
	return --*(int *) arg > 0;
}

static bool
admit(void *arg, int64_t label)
{
	return label % 3 != 0;
}

static bool
report(void *arg, const char *finding)
{
	return --*(int *) arg > 0;
}

/* Change the graph and write it: what comes out of a sound graph is sound. */
static void
rebuild(const HnswSnapshot *snapshot, const float *vector, bool sound)
{
	HnswTask task = {.threads = 1};
	HnswWriteOptions options = {.mode = -1, .group = -1};
	HnswBuilder *builder;
	HnswSnapshot *written;
	HnswError err;
	uint64_t problems;

	if (hnsw_builder_load(snapshot, &task, &builder, &err) != HNSW_OK)
		return;
	(void) hnsw_builder_remove(builder, 3);
	(void) hnsw_builder_add(builder, -1, vector, &err);
	if (hnsw_builder_snapshot(builder, &options, &written, &err) == HNSW_OK)
	{
		must(hnsw_snapshot_check(written, NULL, NULL, NULL, &problems) == HNSW_OK, "check did not end");
		must(!sound || problems == 0, "an unsound graph came of a sound one");
		hnsw_snapshot_close(written);
	}
	hnsw_builder_free(builder);
}

static void
use(HnswSnapshot *snapshot, bool build)
{
	const HnswSnapshotInfo *info = hnsw_snapshot_info(snapshot);
	HnswSearchOptions options = {.ef = 16};
	float *vector = calloc(info->params.dim, sizeof(float));
	HnswCursor *cursor;
	HnswError err;
	int budget = 1000;
	uint64_t problems;

	must(vector != NULL, "no memory");
	vector[0] = 1;
	/* To the end: every label comes once at most. */
	for (int way = 0; way < 2; way++)
	{
		uint64_t found = 0;
		HnswHit hit;

		options.margin = way == 0 ? 0 : 0.3F;
		options.admit = way == 0 ? NULL : admit;
		if (hnsw_search_begin(snapshot, vector, 0, &options, &cursor, &err) != HNSW_OK)
			continue;
		while (hnsw_search_next(cursor, &hit) == HNSW_OK)
			must(++found <= info->count, "more results than labels");
		hnsw_search_end(cursor);
	}
	(void) hnsw_snapshot_vector(snapshot, 7, vector);
	if (info->params.dim == DIM)
		(void) hnsw_snapshot_each(snapshot, visit, &budget);
	budget = 100;
	must(hnsw_snapshot_check(snapshot, NULL, report, &budget, &problems) == HNSW_OK, "check did not end");
	must(problems > 0 || !hnsw_snapshot_is_corrupt(snapshot), "corrupt, but without a problem");
	if (build)
		rebuild(snapshot, vector, problems == 0);
	free(vector);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int which;
	uint8_t *bytes;
	size_t length;
	size_t cut = SIZE_MAX; /* where, once the file is open */
	int fd;
	char path[64];
	HnswSnapshot *snapshot;
	HnswError err;

	fuzz_begin();
	if (size < 1)
		return 0;
	which = data[0] % FILES;
	length = originals[which].size;
	bytes = malloc(length);
	must(bytes != NULL, "no memory");
	memcpy(bytes, originals[which].bytes, length);
	for (size_t at = 1; at + 6 <= size; at += 6)
	{
		uint32_t place;

		memcpy(&place, data + at, sizeof(place));
		if (place >> 31 && data[0] & 0x40)
			cut = (place & INT32_MAX) % length;
		else if (place >> 31)
			length = (place & INT32_MAX) % length + 1;
		else
		{
			place %= (uint32_t) length;
			memcpy(bytes + place, data + at + 4, length - place < 2 ? 1 : 2);
		}
	}
	if (data[0] & 0x80)
		fit_checksums(bytes, length);

	fd = memfd_create("graph", MFD_CLOEXEC);
	must(fd >= 0 && write(fd, bytes, length) == (ssize_t) length, "no memory file");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (hnsw_snapshot_open(path, &snapshot, &err) == HNSW_OK)
	{
		must(cut == SIZE_MAX || ftruncate(fd, (off_t) cut) == 0, "cannot cut the file");
		use(snapshot, data[0] & 0x20);
		must(cut == SIZE_MAX || hnsw_snapshot_is_corrupt(snapshot), "a cut file was not noticed");
		hnsw_snapshot_close(snapshot);
	}
	close(fd);
	free(bytes);
	return 0;
}
