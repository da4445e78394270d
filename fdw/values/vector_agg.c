/*
 * vector_agg.c
 *		The aggregates avg and sum over vectors.
 *
 * Elements are summed in double precision, where no number of vectors that a
 * table can hold overflows, and rounded to real once, at the end.  NULLs are
 * skipped; of no vectors the result is NULL; vectors of different dimensions
 * are an error.  The state can travel between parallel workers.
 */
#include "fdw/values/values.h"

#include "libpq/pqformat.h"
#include "utils/memutils.h"

VSS_SQL_FUNCTION(vss_vector_accumulate);
VSS_SQL_FUNCTION(vss_vector_combine);
VSS_SQL_FUNCTION(vss_vector_serialize);
VSS_SQL_FUNCTION(vss_vector_deserialize);
VSS_SQL_FUNCTION(vss_vector_sum);
VSS_SQL_FUNCTION(vss_vector_avg);

/* Lives in the aggregate's memory context from the first vector on. */
typedef struct SumState
{
	int64 count; /* vectors summed, at least one */
	int dim;
	double sum[FLEXIBLE_ARRAY_MEMBER]; /* dim of them */
} SumState;

static SumState *
make_state(MemoryContext context, int dim)
{
	SumState *state = MemoryContextAllocZero(context, offsetof(SumState, sum) + sizeof(double) * dim);

	state->dim = dim;
	return state;
}

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate support function called in non-aggregate context");
	return context;
}

static void
check_dim(const SumState *state, int dim)
{
	if (state->dim != dim)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("different vector dimensions %d and %d", state->dim, dim)));
}

/* (internal, vss_ordered) -> internal; not strict, so that NULLs can be skipped */
Datum
vss_vector_accumulate(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	SumState *state = PG_ARGISNULL(0) ? NULL : (SumState *) PG_GETARG_POINTER(0);
	VssVector *vector;

	if (PG_ARGISNULL(1))
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}

	vector = PG_GETARG_VSSVECTOR_P(1);
	if (state == NULL)
		state = make_state(context, vector->dim);
	check_dim(state, vector->dim);
	for (int i = 0; i < vector->dim; i++)
		state->sum[i] += vector->x[i];
	state->count++;
	PG_FREE_IF_COPY(vector, 1);
	PG_RETURN_POINTER(state);
}

/* (internal, internal) -> internal; the second is a worker's and not ours to keep */
Datum
vss_vector_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	SumState *state = PG_ARGISNULL(0) ? NULL : (SumState *) PG_GETARG_POINTER(0);
	SumState *other = PG_ARGISNULL(1) ? NULL : (SumState *) PG_GETARG_POINTER(1);

	if (other == NULL)
	{
		if (state == NULL)
			PG_RETURN_NULL();
		PG_RETURN_POINTER(state);
	}
	if (state == NULL)
		state = make_state(context, other->dim);
	check_dim(state, other->dim);
	for (int i = 0; i < state->dim; i++)
		state->sum[i] += other->sum[i];
	state->count += other->count;
	PG_RETURN_POINTER(state);
}

Datum
vss_vector_serialize(PG_FUNCTION_ARGS)
{
	SumState *state = (SumState *) PG_GETARG_POINTER(0);
	StringInfoData message;

	(void) aggregate_context(fcinfo);
	pq_begintypsend(&message);
	pq_sendint64(&message, state->count);
	pq_sendint32(&message, state->dim);
	for (int i = 0; i < state->dim; i++)
		pq_sendfloat8(&message, state->sum[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

Datum
vss_vector_deserialize(PG_FUNCTION_ARGS)
{
	bytea *bytes = PG_GETARG_BYTEA_PP(0);
	StringInfoData message;
	SumState *state;
	int64 count;

	(void) aggregate_context(fcinfo);
	initStringInfo(&message);
	appendBinaryStringInfo(&message, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	count = pq_getmsgint64(&message);
	state = make_state(CurrentMemoryContext, pq_getmsgint(&message, sizeof(int32)));
	state->count = count;
	for (int i = 0; i < state->dim; i++)
		state->sum[i] = pq_getmsgfloat8(&message);
	pq_getmsgend(&message);
	pfree(message.data);
	PG_RETURN_POINTER(state);
}

/* sum / divisor, rounded to real. */
static VssVector *
finish(const SumState *state, double divisor)
{
	VssVector *result = vssfdw_vector_make(state->dim);

	for (int i = 0; i < state->dim; i++)
	{
		result->x[i] = (float) (state->sum[i] / divisor);
		vssfdw_vector_check_range(result->x[i], i + 1);
	}
	return result;
}

Datum
vss_vector_sum(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_POINTER(finish((SumState *) PG_GETARG_POINTER(0), 1));
}

Datum
vss_vector_avg(PG_FUNCTION_ARGS)
{
	SumState *state;

	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (SumState *) PG_GETARG_POINTER(0);
	PG_RETURN_POINTER(finish(state, (double) state->count));
}
