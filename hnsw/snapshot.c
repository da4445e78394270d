/*
 * snapshot.c
 *		Mapping graph files, and reading single records from them.
 *
 * The header is the only part read on opening.  It is copied, checked against
 * its checksum, against itself and against the size of the file; from then on
 * only the copy is used.  All arithmetic that leads to an address therefore
 * rests on checked numbers, and what the sections themselves hold (node
 * numbers above all) is checked wherever it is used.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "hnsw/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "graph files are little-endian and used in place; this processor is not"
#endif
_Static_assert(sizeof(HnswHeader) <= HNSW_BLOCK, "the header is one block");
_Static_assert(sizeof(HnswHeader) == offsetof(HnswHeader, checksum) + sizeof(uint64_t),
			   "the checksum ends the header");
_Static_assert(offsetof(HnswHeader, version) == 8 && offsetof(HnswHeader, header_bytes) == 12,
			   "every version keeps these places");

/* A header needs at least the fields that all versions share, and its sum. */
#define HEADER_BYTES_MIN 24

static const char *
code_name(HnswCode code)
{
	switch (code)
	{
		case HNSW_CODE_F32:
			return "f32";
		case HNSW_CODE_SQ8:
			return "sq8";
	}
	return "unknown";
}

/* In a sketch. */
static uint32_t
coordinates(const HnswHeader *h)
{
	return h->sketch_rank > 0 ? h->sketch_rank : h->dim;
}

uint64_t
hnsw_labels_of_header(const HnswHeader *header)
{
	return header->version < 4 ? header->layer_count[0] : header->label_count;
}

bool
hnsw_layout(HnswHeader *header)
{
	uint64_t n = header->layer_count[0];
	uint64_t labels = hnsw_labels_of_header(header);
	uint64_t upper = 0;
	uint64_t bytes[HNSW_SECTIONS];
	uint64_t offset = HNSW_BLOCK;

	for (int l = 1; l < HNSW_MAX_LAYERS; l++)
		upper += header->layer_count[l];

	/*
	 * With n below 2^32, dim and m at their limits, no product reaches 2^53
	 * and so no sum of them overflows.
	 */
	bytes[HNSW_LINKS0] = n * 2 * header->m * sizeof(uint32_t);
	bytes[HNSW_UPPER] = upper * header->m * sizeof(uint32_t);
	bytes[HNSW_BASIS] = hnsw_basis_floats(header->dim, header->sketch_rank) * sizeof(float);
	bytes[HNSW_SKETCHES] = n * hnsw_sketch_stride((HnswCode) header->code, coordinates(header));
	bytes[HNSW_CODES] = n * header->code_stride;
	bytes[HNSW_VECTORS] = n * header->dim * sizeof(float);
	bytes[HNSW_LABELS] = labels * sizeof(int64_t) + (labels > n ? (n + 1) * sizeof(uint32_t) : 0);
	bytes[HNSW_ORDER] = labels * sizeof(uint32_t);

	for (int i = 0; i < HNSW_SUMS; i++)
	{
		header->section_offset[i] = offset;
		offset += (bytes[i] + HNSW_BLOCK - 1) / HNSW_BLOCK * HNSW_BLOCK;
	}
	header->section_offset[HNSW_SUMS] = offset;
	bytes[HNSW_SUMS] = (offset / HNSW_BLOCK - 1) * sizeof(uint64_t) + sizeof(header->magic);
	header->file_bytes = offset + (bytes[HNSW_SUMS] + HNSW_BLOCK - 1) / HNSW_BLOCK * HNSW_BLOCK;

	return header->file_bytes <= PTRDIFF_MAX;
}

