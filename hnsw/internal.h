/*
 * internal.h
 *		What the files of hnsw/ share; nobody outside includes it.
 *
 * The format of the graph file is specified here and in docs/storage.md.
 */
#ifndef HNSW_INTERNAL_H
#define HNSW_INTERNAL_H

#include "hnsw.h"

#include <stdatomic.h>

#define HNSW_NO_NODE UINT32_MAX
#define HNSW_MAX_LAYERS 32
#define HNSW_BLOCK 4096
#define HNSW_LINE 64          /* bytes of a cache line */
#define HNSW_FORMAT_VERSION 4 /* the one that is written; version 3, which has no lists, is read too */
#define HNSW_FORMAT_OLDEST 3
#define HNSW_MAGIC "vss hnsw"

/*
 * The graph file.  Little-endian.  Sections start at multiples of
 * HNSW_BLOCK (so that a block belongs to one section) in the order of the
 * enum.  Nothing in the file is an offset that could lead astray: nodes are
 * numbered by falling top layer, so that the members of layer l are exactly
 * the nodes below layer_count[l], and every record's place follows from its
 * node number.  Node 0 is the entry point.
 *
 *	LINKS0	n x 2m uint32	neighbours on layer 0, unused slots HNSW_NO_NODE at the end
 *	UPPER	for l = 1 .. layers-1: layer_count[l] x m uint32, likewise
 *	BASIS	floats			what the coordinates of sketches are, where they are not the
 *			elements: HnswBasis; none when sketch_rank is 0
 *	SKETCHES n x stride		what the walk reads of each node it meets; by code kind
 *	CODES	n x code_stride	what the search reads of the best it met; by code kind
 *	VECTORS	n x dim float32	as the user stored them
 *	LABELS	label_count x int64, of node 0, node 1, ...; those of a node rise.  Where they
 *			are more than nodes, (n + 1) x uint32 behind them: where each node's labels
 *			begin, and at last their number
 *	ORDER	label_count x uint32	places in LABELS by rising label
 *	SUMS	one uint64 for each block of the sections before: XXH3-64 of the
 *			block's bytes, seeded with its block number in the file
 *
 * The header is the first block and carries its own checksum; SUMS begins with
 * the sum of block 1.  A wrong entry in SUMS can only reject a block that was
 * sound.  The last 8 bytes of the file hold the magic again, so that a
 * truncation under a live map shows wherever it cut.
 *
 * Every version keeps magic, version and header_bytes where they are and ends
 * the header_bytes bytes of its header with their XXH3-64, which is how a sound
 * file of another version is told from a damaged one.
 */
typedef enum HnswSectionKind
{
	HNSW_LINKS0,
	HNSW_UPPER,
	HNSW_BASIS,
	HNSW_SKETCHES,
	HNSW_CODES,
	HNSW_VECTORS,
	HNSW_LABELS,
	HNSW_ORDER,
	HNSW_SUMS,
	HNSW_SECTIONS
} HnswSectionKind;

/*
 * Code records, by kind; their length is hnsw_code_stride().  Vectors of
 * fewer than 32 dimensions have HNSW_CODE_F32, others HNSW_CODE_SQ8.
 *
 *	F32		a float32: 1/length for cosine, else 1; the vectors are traversed
 *	SQ8		dim int8 from -127 to 127, then three float32: the scale (element is
 *			about scale * code; for cosine, the element of the vector brought
 *			to length one), the length of what the codes lost, the square of
 *			the vector's length; zeros up to a multiple of 64 bytes
 *
 * Sketches, of hnsw_sketch_stride() bytes; F32 has none.
 *
 *	SQ8		of r coordinates, h = (r + 1) / 2 bytes, number i in the low half of
 *			byte i, number h + i in the high half of it; two float32 from the next
 *			multiple of 4 on: the scale (a coordinate is about scale * (code -
 *			7.5)), the vector's own part of the key (sketch.c); zeros up to a
 *			multiple of 64 bytes
 */
typedef enum HnswCode
{
	HNSW_CODE_F32 = 0,
	HNSW_CODE_SQ8 = 1
} HnswCode;

