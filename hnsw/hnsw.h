/*
 * hnsw.h
 *		Approximate nearest-neighbour search over a hierarchical navigable
 *		small-world graph (Malkov & Yashunin 2016, arXiv:1603.09320).
 *
 * The library knows nothing of SQL, of databases or of their transactions.
 * It has two objects.  A builder is a graph in memory that can be changed,
 * by several threads at once.  A snapshot is an immutable graph, usually a
 * file mapped read-only and shared by every process that searches it.  A
 * builder writes snapshots; only snapshots are searched.
 *
 * Every function that can fail returns an HnswStatus and, where it takes an
 * HnswError, explains itself there.  Nothing here aborts, prints or exits.
 *
 * What differs from the paper, and why
 *
 * - One sorted pool of candidates instead of two queues: a search that keeps ef
 *   results expands nothing beyond the ef-th, so that one array with marks
 *   serves as both (pool.h).
 * - A walk compares by sketches of four bits a coordinate, since it is bound by
 *   the cache lines that it touches, and nearly all it meets is far away.  The
 *   best are compared by codes of eight bits, and the best of these by the
 *   vectors.  Distances that a caller sees are exact (sketch.c, code.c, cursor.c).
 * - A search stops when it is sure: when all that is left to expand is farther
 *   than the results by a margin.  The margin is measured, on the graph itself,
 *   since none suits all data.  Who names an ef gets the paper's rule (stages.c,
 *   tune.c, rounds.c).
 * - A search is resumable.  It yields results one by one, in order, and goes on
 *   until all nodes have been given, at last by a scan of what no walk has met.
 *   So a filter never has too few rows (search.h).
 * - Equal vectors are one node with a list of labels.  A crowd of copies would
 *   otherwise have no link out of it, and fill every list near by (lists.c, ties.c).
 * - Nodes that no list leads to are linked from the nearest node in reach; the
 *   heuristic alone would lose them to every search (connect.c).
 * - Removed nodes are passed through until the graph around them is mended, and
 *   then really go (remove.c, after Singh et al. 2021, arXiv:2105.09613).
 * - Vectors are inserted in portions, near ones after one another, by several
 *   threads; a node's own list may get links before its owner writes it, and
 *   then the two are merged (batch.c, insert.c).
 * - The layer of a node is a function of seed and label, not of a state that
 *   threads share: the same rows give the same layers (rng.h).
 * - A file is mapped and never trusted: blocks have checksums, and each number
 *   is checked before it is used (verify.c, snapshot.c, fault.c).
 */
