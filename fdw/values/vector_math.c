/*
 * vector_math.c
 *		Operators and functions that make a vector, or bits, of vectors: sum,
 *		difference and product of the elements, concatenation, a part, unit
 *		length, signs; and the two distances of bits.
 *
 * A result beyond the range of real is an error, as for real.  What they give
 * is what pgvector's functions of the same purpose give.
 */
#include "fdw/values/values.h"

#include <math.h>

#include "port/pg_bitutils.h"
#include "utils/varbit.h"

VSS_SQL_FUNCTION(vss_vector_add);
VSS_SQL_FUNCTION(vss_vector_sub);
VSS_SQL_FUNCTION(vss_vector_mul);
VSS_SQL_FUNCTION(vss_vector_concat);
VSS_SQL_FUNCTION(vss_l2_normalize);
VSS_SQL_FUNCTION(vss_subvector);
VSS_SQL_FUNCTION(vss_binary_quantize);
VSS_SQL_FUNCTION(vss_hamming_distance);
VSS_SQL_FUNCTION(vss_jaccard_distance);

/* ---------- element by element ---------- */

/* a + sign * b */
static VssVector *
add_scaled(const VssVector *a, const VssVector *b, float sign)
{
	VssVector *result;

	vssfdw_vector_check_same_dim(a, b);
	result = vssfdw_vector_make(a->dim);
	for (int i = 0; i < a->dim; i++)
	{
		result->x[i] = a->x[i] + sign * b->x[i];
		vssfdw_vector_check_range(result->x[i], i + 1);
	}
	return result;
}

Datum
vss_vector_add(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(add_scaled(PG_GETARG_VSSVECTOR_P(0), PG_GETARG_VSSVECTOR_P(1), 1));
}

Datum
vss_vector_sub(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(add_scaled(PG_GETARG_VSSVECTOR_P(0), PG_GETARG_VSSVECTOR_P(1), -1));
}

/* A product too small for real is an error too: it would be 0 of two numbers that are not. */
Datum
vss_vector_mul(PG_FUNCTION_ARGS)
{
	VssVector *a = PG_GETARG_VSSVECTOR_P(0);
	VssVector *b = PG_GETARG_VSSVECTOR_P(1);
	VssVector *result;

	vssfdw_vector_check_same_dim(a, b);
	result = vssfdw_vector_make(a->dim);
	for (int i = 0; i < a->dim; i++)
	{
		result->x[i] = a->x[i] * b->x[i];
		vssfdw_vector_check_range(result->x[i], i + 1);
		if (result->x[i] == 0 && a->x[i] != 0 && b->x[i] != 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("value out of range: underflow"),
					 errdetail("Element %d of the result is too small for real.", i + 1)));
	}
	PG_RETURN_POINTER(result);
}

/* ---------- parts ---------- */

Datum
vss_vector_concat(PG_FUNCTION_ARGS)
{
	VssVector *a = PG_GETARG_VSSVECTOR_P(0);
	VssVector *b = PG_GETARG_VSSVECTOR_P(1);
	VssVector *result;

	vssfdw_vector_check_dim((int64) a->dim + b->dim);
	result = vssfdw_vector_make(a->dim + b->dim);
	memcpy(result->x, a->x, sizeof(float) * a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(float) * b->dim);
	PG_RETURN_POINTER(result);
}

/*
 * count elements from start on, which is 1 for the first.  As of substring(),
 * what lies outside of the vector counts but is not there.
 */
Datum
vss_subvector(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);
	int64 start = PG_GETARG_INT32(1);
	int64 end = start + PG_GETARG_INT32(2); /* behind the last */
	VssVector *result;

	start = Max(start, 1);
	end = Min(end, vector->dim + 1);
	vssfdw_vector_check_dim(end - start);
	result = vssfdw_vector_make((int) (end - start));
	memcpy(result->x, vector->x + start - 1, sizeof(float) * result->dim);
	PG_RETURN_POINTER(result);
}

/* Of length 1, or the zero vector as it is. */
Datum
vss_l2_normalize(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);
	double length = bridge_norm(vector->x, vector->dim);
	VssVector *result = vssfdw_vector_make(vector->dim);

	for (int i = 0; i < vector->dim && length > 0; i++)
		result->x[i] = (float) (vector->x[i] / length);
	PG_RETURN_POINTER(result);
}

/* ---------- bits ---------- */

/* A bit for each element: whether it is above zero. */
Datum
vss_binary_quantize(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);
	int size = VARBITTOTALLEN(vector->dim);
	VarBit *bits = palloc0(size);

	SET_VARSIZE(bits, size);
	VARBITLEN(bits) = vector->dim;
	for (int i = 0; i < vector->dim; i++)
		if (vector->x[i] > 0)
			VARBITS(bits)[i / BITS_PER_BYTE] |= 0x80 >> (i % BITS_PER_BYTE);
	PG_RETURN_VARBIT_P(bits);
}

static void
check_same_length(VarBit *a, VarBit *b)
{
	if (VARBITLEN(a) != VARBITLEN(b))
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("different bit lengths %d and %d", VARBITLEN(a), VARBITLEN(b))));
}

/* How many bits differ. */
Datum
vss_hamming_distance(PG_FUNCTION_ARGS)
{
	VarBit *a = PG_GETARG_VARBIT_P(0);
	VarBit *b = PG_GETARG_VARBIT_P(1);
	int64 differ = 0;

	check_same_length(a, b);
	for (int i = 0; i < VARBITBYTES(a); i++)
		differ += pg_number_of_ones[(unsigned char) (VARBITS(a)[i] ^ VARBITS(b)[i])];
	PG_RETURN_FLOAT8((double) differ);
}

/* 1 - bits that both have / bits that one has; 1 where both have no bit in common, or none at all. */
Datum
vss_jaccard_distance(PG_FUNCTION_ARGS)
{
	VarBit *a = PG_GETARG_VARBIT_P(0);
	VarBit *b = PG_GETARG_VARBIT_P(1);
	int64 both = 0;
	int64 either = 0;

	check_same_length(a, b);
	for (int i = 0; i < VARBITBYTES(a); i++)
	{
		both += pg_number_of_ones[(unsigned char) (VARBITS(a)[i] & VARBITS(b)[i])];
		either += pg_number_of_ones[(unsigned char) (VARBITS(a)[i] | VARBITS(b)[i])];
	}
	PG_RETURN_FLOAT8(both == 0 ? 1 : 1 - (double) both / (double) either);
}