typedef struct HnswHeader
{
	char magic[8];
	uint32_t version;
	uint32_t header_bytes;
	uint32_t dim;
	uint32_t metric;
	uint32_t m;
	uint32_t ef_construction;
	uint64_t seed;
	uint32_t code;
	uint32_t code_stride;
	uint32_t sketch_rank;                  /* coordinates in a sketch; 0: the elements themselves */
	uint32_t sketch_nodes;                 /* the number of nodes when BASIS was learnt */
	uint64_t layer_count[HNSW_MAX_LAYERS]; /* [0] is n; non-increasing; 0 above the top */
	uint8_t token[HNSW_TOKEN_BYTES];
	uint64_t database_device;
	uint64_t database_inode;
	int64_t seq;
	uint64_t section_offset[HNSW_SECTIONS]; /* must equal what the counts imply */
	uint64_t file_bytes;
	uint64_t label_count;     /* of all nodes; in version 3 it is 0, and each node has one */
	uint8_t code_params[248]; /* by code kind */
	uint64_t checksum;        /* XXH3-64 of all bytes before it */
} HnswHeader;

/*
 * Coordinates for sketches, in memory of somebody else: for a vector x (brought
 * to length one for cosine), coordinate i is rows[i] . (x - mean).  Rows are
 * about orthonormal.
 */
typedef struct HnswBasis
{
	uint32_t dim;
	uint32_t rank; /* 0: there is none, and coordinates are the elements */
	float mean_square;
	const float *mean;
	const float *rows;   /* rank x dim */
	const float *offset; /* rows[i] . mean */
} HnswBasis;

/* ---------- snapshot.c, verify.c ---------- */

struct HnswSnapshot
{
	HnswSnapshotInfo info;
	HnswHeader header;   /* a private, validated copy */
	const uint8_t *base; /* the map */
	size_t size;
	const uint8_t *section[HNSW_SECTIONS];
	uint32_t count;         /* n */
	uint32_t label_count;   /* at least n */
	const uint32_t *starts; /* the end of LABELS; NULL where each node has one label */
	uint32_t layers;
	uint32_t sketch_stride;
	size_t links0_words;                 /* 2m */
	size_t upper_words[HNSW_MAX_LAYERS]; /* where a layer begins in UPPER */

	/* One bit a block: its checksum was found right by this process. */
	_Atomic uint64_t *verified;
	_Atomic bool corrupt;
};

/*
 * Make sure that blocks first .. last are verified.  False, with
 * snapshot->corrupt set, when one is not what was written.
 */
bool hnsw_verify_blocks(const HnswSnapshot *snapshot, size_t first, size_t last);

/*
 * The same for the bytes [p, p + length), length > 0.  This runs before every
 * read of a record, so it is one bit test where the record lies in one block.
 * The bit needs no ordering: what it vouches for is not written by anybody.
 */
static inline bool
hnsw_touch(const HnswSnapshot *snapshot, const void *p, size_t length)
{
	size_t from = (size_t) ((const uint8_t *) p - snapshot->base);
	size_t first = from / HNSW_BLOCK;
	size_t last = (from + length - 1) / HNSW_BLOCK;
	uint64_t word = atomic_load_explicit(&snapshot->verified[first / 64], memory_order_relaxed);

	if (__builtin_expect((word >> (first % 64) & 1) != 0 && first == last, 1))
		return true;
	return hnsw_verify_blocks(snapshot, first, last);
}

/*
 * Ask for the lines of [p, p + bytes), at most for the first max bytes of it.
 * The empty statement is what keeps the loop: gcc 12 takes one of nothing but
 * prefetches for a loop without effect, and removes it.
 */
static inline void
hnsw_prefetch(const void *p, size_t bytes, size_t max)
{
	if (bytes > max)
		bytes = max;
	for (size_t i = 0; i < bytes; i += 64)
	{
		__builtin_prefetch((const char *) p + i);
		__asm__ volatile("");
	}
}

/*
 * Read a link once: somebody may write to the file between the check of a
 * number and its use, so both must see the same value.
 */
static inline uint32_t
hnsw_read_link(const uint32_t *link)
{
	return *(const volatile uint32_t *) link;
}

