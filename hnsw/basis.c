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

/* Rounds of the iteration; the spectrum of embeddings falls fast enough for few. */
#define ROUNDS 3

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

/* One round: rows become the orthonormal basis of (sum of x x') rows. */
static void
iterate(const float *sample, uint32_t n, uint32_t dim, float *rows, float *next, uint32_t rank)
{
	const HnswKernels *k = hnsw_kernels();

	memset(next, 0, (size_t) rank * dim * sizeof *next);
	for (uint32_t i = 0; i < n; i++)
	{
		const float *x = sample + (size_t) i * dim;

		for (uint32_t j = 0; j < rank; j++)
			axpy(k->dot(rows + (size_t) j * dim, x, dim), x, next + (size_t) j * dim, dim);
	}
	orthonormalise(next, 0, rank, dim);
	memcpy(rows, next, (size_t) rank * dim * sizeof *rows);
}

/* The share of the sample's variance that the rows do not see. */
static double
left_out(const float *sample, uint32_t n, uint32_t dim, const float *rows, uint32_t rank)
{
	const HnswKernels *k = hnsw_kernels();
	double all = 0;
	double seen = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		const float *x = sample + (size_t) i * dim;

		all += k->exact_dot(x, x, dim);
		for (uint32_t j = 0; j < rank; j++)
		{
			double along = k->dot(rows + (size_t) j * dim, x, dim);

			seen += along * along;
		}
	}
	return all > 0 ? 1 - seen / all : 0;
}

/* Turn the rows at random within their span. */
static void
turn(float *rows, float *next, uint32_t rank, uint32_t dim, float *rotation, uint64_t *state)
{
	for (size_t i = 0; i < (size_t) rank * rank; i++)
		rotation[i] = normal(state);
	orthonormalise(rotation, 0, rank, rank);
	memset(next, 0, (size_t) rank * dim * sizeof *next);
	for (uint32_t i = 0; i < rank; i++)
		for (uint32_t j = 0; j < rank; j++)
			axpy(rotation[(size_t) i * rank + j], rows + (size_t) j * dim, next + (size_t) i * dim, dim);
	memcpy(rows, next, (size_t) rank * dim * sizeof *rows);
}

/*
 * The sample: every so many-th vector, of length one for cosine, less their mean.
 * One that cannot be in a graph counts as zero.
 */
static void
take_sample(HnswMetric metric, uint32_t dim, uint32_t n, HnswVectorAt at, void *arg, uint32_t taken,
			float *sample, float *mean)
{
	const HnswKernels *k = hnsw_kernels();

	memset(mean, 0, dim * sizeof *mean);
	for (uint32_t i = 0; i < taken; i++)
	{
		const float *vector = at(arg, (uint32_t) ((uint64_t) i * n / taken));
		bool usable = hnsw_vector_usable(metric, vector, dim);
		double length = metric == HNSW_COSINE ? sqrt(k->exact_dot(vector, vector, dim)) : 1;

		for (uint32_t j = 0; j < dim; j++)
			sample[(size_t) i * dim + j] = usable ? (float) (vector[j] / length) : 0;
		axpy(1 / (float) taken, sample + (size_t) i * dim, mean, dim);
	}
	for (uint32_t i = 0; i < taken; i++)
		axpy(-1, mean, sample + (size_t) i * dim, dim);
}

/*
 * What follows the rows: their products with the mean, and its square.  False
 * when the vectors were too large for floats, and the rows are worthless.
 */
static bool
set_offsets(const float *mean, float *rows, uint32_t rank, uint32_t dim)
{
	const HnswKernels *k = hnsw_kernels();
	float *offset = rows + (size_t) rank * dim;

	for (uint32_t i = 0; i < rank; i++)
		offset[i] = (float) k->exact_dot(rows + (size_t) i * dim, mean, dim);
	offset[rank] = (float) k->exact_dot(mean, mean, dim);
	return isfinite(k->dot(offset, offset, rank + 1));
}

/* Find the fewest lines of coordinates that leave out little; the rank, or 0. */
static uint32_t
find_rows(const float *sample, uint32_t taken, uint32_t dim, uint32_t most, float *rows, float *next,
		  uint64_t *state)
{
	uint32_t rank = 0;

	for (uint32_t lines = 1; lines <= most; lines++)
	{
		uint32_t wider = hnsw_sketch_room(lines);

		for (size_t i = (size_t) rank * dim; i < (size_t) wider * dim; i++)
			rows[i] = normal(state);
		rank = wider;
		for (int round = 0; round < ROUNDS; round++)
			iterate(sample, taken, dim, rows, next, rank);
		if (left_out(sample, taken, dim, rows, rank) <= LEFT_OUT_MAX)
			return rank;
	}
	return 0;
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
hnsw_basis_learn(HnswMetric metric, uint32_t dim, uint32_t n, HnswVectorAt at, void *arg, float **data,
				 uint32_t *rank)
{
	uint32_t most = lines_worth(dim, n);
	uint32_t taken = SAMPLE_FLOATS / dim;
	uint64_t state = 1;
	uint32_t room;
	float *sample;
	float *next;
	float *rotation;
	HnswStatus status = HNSW_NOMEM;

	*data = NULL;
	*rank = 0;
	if (n < SAMPLE_MIN || most == 0)
		return HNSW_OK;
	taken = taken < SAMPLE_MIN ? SAMPLE_MIN : taken > SAMPLE_MAX ? SAMPLE_MAX : taken;
	taken = taken < n ? taken : n;
	room = hnsw_sketch_room(most);
	*data = malloc(hnsw_basis_floats(dim, room) * sizeof(float));
	sample = malloc((size_t) taken * dim * sizeof *sample);
	next = malloc((size_t) room * dim * sizeof *next);
	rotation = malloc((size_t) room * room * sizeof *rotation);
	if (*data != NULL && sample != NULL && next != NULL && rotation != NULL)
	{
		float *mean = *data;
		float *rows = mean + dim;

		status = HNSW_OK;
		take_sample(metric, dim, n, at, arg, taken, sample, mean);
		*rank = find_rows(sample, taken, dim, most, rows, next, &state);
		if (*rank > 0)
		{
			turn(rows, next, *rank, dim, rotation, &state);
			if (!set_offsets(mean, rows, *rank, dim))
				*rank = 0;
		}
	}
	if (*rank == 0)
	{
		free(*data);
		*data = NULL;
	}
	free(sample);
	free(next);
	free(rotation);
	return status;
}