/* Does the header, its checksum being right, describe a possible graph? */
static bool
header_is_possible(const HnswHeader *h)
{
	HnswHeader implied;

	if (h->dim < 1 || h->dim > HNSW_MAX_DIM)
		return false;
	if (h->metric != HNSW_COSINE && h->metric != HNSW_L2 && h->metric != HNSW_IP)
		return false;
	if (h->m < HNSW_MIN_M || h->m > HNSW_MAX_M)
		return false;
	if (h->ef_construction < 1 || h->ef_construction > HNSW_MAX_EF)
		return false;
	if (h->code_stride != hnsw_code_stride(h->code, h->dim))
		return false;
	if (h->sketch_rank > HNSW_BASIS_RANK_MAX || h->sketch_rank > h->dim ||
		(h->sketch_rank > 0 && h->code != HNSW_CODE_SQ8))
		return false;
	if (h->layer_count[0] > HNSW_MAX_NODES)
		return false;
	if (h->version < 4 ? h->label_count != 0
					   : h->label_count > HNSW_MAX_NODES || h->label_count < h->layer_count[0] ||
							 (h->layer_count[0] == 0 && h->label_count > 0))
		return false;
	for (int l = 1; l < HNSW_MAX_LAYERS; l++)
		if (h->layer_count[l] > h->layer_count[l - 1])
			return false;

	implied = *h;
	return hnsw_layout(&implied) && implied.file_bytes == h->file_bytes &&
		   memcmp(implied.section_offset, h->section_offset, sizeof(h->section_offset)) == 0;
}

static HnswStatus
header_validate(const uint8_t *block, uint64_t file_bytes, const char *name, HnswHeader *header,
				HnswError *err)
{
	uint64_t sum;

	memcpy(header, block, sizeof(*header));
	if (memcmp(header->magic, HNSW_MAGIC, sizeof(header->magic)) != 0)
		return hnsw_fail(err, HNSW_CORRUPT, "\"%s\" is not a graph file: it does not begin with \"%s\"", name,
						 HNSW_MAGIC);
	if (header->header_bytes < HEADER_BYTES_MIN || header->header_bytes > HNSW_BLOCK)
		return hnsw_fail(err, HNSW_CORRUPT, "graph file \"%s\" is damaged: impossible header size %u", name,
						 header->header_bytes);
	memcpy(&sum, block + header->header_bytes - sizeof(sum), sizeof(sum));
	if (sum != hnsw_header_sum(block, header->header_bytes - sizeof(sum)))
		return hnsw_fail(err, HNSW_CORRUPT, "graph file \"%s\" is damaged: its header has a wrong checksum",
						 name);
	if (header->version < HNSW_FORMAT_OLDEST || header->version > HNSW_FORMAT_VERSION)
		return hnsw_fail(err, HNSW_VERSION,
						 "graph file \"%s\" has format version %u, but this library reads versions %u to %u",
						 name, header->version, HNSW_FORMAT_OLDEST, HNSW_FORMAT_VERSION);
	if (header->header_bytes != sizeof(*header) || !header_is_possible(header))
		return hnsw_fail(err, HNSW_CORRUPT, "graph file \"%s\" is damaged: its header contradicts itself",
						 name);
	if (header->file_bytes != file_bytes)
		return hnsw_fail(err, HNSW_CORRUPT,
						 "graph file \"%s\" is damaged: it has %llu bytes where its header says %llu", name,
						 (unsigned long long) file_bytes, (unsigned long long) header->file_bytes);
	return HNSW_OK;
}