/*
 * Places of a node's records.  The caller has bounds-checked node (and, for
 * upper links, node < layer_count[layer]) and calls hnsw_touch before it reads.
 */
static inline const uint32_t *
hnsw_links0(const HnswSnapshot *s, uint32_t node)
{
	return (const uint32_t *) s->section[HNSW_LINKS0] + (size_t) node * s->links0_words;
}

/* The basis of its sketches, in the map, verified; false: it is corrupt. */
bool hnsw_snapshot_basis(const HnswSnapshot *s, HnswBasis *basis);

const uint32_t *hnsw_links_upper(const HnswSnapshot *s, uint32_t layer, uint32_t node);

static inline const uint8_t *
hnsw_code(const HnswSnapshot *s, uint32_t node)
{
	return s->section[HNSW_CODES] + (size_t) node * s->header.code_stride;
}

static inline const uint8_t *
hnsw_sketch(const HnswSnapshot *s, uint32_t node)
{
	return s->section[HNSW_SKETCHES] + (size_t) node * s->sketch_stride;
}

static inline const float *
hnsw_vector(const HnswSnapshot *s, uint32_t node)
{
	return (const float *) s->section[HNSW_VECTORS] + (size_t) node * s->header.dim;
}

static inline const int64_t *
hnsw_label(const HnswSnapshot *s, uint32_t place)
{
	return (const int64_t *) s->section[HNSW_LABELS] + place;
}

/* ---------- lists.c ---------- */

/* The same as hnsw_places() where a node may have several labels. */
bool hnsw_places_of_list(const HnswSnapshot *s, uint32_t node, uint32_t *place, uint32_t *end);

/* A node's labels are at the places from *place on, before *end, one at least; false: the file is corrupt. */
static inline bool
hnsw_places(const HnswSnapshot *s, uint32_t node, uint32_t *place, uint32_t *end)
{
	if (s->starts != NULL)
		return hnsw_places_of_list(s, node, place, end);
	*place = node;
	*end = node + 1;
	return true;
}

/* The label at a place that is below label_count; false: it is corrupt. */
static inline bool
hnsw_read_label(const HnswSnapshot *s, uint32_t place, int64_t *label)
{
	if (!hnsw_touch(s, hnsw_label(s, place), sizeof *label))
		return false;
	*label = *hnsw_label(s, place);
	return true;
}

/*
 * Who passes all nodes counts their labels in *sum: more than there are come of lists
 * that overlap, which a search would read again and again.  False: it is corrupt.
 */
bool hnsw_count_places(const HnswSnapshot *s, uint32_t places, uint64_t *sum);

/* Whose label stands at a place that is below label_count; false: it is corrupt. */
bool hnsw_node_at(const HnswSnapshot *s, uint32_t place, uint32_t *node);

/* What hnsw_places() or hnsw_read_label() will read first of a node. */
static inline void
hnsw_prefetch_labels(const HnswSnapshot *s, uint32_t node)
{
	hnsw_prefetch(s->starts != NULL ? (const void *) (s->starts + node) : hnsw_label(s, node),
				  sizeof(int64_t), HNSW_LINE);
}

/*
 * Fill in the section offsets and file_bytes that dim, m, code_stride and the
 * counts imply; false when the file could not be mapped here.
 */
bool hnsw_layout(HnswHeader *header);

/* How many labels a file of this header has. */
uint64_t hnsw_labels_of_header(const HnswHeader *header);

/* Map the graph file behind fd, which stays the caller's; name is for messages. */
HnswStatus hnsw_snapshot_map(int fd, const char *name, HnswSnapshot **out, HnswError *err);

/* Somebody met an impossible value: withhold everything from now on. */
void hnsw_set_corrupt(const HnswSnapshot *snapshot);

/* The node that has this label: HNSW_OK, HNSW_NOTFOUND, HNSW_CORRUPT. */
HnswStatus hnsw_snapshot_find(const HnswSnapshot *snapshot, int64_t label, uint32_t *node);

uint64_t hnsw_block_sum(const void *block, uint64_t number);
uint64_t hnsw_header_sum(const void *header, size_t bytes);

/* By which equal vectors are found. */
uint64_t hnsw_vector_hash(const float *vector, uint32_t dim);

