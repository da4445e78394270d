/*
 * vector.c
 *		The type vss_vector: input, output, binary form, declared size, and
 *		the conversions from and to arrays.
 *
 * A value is a varlena of 1 to 16,000 finite float32, laid out as pgvector's
 * `vector` is, so that the two are binary-coercible.  Everything that makes a
 * value checks it; everything that reads one may rely on it.  Text is parsed
 * and written by the bridge, so that both databases agree on what a vector
 * looks like.  Operators are in vector_ops.c.
 */
#include "fdw/values/values.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

VSS_SQL_FUNCTION(vss_vector_in);
VSS_SQL_FUNCTION(vss_vector_out);
VSS_SQL_FUNCTION(vss_vector_recv);
VSS_SQL_FUNCTION(vss_vector_send);
VSS_SQL_FUNCTION(vss_vector_typmod_in);
VSS_SQL_FUNCTION(vss_vector_coerce);
VSS_SQL_FUNCTION(vss_vector_from_array);
VSS_SQL_FUNCTION(vss_vector_to_array);
VSS_SQL_FUNCTION(vss_vector_to_json);

/* All bits set: infinity or NaN. */
#define FLOAT_EXPONENT 0x7f800000

/* Input is quoted in messages up to here; a vector of 16,000 would drown them. */
#define SHOWN_BYTES 60

VssVector *
vssfdw_vector_make(int dim)
{
	Size size = VSS_VECTOR_SIZE(dim);
	VssVector *vector = palloc0(size);

	SET_VARSIZE(vector, size);
	vector->dim = (int16) dim;
	return vector;
}

void
vssfdw_vector_check_dim(int64 dim)
{
	if (dim < 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("a vector must have at least one dimension")));
	if (dim > BRIDGE_MAX_DIM)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a vector cannot have more than %d dimensions", BRIDGE_MAX_DIM),
						errdetail("This one has %lld.", (long long) dim)));
}

void
vssfdw_vector_check_same_dim(const VssVector *a, const VssVector *b)
{
	if (a->dim != b->dim)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("different vector dimensions %d and %d", a->dim, b->dim)));
}

void
vssfdw_vector_check_typmod(int dim, int32 typmod)
{
	if (typmod != -1 && typmod != dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("expected %d dimensions, not %d", typmod, dim)));
}

void
vssfdw_vector_check_element(float x, int position)
{
	if (!isfinite(x))
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("a vector cannot contain %s", isnan(x) ? "NaN" : "an infinite value"),
						errdetail("Element %d is not a finite number in the range of real.", position)));
}

void
vssfdw_vector_check_range(float x, int position)
{
	if (isinf(x))
		ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("value out of range: overflow"),
						errdetail("Element %d of the result exceeds the range of real.", position)));
}

/* The start of what the user typed, for messages; cut between characters. */
static char *
shown(const char *text, size_t length)
{
	if (length <= SHOWN_BYTES)
		return pstrdup(text);
	return psprintf("%.*s...", pg_mbcliplen(text, (int) Min(length, 1024), SHOWN_BYTES), text);
}

/*
 * The parser's reason as a sentence: without its heading, which the message
 * above it already says, with a capital and a full stop.
 */
static char *
reason(const char *message)
{
	const char *heading = strstr(message, "vector: ");
	char *sentence = psprintf("%s.", heading == NULL ? message : heading + strlen("vector: "));

	sentence[0] = pg_toupper((unsigned char) sentence[0]);
	return sentence;
}

/* The type that is read: ours, or another that has our functions. */
static const char *
type_name(Oid type)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	const char *name = "vss_vector";

	if (HeapTupleIsValid(tuple))
	{
		name = pstrdup(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname));
		ReleaseSysCache(tuple);
	}
	return name;
}

/* The SQLSTATE of a text that is no vector, as pgvector has it. */
static int
failure_code(int failure)
{
	switch (failure)
	{
		case BRIDGE_VECTOR_RANGE:
			return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
		case BRIDGE_VECTOR_EMPTY:
		case BRIDGE_VECTOR_NAN:
		case BRIDGE_VECTOR_INFINITE:
			return ERRCODE_DATA_EXCEPTION;
		default:
			return ERRCODE_INVALID_TEXT_REPRESENTATION;
	}
}

Datum
vss_vector_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	size_t length = strlen(text);
	int64 capacity = 1;
	VssVector *vector;
	char message[200];
	int dim;

	/* Elements are one more than commas: parse straight into the result. */
	for (const char *p = strchr(text, ','); p != NULL; p = strchr(p + 1, ','))
		capacity++;
	if (capacity > BRIDGE_MAX_DIM)
		ereturn(VSS_SOFT_CONTEXT(fcinfo), (Datum) 0,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a vector cannot have more than %d dimensions", BRIDGE_MAX_DIM),
				 errdetail("This one has %lld.", (long long) capacity)));

	vector = vssfdw_vector_make((int) capacity);
	dim = bridge_vector_parse(text, length, vector->x, (int) capacity, message, sizeof(message));
	if (dim < 0)
		ereturn(VSS_SOFT_CONTEXT(fcinfo), (Datum) 0,
				(errcode(failure_code(dim)),
				 errmsg("invalid input syntax for type %s: \"%s\"", type_name(PG_GETARG_OID(1)),
						shown(text, length)),
				 errdetail("%s", reason(message)),
				 strchr(text, '[') == NULL
					 ? errhint("A vector is written [1,2,3]. vss_embed(text) makes one of a text, by an "
							   "embedding server.")
					 : 0));
	if (typmod != -1 && typmod != dim)
		ereturn(VSS_SOFT_CONTEXT(fcinfo), (Datum) 0,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("expected %d dimensions, not %d", typmod, dim)));

	/* The parser accepts no comma that separates nothing. */
	Assert(dim == capacity);
	PG_RETURN_POINTER(vector);
}