/* Read the first block; what lies beyond the end of a short file is zero. */
static HnswStatus
read_first_block(int fd, const char *name, uint8_t *block, HnswError *err)
{
	size_t done = 0;

	memset(block, 0, HNSW_BLOCK);
	while (done < HNSW_BLOCK)
	{
		ssize_t n = pread(fd, block + done, HNSW_BLOCK - done, (off_t) done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return hnsw_fail_errno(err, "could not read graph file", name);
		if (n == 0)
			break;
		done += (size_t) n;
	}
	return HNSW_OK;
}

static void
fill_in(HnswSnapshot *s)
{
	const HnswHeader *h = &s->header;
	size_t words = 0;

	for (int i = 0; i < HNSW_SECTIONS; i++)
		s->section[i] = s->base + h->section_offset[i];
	s->count = (uint32_t) h->layer_count[0];
	s->label_count = (uint32_t) hnsw_labels_of_header(h);
	if (s->label_count > s->count)
		s->starts = (const uint32_t *) hnsw_label(s, s->label_count);
	s->sketch_stride = hnsw_sketch_stride((HnswCode) h->code, coordinates(h));
	s->links0_words = 2 * (size_t) h->m;
	for (int l = 0; l < HNSW_MAX_LAYERS; l++)
	{
		if (h->layer_count[l] > 0)
			s->layers = (uint32_t) l + 1;
		s->upper_words[l] = words;
		if (l > 0)
			words += (size_t) h->layer_count[l] * h->m;
	}

	s->info.params.dim = h->dim;
	s->info.params.metric = (HnswMetric) h->metric;
	s->info.params.m = h->m;
	s->info.params.ef_construction = h->ef_construction;
	s->info.params.seed = h->seed;
	memcpy(s->info.identity.token, h->token, sizeof(h->token));
	s->info.identity.database_device = h->database_device;
	s->info.identity.database_inode = h->database_inode;
	s->info.identity.seq = h->seq;
	s->info.count = s->label_count;
	s->info.nodes = s->count;
	s->info.layers = s->layers;
	s->info.file_bytes = h->file_bytes;
	s->info.format_version = h->version;
	s->info.code = code_name((HnswCode) h->code);
}

/*
 * Tell the kernel how the map will be read: at random.  A file that can stay in
 * memory had better be read in huge pages, which brings it there soon and saves
 * address translations ever after.  From one that cannot, more than what was
 * asked for would be read in vain, every time.  Advice only: failure is nothing.
 */
static void
advise(void *base, size_t size)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	long page_bytes = sysconf(_SC_PAGESIZE);

	if (pages > 0 && page_bytes > 0 && size / (size_t) page_bytes > (size_t) pages / 2)
		(void) madvise(base, size, MADV_RANDOM);
#ifdef MADV_HUGEPAGE
	else
		(void) madvise(base, size, MADV_HUGEPAGE);
#endif
}