/* ---------- write.c ---------- */

/*
 * Write the builder's graph to fd, an empty file; name is for messages.
 * Repairing first costs nothing where nothing was removed; afterwards no link
 * leads to a dead node.
 */
HnswStatus hnsw_write_graph(HnswBuilder *builder, int fd, const char *name, const HnswWriteOptions *options,
							const HnswTask *task, HnswError *err);

/* ---------- number.c ---------- */

/* Which builder id becomes which node of the file. */
typedef struct HnswNumbering
{
	uint32_t *builder_id; /* by node */
	uint32_t *node;       /* by builder id; HNSW_NO_NODE for what is not written */
	uint32_t count;
	uint64_t layer_count[HNSW_MAX_LAYERS];
} HnswNumbering;

/*
 * Number the live nodes of a builder at rest.  The arrays are to be freed with
 * hnsw_numbering_free, after a failure too.
 */
HnswStatus hnsw_number(const HnswBuilder *builder, const HnswTask *task, HnswNumbering *out, HnswError *err);
void hnsw_numbering_free(HnswNumbering *numbering);

/* ---------- lists.c ---------- */

/* The labels of a file's nodes, as it will have them. */
typedef struct HnswLists
{
	uint32_t count;   /* labels */
	uint32_t *starts; /* by node; one more at the end, which is count */
	int64_t *labels;  /* by node, those of a node rising */
	uint32_t *order;  /* places in labels, by rising label */
} HnswLists;

/* Of a builder at rest.  To be freed with hnsw_lists_free, after a failure too. */
HnswStatus hnsw_lists(const HnswBuilder *builder, const HnswNumbering *numbering, HnswLists *out,
					  HnswError *err);
void hnsw_lists_free(HnswLists *lists);

/* ---------- builder.c ---------- */

/*
 * What the writer reads of a builder at rest.  Builder ids run from 0 to
 * hnsw_builder_slots() - 1; some are dead.
 */
const HnswParams *hnsw_builder_params(const HnswBuilder *b);
uint32_t hnsw_builder_slots(const HnswBuilder *b);
bool hnsw_builder_live(const HnswBuilder *b, uint32_t id);
uint32_t hnsw_builder_level(const HnswBuilder *b, uint32_t id);
uint32_t hnsw_builder_entry(const HnswBuilder *b); /* HNSW_NO_NODE when empty */
const float *hnsw_builder_vector(const HnswBuilder *b, uint32_t id);
const uint8_t *hnsw_builder_code_record(const HnswBuilder *b, uint32_t id);
const uint8_t *hnsw_builder_sketch(const HnswBuilder *b, uint32_t id); /* where the code has any */
/* Neighbour ids of id on a layer; the count is the result. */
uint32_t hnsw_builder_links(const HnswBuilder *b, uint32_t id, uint32_t layer, const uint32_t **links);

/*
 * The kind of code.  The writer calls hnsw_builder_repair first: a graph that
 * needs none costs nothing there, and afterwards no list is longer than in the
 * file, no link leads to a removed node and every node can be reached from the
 * entry point.
 */
HnswCode hnsw_builder_code(const HnswBuilder *b);

/* The basis of the builder's sketches, and the number of nodes that it was learnt from. */
const HnswBasis *hnsw_builder_basis(const HnswBuilder *b, uint32_t *nodes);

/*
 * The snapshot that the builder was loaded from and reads vectors of, or NULL.
 * When it is found corrupt, the builder has read what nobody wrote and must
 * not be published.
 */
const HnswSnapshot *hnsw_builder_base(const HnswBuilder *b);

/* ---------- code.c ---------- */

/* Bytes of a code record; 0 for an unknown kind. */
uint32_t hnsw_code_stride(HnswCode code, uint32_t dim);

/* Fill one record of hnsw_code_stride() bytes from a vector, padding included. */
void hnsw_code_encode(HnswCode code, HnswMetric metric, const float *vector, uint32_t dim, void *record);

/* ---------- sketch.c ---------- */

/* Bytes of a sketch of so many coordinates; 0 where the kind of code has none. */
uint32_t hnsw_sketch_stride(HnswCode code, uint32_t coordinates);