#ifndef HNSW_H
#define HNSW_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define HNSW_BEGIN_DECLARATIONS                                                                              \
	extern "C"                                                                                               \
	{
#define HNSW_END_DECLARATIONS }
#else
#define HNSW_BEGIN_DECLARATIONS
#define HNSW_END_DECLARATIONS
#endif

HNSW_BEGIN_DECLARATIONS

/* Set apart from the versions of the graph file, which a snapshot checks itself. */
#define HNSW_LIBRARY_VERSION "0.1.0"

/* HNSW_LIBRARY_VERSION of the library that is linked or loaded. */
const char *hnsw_library_version(void);

#define HNSW_MAX_DIM 16000
#define HNSW_MIN_M 2
#define HNSW_MAX_M 256
#define HNSW_MAX_EF 65536
#define HNSW_MAX_NODES UINT32_MAX /* ids 0 .. 2^32-2 */
#define HNSW_TOKEN_BYTES 8

typedef enum HnswStatus
{
	HNSW_OK = 0,
	HNSW_DONE,        /* a cursor has no further result */
	HNSW_NOTFOUND,    /* no such label, or no such file */
	HNSW_INVALID,     /* an argument is out of range */
	HNSW_NOMEM,       /* memory, or the number of nodes, is exhausted */
	HNSW_INTERRUPTED, /* the caller's callback asked to stop */
	HNSW_IO,          /* the system refused; HnswError.sys_errno says why */
	HNSW_FULL,        /* no space left on the device or in the quota */
	HNSW_CORRUPT,     /* the file's content contradicts itself or a checksum */
	HNSW_VERSION      /* the file is sound but of another format version */
} HnswStatus;

/* What went wrong, in words for the user; "" after HNSW_OK. */
typedef struct HnswError
{
	int sys_errno;
	char message[240];
} HnswError;

const char *hnsw_status_name(HnswStatus status);

/* ---------- kernels.c, distance.c ---------- */

typedef enum HnswMetric
{
	HNSW_COSINE = 1, /* 1 - cos(a, b); NaN when either has length zero */
	HNSW_L2 = 2,     /* Euclidean distance (the root is taken) */
	HNSW_IP = 3      /* negative inner product */
} HnswMetric;

typedef enum HnswKernel
{
	HNSW_KERNEL_AUTO = 0, /* the best this processor has */
	HNSW_KERNEL_PORTABLE,
	HNSW_KERNEL_AVX2,   /* with FMA */
	HNSW_KERNEL_AVX512, /* F, BW, VL; VNNI where the kernel needs it */
	HNSW_KERNEL_NEON
} HnswKernel;

/*
 * The distance between two vectors of dim float32, smaller is nearer.
 *
 * This is the one routine behind every distance a user ever sees.  It sums in
 * double precision in a fixed order, so that every kernel, host and database
 * returns the same bits.  Safe from any thread.
 */
double hnsw_distance(HnswMetric metric, const float *a, const float *b, uint32_t dim);

/* Euclidean length in the same arithmetic. */
double hnsw_norm(const float *a, uint32_t dim);

/* "cosine", "l2", "ip" and back; hnsw_metric_parse returns 0 for other text. */
const char *hnsw_metric_name(HnswMetric metric);
HnswMetric hnsw_metric_parse(const char *name);

/*
 * Force a kernel, for tests and benchmarks; HNSW_INVALID where the processor
 * lacks it.  Without a call the environment variable HNSW_KERNEL (portable,
 * avx2, avx512, neon) decides, then the processor.  Not thread-safe.
 */
HnswStatus hnsw_set_kernel(HnswKernel kernel);
const char *hnsw_kernel_name(void);

/* ---------- builder.c, batch.c, insert.c, remove.c ---------- */

typedef struct HnswParams
{
	uint32_t dim; /* 1 .. HNSW_MAX_DIM */
	HnswMetric metric;
	uint32_t m;               /* degree above layer 0; layer 0 has 2m */
	uint32_t ef_construction; /* candidates kept while building */
	uint64_t seed;            /* levels are a function of seed and label */
} HnswParams;

/*
 * Long work reports and can be stopped.  cancelled may be called from any of
 * the worker threads; progress only from the calling thread.  Either may be
 * NULL.  threads: 0 means one per online processor.
 */
typedef struct HnswTask
{
	bool (*cancelled)(void *arg);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
	int threads;
} HnswTask;

typedef struct HnswSnapshot HnswSnapshot;
typedef struct HnswBuilder HnswBuilder;

/* An empty graph.  capacity is a hint of how many nodes will come. */
HnswStatus hnsw_builder_create(const HnswParams *params, uint64_t capacity, HnswBuilder **out,
							   HnswError *err);

/* The graph of a snapshot, to be changed.  The snapshot must outlive it. */
HnswStatus hnsw_builder_load(const HnswSnapshot *snapshot, const HnswTask *task, HnswBuilder **out,
							 HnswError *err);

void hnsw_builder_free(HnswBuilder *builder);

/* Labels.  Equal vectors (bit for bit) share a node, so nodes may be fewer. */
uint64_t hnsw_builder_count(const HnswBuilder *builder);

/*
 * Insert a vector, or replace the one that has this label.
 *
 * vector: dim float32, finite, for cosine not all zero (else HNSW_INVALID); it
 * is copied.  Thread-safe against other adds.  On failure the graph is as it
 * was.
 */
HnswStatus hnsw_builder_add(HnswBuilder *builder, int64_t label, const float *vector, HnswError *err);

/*
 * Insert n vectors (n x dim float32, row-major) on several threads; not beside
 * other adds.  After an error or an interrupt some of them are in.  Labels that
 * rise make it faster: none comes twice, so the order is free.
 */
HnswStatus hnsw_builder_add_many(HnswBuilder *builder, size_t n, const int64_t *labels, const float *vectors,
								 const HnswTask *task, HnswError *err);

/*
 * Take a label out, and with the last of its vector the node out of every layer at
 * once; hnsw_builder_repair must run before the builder is written.  HNSW_NOTFOUND if
 * there is none.  Not thread-safe.
 */
HnswStatus hnsw_builder_remove(HnswBuilder *builder, int64_t label);

/* Give the neighbours of removed nodes new links, on several threads. */
HnswStatus hnsw_builder_repair(HnswBuilder *builder, const HnswTask *task, HnswError *err);

/* ---------- publish.c ---------- */

/* What the caller wants to find again in the file; the library only keeps it. */
typedef struct HnswIdentity
{
	uint8_t token[HNSW_TOKEN_BYTES]; /* of this very file */
	uint64_t database_device;        /* st_dev and st_ino of the database */
	uint64_t database_inode;
	int64_t seq; /* change number the graph is the image of */
} HnswIdentity;

typedef struct HnswWriteOptions
{
	HnswIdentity identity;
	int mode;      /* permission bits; -1 leaves what umask gives */
	int64_t group; /* -1 leaves it; failing to set it is no error */
	int64_t owner; /* likewise; only root can give a file away */
} HnswWriteOptions;

/*
 * Write the graph as a new file: a temporary file beside path is written,
 * synced and renamed to path, then the folder is synced.  On failure path is
 * as it was and the temporary file is gone.  Removed nodes are not written.
 */
HnswStatus hnsw_builder_write(HnswBuilder *builder, const char *path, const HnswWriteOptions *options,
							  const HnswTask *task, HnswError *err);

/* The same into anonymous memory, for databases that have no file. */
HnswStatus hnsw_builder_snapshot(HnswBuilder *builder, const HnswWriteOptions *options, HnswSnapshot **out,
								 HnswError *err);

/* ---------- snapshot.c, verify.c ---------- */

typedef struct HnswSnapshotInfo
{
	HnswParams params;
	HnswIdentity identity;
	uint64_t count; /* labels */
	uint64_t nodes; /* different vectors; in files of version 3 as many as labels */
	uint32_t layers;
	uint64_t file_bytes;
	uint32_t format_version;
	const char *code; /* what the search traverses: "f32", "sq8", ... */
} HnswSnapshotInfo;

/*
 * Map a graph file read-only.  Costs the same for every size: only the header
 * is looked at; each 4 KiB block is verified when it is first touched.
 * HNSW_NOTFOUND, HNSW_VERSION, HNSW_CORRUPT and HNSW_IO are told apart.
 */
HnswStatus hnsw_snapshot_open(const char *path, HnswSnapshot **out, HnswError *err);

/* Several threads may search one snapshot; close only when none does. */
void hnsw_snapshot_close(HnswSnapshot *snapshot);

const HnswSnapshotInfo *hnsw_snapshot_info(const HnswSnapshot *snapshot);

/*
 * True once any read met a wrong checksum, an impossible value or a fault
 * (truncation under the map).  Stays true; results not yet handed out are
 * withheld with HNSW_CORRUPT.
 */
bool hnsw_snapshot_is_corrupt(const HnswSnapshot *snapshot);

/*
 * Copy the vector stored under label into vector (dim float32, may be NULL to
 * ask only whether it is there).  HNSW_NOTFOUND, HNSW_CORRUPT.
 */
HnswStatus hnsw_snapshot_vector(const HnswSnapshot *snapshot, int64_t label, float *vector);

/* Call visit for every label, in no special order but equal vectors together, until it returns false. */
typedef bool (*HnswVisit)(void *arg, int64_t label, const float *vector);
HnswStatus hnsw_snapshot_each(const HnswSnapshot *snapshot, HnswVisit visit, void *arg);

/* ---------- fault.c: maps of files that others may truncate ---------- */

/*
 * From now on a SIGBUS inside [base, base + size), which a truncated file
 * causes, sets *lost and turns the pages of the whole range into zeros, private
 * to the process, readable, and writable if asked for.  A range may be watched
 * several times, with a flag each.  False when memory is out.
 */
#ifndef __cplusplus /* which has no _Atomic */
bool hnsw_fault_watch(const void *base, size_t size, bool writable, _Atomic bool *lost);

/* Called before the range is unmapped. */
void hnsw_fault_unwatch(const void *base, const _Atomic bool *lost);
#endif

/* ---------- check.c ---------- */

/*
 * Verify every block and the whole structure: ranges, degrees, self and double
 * links, members of each layer, labels and their order, reachability of each
 * node from the entry point.  report is called with one line a finding, until
 * it returns false.  problems counts them all.  HNSW_OK means that the check
 * came to its end, whatever it found; HNSW_INTERRUPTED and HNSW_NOMEM that it
 * did not.  Needs about 4 bytes a node.  task and report may be NULL.
 */
typedef bool (*HnswReport)(void *arg, const char *finding);
HnswStatus hnsw_snapshot_check(const HnswSnapshot *snapshot, const HnswTask *task, HnswReport report,
							   void *arg, uint64_t *problems);

/* ---------- search.c ---------- */

typedef struct HnswHit
{
	int64_t label;
	double distance; /* hnsw_distance of the stored vector */
} HnswHit;

typedef struct HnswStats
{
	uint64_t nodes_visited;      /* expanded: their links were read */
	uint64_t distances_computed; /* approximate and exact ones */
	uint64_t rejected;           /* labels found, but not admitted */
	bool exhausted;              /* the graph is done; the rest came from a scan */
} HnswStats;

#define HNSW_MAX_MARGIN 16.0

typedef struct HnswSearchOptions
{
	uint32_t ef; /* candidates kept: 1 .. HNSW_MAX_EF; not used where there is a margin */

	/*
	 * Stop when it is sure: when nothing left to expand is within d + |d| x margin of
	 * the result at distance d (stages.c).  As hnsw_snapshot_tune() measures it; at
	 * most HNSW_MAX_MARGIN, 0: by ef.
	 */
	float margin;

	/*
	 * Whether a label may be returned; NULL admits all.  Called once a label found, or
	 * twice where several labels have one vector; the answers must be the same.
	 */
	bool (*admit)(void *arg, int64_t label);
	void *admit_arg;
	/* Polled every few hundred distances; NULL never stops. */
	bool (*interrupted)(void *arg);
	void *interrupt_arg;
} HnswSearchOptions;

typedef struct HnswCursor HnswCursor;

/*
 * Search for the labels nearest to query (dim float32, finite, for cosine not
 * zero, else HNSW_INVALID; copied).  k: how many of them will be read, 0 when
 * that is not known; knowing it saves reading the codes of candidates that
 * surely come later.  The snapshot must outlive the cursor.
 */
HnswStatus hnsw_search_begin(const HnswSnapshot *snapshot, const float *query, uint32_t k,
							 const HnswSearchOptions *options, HnswCursor **out, HnswError *err);

/* Start over with another query, keeping the memory; options as before. */
HnswStatus hnsw_search_again(HnswCursor *cursor, const float *query, uint32_t k, HnswError *err);

/*
 * The next result.  The first ef, or k where that is less and not 0, come in
 * non-decreasing distance as one search, and at the same distance in the order of
 * their labels; going on past them widens the same search and computes nothing
 * again.  Read to HNSW_DONE, every admitted label has come exactly once: what links do not reach comes from an exact scan, and so
 * does everything once a large share of the graph has been visited.
 * Completeness goes before order where a late node is nearer than one already
 * given.
 */
HnswStatus hnsw_search_next(HnswCursor *cursor, HnswHit *hit);

void hnsw_search_stats(const HnswCursor *cursor, HnswStats *stats);
void hnsw_search_end(HnswCursor *cursor);

/* ---------- tune.c ---------- */

#define HNSW_TUNED_K 10 /* results that recall is measured by */

/* Before anything is measured, and of small graphs. */
#define HNSW_DEFAULT_MARGIN 0.28
#define HNSW_DEFAULT_VISITS 100

typedef struct HnswTuned
{
	float margin;    /* HnswSearchOptions.margin */
	uint32_t visits; /* nodes that a search for ten results visits with it, on average */
	double recall;   /* the share that the questions found with it; 0: not measured */
} HnswTuned;

/* Questions of the caller's, as many as are worth asking. */
#define HNSW_MAX_QUESTIONS 256

typedef struct HnswQuestions
{
	const float *vectors; /* count x dim, each one fit to be searched for */
	uint32_t count;       /* at most HNSW_MAX_QUESTIONS; 0: stored vectors are asked for */
} HnswQuestions;

/*
 * Measure how far a search must go on so that this share of the ten nearest of a
 * new query is found, on average: recall > 0, < 1.  New queries are like the
 * questions; without any, which may be NULL then, stored vectors serve as such.  The
 * same graph and questions give the same values.  It takes the time of some thousand
 * searches, and with questions one reading of all vectors that measures each against
 * all questions, on the calling thread; only task's cancelled is used, and task may be
 * NULL.  HNSW_INVALID for a question that cannot be asked, HNSW_INTERRUPTED,
 * HNSW_CORRUPT, HNSW_NOMEM.
 */
HnswStatus hnsw_snapshot_tune(const HnswSnapshot *snapshot, double recall, const HnswQuestions *questions,
							  const HnswTask *task, HnswTuned *out, HnswError *err);

HNSW_END_DECLARATIONS

/* ---------- parallel.c ---------- */

/*
 * Start a thread with all signals blocked that are sent from outside: the
 * host's handlers expect the host's threads.  Faults stay as they are, since a
 * blocked SIGBUS would kill the process where fault.c would have caught it.
 * False when it cannot be started.
 */
bool hnsw_thread_start(pthread_t *thread, void *(*body)(void *), void *arg);

#endif /* HNSW_H */