HnswStatus
hnsw_snapshot_map(int fd, const char *name, HnswSnapshot **out, HnswError *err)
{
	HnswSnapshot *s;
	HnswStatus status;
	struct stat st;
	uint8_t block[HNSW_BLOCK];
	void *base;

	*out = NULL;
	if (fstat(fd, &st) != 0)
		return hnsw_fail_errno(err, "could not look at graph file", name);
	if (!S_ISREG(st.st_mode))
	{
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		return hnsw_fail_errno(err, "could not read graph file", name);
	}
	status = read_first_block(fd, name, block, err);
	if (status != HNSW_OK)
		return status;

	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return hnsw_fail(err, HNSW_NOMEM, "out of memory while opening graph file \"%s\"", name);
	status = header_validate(block, (uint64_t) st.st_size, name, &s->header, err);
	if (status != HNSW_OK)
	{
		free(s);
		return status;
	}

	s->size = (size_t) s->header.file_bytes;
	s->verified = calloc(s->size / HNSW_BLOCK / 64 + 1, sizeof(*s->verified));
	if (s->verified == NULL)
	{
		free(s);
		return hnsw_fail(err, HNSW_NOMEM, "out of memory while opening graph file \"%s\"", name);
	}
	base = mmap(NULL, s->size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
	{
		status = hnsw_fail_errno(err, "could not map graph file", name);
		free(s->verified);
		free(s);
		return status;
	}
	s->base = base;
	advise(base, s->size);
	if (!hnsw_fault_watch(base, s->size, false, &s->corrupt))
	{
		hnsw_snapshot_close(s);
		return hnsw_fail(err, HNSW_NOMEM, "out of memory while opening graph file \"%s\"", name);
	}
	fill_in(s);
	*out = s;
	return HNSW_OK;
}

HnswStatus
hnsw_snapshot_open(const char *path, HnswSnapshot **out, HnswError *err)
{
	HnswStatus status;
	int fd;

	*out = NULL;
	if (err != NULL)
		*err = (HnswError){0};
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	do
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return hnsw_fail_errno(err, "could not open graph file", path);
	status = hnsw_snapshot_map(fd, path, out, err);
	close(fd);
	return status;
}

void
hnsw_snapshot_close(HnswSnapshot *snapshot)
{
	if (snapshot == NULL)
		return;
	if (snapshot->base != NULL)
		hnsw_fault_unwatch(snapshot->base, &snapshot->corrupt);
	munmap((void *) snapshot->base, snapshot->size);
	free(snapshot->verified);
	free(snapshot);
}

const HnswSnapshotInfo *
hnsw_snapshot_info(const HnswSnapshot *snapshot)
{
	return &snapshot->info;
}

const uint32_t *
hnsw_links_upper(const HnswSnapshot *s, uint32_t layer, uint32_t node)
{
	return (const uint32_t *) s->section[HNSW_UPPER] + s->upper_words[layer] + (size_t) node * s->header.m;
}

bool
hnsw_snapshot_basis(const HnswSnapshot *s, HnswBasis *basis)
{
	size_t bytes = hnsw_basis_floats(s->header.dim, s->header.sketch_rank) * sizeof(float);
	bool sound = bytes == 0 || hnsw_touch(s, s->section[HNSW_BASIS], bytes);

	*basis = hnsw_basis_at((const float *) s->section[HNSW_BASIS], s->header.dim,
						   sound ? s->header.sketch_rank : 0);
	return sound;
}

HnswStatus
hnsw_snapshot_find(const HnswSnapshot *s, int64_t label, uint32_t *node)
{
	const uint32_t *order = (const uint32_t *) s->section[HNSW_ORDER];
	uint32_t low = 0;
	uint32_t high = s->label_count;

	while (low < high)
	{
		uint32_t middle = low + (high - low) / 2;
		uint32_t place;
		int64_t candidate;

		if (!hnsw_touch(s, &order[middle], sizeof(*order)))
			return HNSW_CORRUPT;
		place = hnsw_read_link(&order[middle]);
		if (place >= s->label_count)
		{
			hnsw_set_corrupt(s);
			return HNSW_CORRUPT;
		}
		if (!hnsw_read_label(s, place, &candidate))
			return HNSW_CORRUPT;
		if (candidate == label)
			return hnsw_node_at(s, place, node) && !hnsw_snapshot_is_corrupt(s) ? HNSW_OK : HNSW_CORRUPT;
		if (candidate < label)
			low = middle + 1;
		else
			high = middle;
	}
	return hnsw_snapshot_is_corrupt(s) ? HNSW_CORRUPT : HNSW_NOTFOUND;
}

HnswStatus
hnsw_snapshot_vector(const HnswSnapshot *s, int64_t label, float *vector)
{
	size_t bytes = (size_t) s->header.dim * sizeof(float);
	uint32_t node;
	HnswStatus status = hnsw_snapshot_find(s, label, &node);

	if (status != HNSW_OK || vector == NULL)
		return status;
	if (!hnsw_touch(s, hnsw_vector(s, node), bytes))
		return HNSW_CORRUPT;
	memcpy(vector, hnsw_vector(s, node), bytes);
	return hnsw_snapshot_is_corrupt(s) ? HNSW_CORRUPT : HNSW_OK;
}

HnswStatus
hnsw_snapshot_each(const HnswSnapshot *s, HnswVisit visit, void *arg)
{
	size_t bytes = (size_t) s->header.dim * sizeof(float);
	uint64_t passed = 0;

	for (uint32_t node = 0; node < s->count; node++)
	{
		uint32_t place;
		uint32_t end;

		if (!hnsw_places(s, node, &place, &end) || !hnsw_count_places(s, end - place, &passed) ||
			!hnsw_touch(s, hnsw_vector(s, node), bytes))
			return HNSW_CORRUPT;
		for (; place < end; place++)
		{
			int64_t label;

			if (!hnsw_read_label(s, place, &label) || hnsw_snapshot_is_corrupt(s))
				return HNSW_CORRUPT;
			if (!visit(arg, label, hnsw_vector(s, node)))
				return HNSW_OK;
		}
	}
	return hnsw_snapshot_is_corrupt(s) ? HNSW_CORRUPT : HNSW_OK;
}
