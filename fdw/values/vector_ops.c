/*
 * vector_ops.c
 *		Operators and functions on vss_vector that measure and compare: the
 *		distances, length, order, equality and hashing.
 *
 * Distances are the bridge's, so that a value computed here has the bits of
 * one computed in SQLite.  They take vectors of equal dimensions only.
 */
#include "fdw/values/values.h"

#include "common/hashfn.h"
#include "utils/builtins.h"

VSS_SQL_FUNCTION(vss_cosine_distance);
VSS_SQL_FUNCTION(vss_l2_distance);
VSS_SQL_FUNCTION(vss_inner_product);
VSS_SQL_FUNCTION(vss_negative_inner_product);
VSS_SQL_FUNCTION(vss_l1_distance);
VSS_SQL_FUNCTION(vss_norm);
VSS_SQL_FUNCTION(vss_dims);
VSS_SQL_FUNCTION(vss_vector_lt);
VSS_SQL_FUNCTION(vss_vector_le);
VSS_SQL_FUNCTION(vss_vector_eq);
VSS_SQL_FUNCTION(vss_vector_ne);
VSS_SQL_FUNCTION(vss_vector_ge);
VSS_SQL_FUNCTION(vss_vector_gt);
VSS_SQL_FUNCTION(vss_vector_cmp);
VSS_SQL_FUNCTION(vss_vector_hash);
VSS_SQL_FUNCTION(vss_vector_hash_extended);

/* ---------- distances ---------- */

static double
distance(FunctionCallInfo fcinfo, BridgeMetric metric)
{
	VssVector *a = PG_GETARG_VSSVECTOR_P(0);
	VssVector *b = PG_GETARG_VSSVECTOR_P(1);
	double result;

	vssfdw_vector_check_same_dim(a, b);
	result = bridge_distance(metric, a->x, b->x, a->dim);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

/* 1 - cosine similarity; NaN where a vector has length zero. */
Datum
vss_cosine_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(distance(fcinfo, BRIDGE_COSINE));
}

Datum
vss_l2_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(distance(fcinfo, BRIDGE_L2));
}

Datum
vss_negative_inner_product(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(distance(fcinfo, BRIDGE_IP));
}

Datum
vss_inner_product(PG_FUNCTION_ARGS)
{
	/* Adding zero turns the -0 of orthogonal vectors into 0. */
	PG_RETURN_FLOAT8(-distance(fcinfo, BRIDGE_IP) + 0.0);
}

Datum
vss_l1_distance(PG_FUNCTION_ARGS)
{
	VssVector *a = PG_GETARG_VSSVECTOR_P(0);
	VssVector *b = PG_GETARG_VSSVECTOR_P(1);
	double result;

	vssfdw_vector_check_same_dim(a, b);
	result = bridge_l1_distance(a->x, b->x, a->dim);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	PG_RETURN_FLOAT8(result);
}

/* ---------- length, dimensions ---------- */

Datum
vss_norm(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);

	PG_RETURN_FLOAT8(bridge_norm(vector->x, vector->dim));
}

Datum
vss_dims(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);

	PG_RETURN_INT32(vector->dim);
}

/* ---------- order and equality ---------- */

int
vssfdw_vector_compare(const VssVector *a, const VssVector *b)
{
	int dim = Min(a->dim, b->dim);

	for (int i = 0; i < dim; i++)
	{
		if (a->x[i] < b->x[i])
			return -1;
		if (a->x[i] > b->x[i])
			return 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

/* btree support must not leak: an index scan compares millions of times. */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	VssVector *a = PG_GETARG_VSSVECTOR_P(0);
	VssVector *b = PG_GETARG_VSSVECTOR_P(1);
	int result = vssfdw_vector_compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

Datum
vss_vector_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

Datum
vss_vector_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

Datum
vss_vector_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

Datum
vss_vector_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

Datum
vss_vector_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

Datum
vss_vector_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

Datum
vss_vector_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}

/* The elements' bytes, with -0 made 0 since the two are equal. */
static const unsigned char *
hashable(const VssVector *vector, int *length)
{
	float *copy = palloc(sizeof(float) * vector->dim);

	for (int i = 0; i < vector->dim; i++)
		copy[i] = vector->x[i] == 0 ? 0 : vector->x[i];
	*length = (int) sizeof(float) * vector->dim;
	return (const unsigned char *) copy;
}

Datum
vss_vector_hash(PG_FUNCTION_ARGS)
{
	int length;
	const unsigned char *bytes = hashable(PG_GETARG_VSSVECTOR_P(0), &length);

	PG_RETURN_DATUM(hash_any(bytes, length));
}

Datum
vss_vector_hash_extended(PG_FUNCTION_ARGS)
{
	int length;
	const unsigned char *bytes = hashable(PG_GETARG_VSSVECTOR_P(0), &length);

	PG_RETURN_DATUM(hash_any_extended(bytes, length, PG_GETARG_INT64(1)));
}
