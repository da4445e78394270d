/*
 * basis.c
 *		The few directions along which a set of vectors varies.
 *
 * Embeddings fill few of their dimensions.  A sketch of the coordinates along
 * the directions of largest variance takes a fraction of the cache lines of one
 * of all elements, and loses little: what is left out of the vectors is small,
 * and what a walk decides by sketches is decided again by codes and vectors.
 *
 * The directions are found by subspace iteration from random ones on a sample
 * (Halko, Martinsson & Tropp 2011, algorithm 4.4), and then turned at random
 * among themselves: so every coordinate has about the same variance, and one
 * scale for all of them wastes no bits (the rotation of RaBitQ, Gao & Long 2024).
 */
#include "code.h"
#include "distance.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Vectors looked at: this many floats of them, within these bounds. */
#define SAMPLE_FLOATS (2u << 20)
#define SAMPLE_MIN 1024
#define SAMPLE_MAX 4096

/* Every so many-th of them judges what is learnt from the others. */
#define JUDGES 4

/* Rounds of the iteration; the spectrum of embeddings falls fast enough for few. */
#define ROUNDS 3

/* Vectors between two questions whether to go on. */
#define POLL_EVERY 16

/*
 * The share of the variance that may be left out.  On every data set tried, one
 * line that left out a sixth was better than several that left out less.
 */
#define LEFT_OUT_MAX 0.2

size_t
hnsw_basis_floats(uint32_t dim, uint32_t rank)
{
	return rank == 0 ? 0 : (size_t) dim * (rank + 1) + rank + 1;
}

HnswBasis
hnsw_basis_at(const float *data, uint32_t dim, uint32_t rank)
{
	HnswBasis basis = {.dim = dim, .rank = rank};

	if (rank > 0)
	{
		basis.mean = data;
		basis.rows = data + dim;
		basis.offset = basis.rows + (size_t) rank * dim;
		basis.mean_square = basis.offset[rank];
	}
	return basis;
}

static float
to_finite(double x)
{
	if (isnan(x))
		return 0;
	x = x < FLT_MAX ? x : FLT_MAX;
	return (float) (x > -FLT_MAX ? x : -FLT_MAX);
}

float
hnsw_basis_project(const HnswBasis *basis, const float *vector, double unit, float *out)
{
	const HnswKernels *k = hnsw_kernels();

	for (uint32_t i = 0; i < basis->rank; i++)
		out[i] = to_finite(unit * k->exact_dot(basis->rows + (size_t) i * basis->dim, vector, basis->dim) -
						   (double) basis->offset[i]);
	return to_finite(unit * k->exact_dot(basis->mean, vector, basis->dim));
}

float
hnsw_basis_project_fast(const HnswBasis *basis, const float *vector, double unit, float *out)
{
	const HnswKernels *k = hnsw_kernels();
	float scale = (float) unit;

	for (uint32_t i = 0; i < basis->rank; i++)
		out[i] = to_finite(scale * k->dot(basis->rows + (size_t) i * basis->dim, vector, basis->dim) -
						   basis->offset[i]);
	return to_finite(scale * k->dot(basis->mean, vector, basis->dim));
}

/* ---------- learning ---------- */

typedef struct Learning
{
	HnswMetric metric;
	uint32_t dim;
	const HnswTask *task;
	uint64_t random;

	uint32_t taken;
	float *sample; /* taken x dim: of length one for cosine, less their mean */
	float *mean;
	float *rows;     /* room x dim */
	float *next;     /* likewise */
	float *rotation; /* room x room */
} Learning;

static bool
cancelled(const Learning *l)
{
	return l->task != NULL && l->task->cancelled != NULL && l->task->cancelled(l->task->arg);
}

static void
axpy(float a, const float *restrict x, float *restrict y, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		y[i] += a * x[i];
}