/* The most coordinates that a sketch of so many cache lines holds. */
uint32_t hnsw_sketch_room(uint32_t lines);

/* Fill one sketch of hnsw_sketch_stride() > 0 bytes from a vector, padding included. */
void hnsw_sketch_encode(HnswMetric metric, const HnswBasis *basis, const float *vector, void *sketch);

/* ---------- basis.c ---------- */

/* A basis has at most as many coordinates as fit in so many cache lines. */
#define HNSW_BASIS_LINES 8
#define HNSW_BASIS_RANK_MAX 1008

/* Its length in floats: the mean, the rows, the offsets, the mean's square. */
size_t hnsw_basis_floats(uint32_t dim, uint32_t rank);

/* The basis that lies at data; data may be NULL where rank is 0. */
HnswBasis hnsw_basis_at(const float *data, uint32_t dim, uint32_t rank);

/* Vector i of those that a basis is learnt from. */
typedef const float *(*HnswVectorAt)(void *arg, uint32_t i);

/*
 * Learn a basis from n vectors, on the calling thread; of task, which may be
 * NULL, only cancelled is used.  *data is malloced, or NULL with *rank 0 where no
 * basis helps: too few vectors, or too many directions.  HNSW_OK, HNSW_NOMEM,
 * HNSW_INTERRUPTED.
 */
HnswStatus hnsw_basis_learn(HnswMetric metric, uint32_t dim, uint32_t n, HnswVectorAt at, void *arg,
							const HnswTask *task, float **data, uint32_t *rank, HnswError *err);

/*
 * The coordinates of unit * vector; the result is its product with the mean.
 * The same under every kernel; _fast: nearly the same, in half the time.
 */
float hnsw_basis_project(const HnswBasis *basis, const float *vector, double unit, float *out);
float hnsw_basis_project_fast(const HnswBasis *basis, const float *vector, double unit, float *out);

/* ---------- distance kernels ---------- */

/*
 * Kernels of the chosen instruction set, in float32: for traversal only, their
 * sums may differ from one another.  n is any number of floats.
 */
typedef struct HnswKernels
{
	const char *name;
	float (*dot)(const float *a, const float *b, uint32_t n);
	float (*l2sq)(const float *a, const float *b, uint32_t n);
	/* exact double sums in the fixed order: every set gives the same bits */
	double (*exact_dot)(const float *a, const float *b, uint32_t n);
	double (*exact_l2sq)(const float *a, const float *b, uint32_t n);
	/* sums of products of integers, so every set gives the same; see code.c for why they fit */
	int32_t (*code_dot)(const int16_t *q, const int8_t *c, uint32_t n);
	int32_t (*code_pair)(const int8_t *a, const int8_t *b, uint32_t n);
	/*
	 * For each of the bytes c[0 .. 64 * blocks) the low half times an element of
	 * q and the high half times another: of a block of 64 bytes, the low halves
	 * with q[128 * block ..], the high ones with the 64 after those.
	 */
	int32_t (*sketch_dot)(const int8_t *q, const uint8_t *c, uint32_t blocks);
	/* the same for four records at once */
	void (*sketch_dot4)(const int8_t *q, const uint8_t *const c[4], uint32_t blocks, int32_t sums[4]);
} HnswKernels;

const HnswKernels *hnsw_kernels(void);

/* ---------- error.c ---------- */

HnswStatus hnsw_fail(HnswError *err, HnswStatus status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
HnswStatus hnsw_fail_errno(HnswError *err, const char *what, const char *path);

/* ---------- os.c: what systems spell differently ---------- */

/* A file that no folder knows, open for reading and writing; -1 with errno. */
int hnsw_os_anonymous_file(void);

/*
 * Ask for the file's space at once.  False, with errno, only where there is
 * none: a file system that cannot reserve finds out when it is written.
 */
bool hnsw_os_reserve(int fd, uint64_t bytes);

/* qsort with an argument for the comparison. */
typedef int HnswCompare(const void *a, const void *b, void *arg);
void hnsw_os_sort(void *base, size_t count, size_t size, HnswCompare *compare, void *arg);

#endif /* HNSW_INTERNAL_H */