/* The text form, palloc'd and ended by a zero byte; its length goes to *length. */
static char *
format_vector(const VssVector *vector, size_t *length)
{
	char *buffer = palloc(16 * (Size) vector->dim + 3);

	*length = bridge_vector_format(vector->x, vector->dim, buffer);
	return buffer;
}

Datum
vss_vector_out(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);
	size_t length;
	char *text = format_vector(vector, &length);

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_CSTRING(text);
}

/* int16 dimensions, int16 zero, then the elements as float4: pgvector's form. */
Datum
vss_vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo message = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int16 dim = (int16) pq_getmsgint(message, sizeof(int16));
	int16 unused = (int16) pq_getmsgint(message, sizeof(int16));
	VssVector *vector;
	const char *bytes;
	bool finite = true;

	vssfdw_vector_check_dim(dim);
	vssfdw_vector_check_typmod(dim, typmod);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("invalid binary form of type %s", "vss_vector"),
				 errdetail("The second field must be 0, not %d.", unused)));

	/* All at once: a call for each element would take longer than many a search. */
	bytes = pq_getmsgbytes(message, dim * (int) sizeof(float));
	vector = vssfdw_vector_make(dim);
	for (int i = 0; i < dim; i++)
	{
		uint32 word;

		memcpy(&word, bytes + i * sizeof(float), sizeof(float));
		word = pg_ntoh32(word);
		memcpy(&vector->x[i], &word, sizeof(float));
		finite &= (word & FLOAT_EXPONENT) != FLOAT_EXPONENT;
	}
	for (int i = 0; i < dim && !finite; i++)
		vssfdw_vector_check_element(vector->x[i], i + 1);
	PG_RETURN_POINTER(vector);
}

Datum
vss_vector_send(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);
	StringInfoData message;

	pq_begintypsend(&message);
	pq_sendint16(&message, (uint16) vector->dim);
	pq_sendint16(&message, 0);
	enlargeStringInfo(&message, vector->dim * (int) sizeof(float));
	for (int i = 0; i < vector->dim; i++)
	{
		uint32 word;

		memcpy(&word, &vector->x[i], sizeof(float));
		pq_writeint32(&message, word);
	}
	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&message));
}

Datum
vss_vector_typmod_in(PG_FUNCTION_ARGS)
{
	ArrayType *modifiers = PG_GETARG_ARRAYTYPE_P(0);
	int n;
	int32 *values = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("type %s takes one modifier, its dimensions", "vss_vector")));
	if (values[0] < 1 || values[0] > BRIDGE_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions of type %s must be between 1 and %d", "vss_vector", BRIDGE_MAX_DIM),
				 errdetail("The declaration says %d.", values[0])));
	PG_RETURN_INT32(values[0]);
}

/* The cast of vss_vector to vss_vector(n): it checks, nothing can be changed. */
Datum
vss_vector_coerce(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);

	vssfdw_vector_check_typmod(vector->dim, PG_GETARG_INT32(1));
	PG_RETURN_POINTER(vector);
}

/* One element of a numeric type, rounded to float32 as a cast to real would. */
static float
element_to_float(Datum value, Oid type)
{
	switch (type)
	{
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case FLOAT8OID:
			return (float) DatumGetFloat8(value);
		case INT4OID:
			return (float) DatumGetInt32(value);
		case NUMERICOID:
			return (float) DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
		default:
			elog(ERROR, "unexpected element type %u", type);
	}
	return 0; /* not reached */
}

/* From real[], double precision[], numeric[] and integer[]. */
Datum
vss_vector_from_array(PG_FUNCTION_ARGS)
{
	ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
	int32 typmod = PG_GETARG_INT32(1);
	Oid type = ARR_ELEMTYPE(array);
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;
	int dim;
	VssVector *vector;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("a vector must be made from a one-dimensional array"),
						errdetail("This array has %d dimensions.", ARR_NDIM(array))));
	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a vector cannot contain NULL")));

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type, typlen, typbyval, typalign, &elements, NULL, &dim);
	vssfdw_vector_check_dim(dim);
	vssfdw_vector_check_typmod(dim, typmod);

	vector = vssfdw_vector_make(dim);
	for (int i = 0; i < dim; i++)
	{
		vector->x[i] = element_to_float(elements[i], type);
		vssfdw_vector_check_element(vector->x[i], i + 1);
	}
	pfree(elements);
	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_POINTER(vector);
}

/* To real[]. */
Datum
vss_vector_to_array(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);
	Datum *elements = palloc(sizeof(Datum) * vector->dim);
	ArrayType *array;

	for (int i = 0; i < vector->dim; i++)
		elements[i] = Float4GetDatum(vector->x[i]);
	array = construct_array(elements, vector->dim, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT);
	pfree(elements);
	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_ARRAYTYPE_P(array);
}

/* To json, whose binary form is its text: numbers here are numbers there. */
Datum
vss_vector_to_json(PG_FUNCTION_ARGS)
{
	VssVector *vector = PG_GETARG_VSSVECTOR_P(0);
	size_t length;
	char *text = format_vector(vector, &length);

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(text, (int) length));
}