static float
normal(uint64_t *state)
{
	double u = ((double) (hnsw_mix((*state)++) >> 11) + 0.5) * 0x1p-53;
	double v = (double) (hnsw_mix((*state)++) >> 11) * 0x1p-53;

	return (float) (sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

/*
 * Make rows from first on of length one and perpendicular to one another and to
 * those before.  Twice is enough (Giraud et al. 2005); a row that depends on
 * those before it becomes zero.
 */
static void
orthonormalise(float *rows, uint32_t first, uint32_t count, uint32_t dim)
{
	const HnswKernels *k = hnsw_kernels();

	for (uint32_t i = first; i < count; i++)
	{
		float *row = rows + (size_t) i * dim;
		double before = sqrt(k->exact_dot(row, row, dim));
		double length;

		for (int pass = 0; pass < 2; pass++)
			for (uint32_t j = 0; j < i; j++)
				axpy(-k->dot(rows + (size_t) j * dim, row, dim), rows + (size_t) j * dim, row, dim);
		length = sqrt(k->exact_dot(row, row, dim));
		for (uint32_t at = 0; at < dim; at++)
			row[at] = length > 1e-5 * before && length > 0 ? (float) (row[at] / length) : 0;
	}
}

/* One round: rows from first on become the orthonormal basis of (sum of x x') rows. */
static HnswStatus
iterate(Learning *l, uint32_t first, uint32_t count)
{
	const HnswKernels *k = hnsw_kernels();
	uint32_t dim = l->dim;
	size_t bytes = (size_t) (count - first) * dim * sizeof *l->rows;

	memset(l->next, 0, bytes);
	for (uint32_t i = 0; i < l->taken; i++)
	{
		const float *x = l->sample + (size_t) i * dim;

		if (i % POLL_EVERY == 0 && cancelled(l))
			return HNSW_INTERRUPTED;
		for (uint32_t j = first; j < count && i % JUDGES != 0; j++)
			axpy(k->dot(l->rows + (size_t) j * dim, x, dim), x, l->next + (size_t) (j - first) * dim, dim);
	}
	memcpy(l->rows + (size_t) first * dim, l->next, bytes);
	orthonormalise(l->rows, first, count, dim);
	return HNSW_OK;
}

/* The share of the judges' variance that the rows do not see. */
static double
left_out(const Learning *l, uint32_t count)
{
	const HnswKernels *k = hnsw_kernels();
	double all = 0;
	double seen = 0;

	for (uint32_t i = 0; i < l->taken; i += JUDGES)
	{
		const float *x = l->sample + (size_t) i * l->dim;

		all += k->exact_dot(x, x, l->dim);
		for (uint32_t j = 0; j < count; j++)
		{
			double along = k->dot(l->rows + (size_t) j * l->dim, x, l->dim);

			seen += along * along;
		}
	}
	return all > 0 ? 1 - seen / all : 0;
}

/*
 * Find the fewest lines of coordinates that leave out little; *rank, or 0.  The
 * rows of a line are found when those before are done.  Each next line sees
 * less than the last, so it is soon known when no number of them will do.
 */
static HnswStatus
find_rows(Learning *l, uint32_t most, uint32_t *rank)
{
	double left = 1;
	uint32_t count = 0;

	*rank = 0;
	for (uint32_t lines = 1; lines <= most; lines++)
	{
		uint32_t wider = hnsw_sketch_room(lines);
		double before = left;

		for (size_t i = (size_t) count * l->dim; i < (size_t) wider * l->dim; i++)
			l->rows[i] = normal(&l->random);
		orthonormalise(l->rows, count, wider, l->dim);
		for (int round = 0; round < ROUNDS; round++)
			if (iterate(l, count, wider) != HNSW_OK)
				return HNSW_INTERRUPTED;
		left = left_out(l, wider);
		if (left <= LEFT_OUT_MAX)
		{
			*rank = wider;
			break;
		}
		if (left - (before - left) * (hnsw_sketch_room(most) - wider) / (wider - count) > LEFT_OUT_MAX)
			break;
		count = wider;
	}
	return HNSW_OK;
}

/* Turn the rows at random within their span. */
static void
turn(Learning *l, uint32_t rank)
{
	size_t bytes = (size_t) rank * l->dim * sizeof *l->rows;

	for (size_t i = 0; i < (size_t) rank * rank; i++)
		l->rotation[i] = normal(&l->random);
	orthonormalise(l->rotation, 0, rank, rank);
	memset(l->next, 0, bytes);
	for (uint32_t i = 0; i < rank; i++)
		for (uint32_t j = 0; j < rank; j++)
			axpy(l->rotation[(size_t) i * rank + j], l->rows + (size_t) j * l->dim,
				 l->next + (size_t) i * l->dim, l->dim);
	memcpy(l->rows, l->next, bytes);
}

/* Every so many-th of n vectors.  One that cannot be in a graph counts as zero. */
static void
take_sample(Learning *l, uint32_t n, HnswVectorAt at, void *arg)
{
	const HnswKernels *k = hnsw_kernels();

	memset(l->mean, 0, l->dim * sizeof *l->mean);
	for (uint32_t i = 0; i < l->taken; i++)
	{
		const float *vector = at(arg, (uint32_t) ((uint64_t) i * n / l->taken));
		float *x = l->sample + (size_t) i * l->dim;
		bool usable = hnsw_vector_usable(l->metric, vector, l->dim);
		double length = l->metric == HNSW_COSINE ? sqrt(k->exact_dot(vector, vector, l->dim)) : 1;

		for (uint32_t j = 0; j < l->dim; j++)
			x[j] = usable ? (float) (vector[j] / length) : 0;
		axpy(1 / (float) l->taken, x, l->mean, l->dim);
	}
	for (uint32_t i = 0; i < l->taken; i++)
		axpy(-1, l->mean, l->sample + (size_t) i * l->dim, l->dim);
}

/*
 * What follows the rows: their products with the mean, and its square.  False
 * when the vectors were too large for floats, and the rows are worthless.
 */
static bool
set_offsets(Learning *l, uint32_t rank)
{
	const HnswKernels *k = hnsw_kernels();
	float *offset = l->rows + (size_t) rank * l->dim;

	for (uint32_t i = 0; i < rank; i++)
		offset[i] = (float) k->exact_dot(l->rows + (size_t) i * l->dim, l->mean, l->dim);
	offset[rank] = (float) k->exact_dot(l->mean, l->mean, l->dim);
	return isfinite(k->dot(offset, offset, rank + 1));
}

/*
 * The most lines of a sketch for which a basis is worth its own size and the
 * time to find a query's coordinates: half of those that the elements take, and
 * no more than what n sketches save.
 */
static uint32_t
lines_worth(uint32_t dim, uint32_t n)
{
	uint32_t full = hnsw_sketch_stride(HNSW_CODE_SQ8, dim) / HNSW_LINE;
	uint32_t lines = full / 2 < HNSW_BASIS_LINES ? full / 2 : HNSW_BASIS_LINES;

	while (lines > 0 && (uint64_t) n * (full - lines) * HNSW_LINE <
							hnsw_basis_floats(dim, hnsw_sketch_room(lines)) * sizeof(float))
		lines--;
	return lines;
}

HnswStatus
hnsw_basis_learn(HnswMetric metric, uint32_t dim, uint32_t n, HnswVectorAt at, void *arg,
				 const HnswTask *task, float **data, uint32_t *rank, HnswError *err)
{
	Learning l = {.metric = metric, .dim = dim, .task = task, .taken = SAMPLE_FLOATS / dim};
	uint32_t most = lines_worth(dim, n);
	HnswStatus status = HNSW_OK;
	size_t room;

	*data = NULL;
	*rank = 0;
	if (n < SAMPLE_MIN || most == 0)
		return HNSW_OK;
	l.taken = l.taken < SAMPLE_MIN ? SAMPLE_MIN : l.taken > SAMPLE_MAX ? SAMPLE_MAX : l.taken;
	l.taken = l.taken < n ? l.taken : n;
	room = hnsw_sketch_room(most);
	*data = malloc(hnsw_basis_floats(dim, (uint32_t) room) * sizeof(float));
	l.sample = malloc((size_t) l.taken * dim * sizeof *l.sample);
	l.next = malloc(room * dim * sizeof *l.next);
	l.rotation = malloc(room * room * sizeof *l.rotation);
	if (*data == NULL || l.sample == NULL || l.next == NULL || l.rotation == NULL)
		status = hnsw_fail(err, HNSW_NOMEM, "out of memory for what %u vectors have in common", n);
	else
	{
		l.mean = *data;
		l.rows = l.mean + dim;
		take_sample(&l, n, at, arg);
		if (find_rows(&l, most, rank) != HNSW_OK)
			status = hnsw_fail(err, HNSW_INTERRUPTED, "interrupted");
		if (*rank > 0)
			turn(&l, *rank);
		if (*rank > 0 && !set_offsets(&l, *rank))
			*rank = 0;
	}
	if (*rank == 0)
	{
		free(*data);
		*data = NULL;
	}
	free(l.sample);
	free(l.next);
	free(l.rotation);
	return status;
}
