/*
 * arrays.c
 *		PostgreSQL arrays as JSON text in SQLite, both ways.
 *
 * [1,2,3] is a one-dimensional array, [[1,2],[3,4]] a two-dimensional one;
 * elements are read by the element type's input function.  In an array of
 * vectors [1,2,3] is an element.  Text in PostgreSQL's own form, {1,2,3}, is
 * read as well, never written.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "fdw/values/values.h"

typedef struct ArrayReader
{
	FmgrInfo input;
	Oid ioparam;
	int32 typmod;
	bool json;      /* elements are JSON themselves: only the outer array is ours */
	bool vectors;   /* elements are vectors: the innermost arrays are theirs */
	int dimensions; /* known once the first leaf is reached, else 0 */
	int sizes[MAXDIM];
	Datum *values;
	bool *nulls;
	int count;
	int room;
} ArrayReader;

static char *
scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

/* Whether value, of kind jbvBinary, is an array of numbers. */
static bool
is_vector(const JsonbValue *value)
{
	JsonbContainer *container = value->val.binary.data;
	const JsonbValue *first;

	if (!JsonContainerIsArray(container) || JsonContainerSize(container) == 0)
		return false;
	first = getIthJsonbValueFromContainer(container, 0);
	return first->type == jbvNumeric;
}

static void
add_element(ArrayReader *reader, JsonbValue *value)
{
	char *text = NULL;

	if (reader->count == reader->room)
	{
		reader->room *= 2;
		reader->values = repalloc(reader->values, sizeof(Datum) * reader->room);
		reader->nulls = repalloc(reader->nulls, sizeof(bool) * reader->room);
	}
	/* null is SQL's NULL also among json elements: one of the two has to give */
	if (value->type != jbvNull)
		text = reader->json || value->type == jbvBinary
				   ? JsonbToCString(NULL, &JsonbValueToJsonb(value)->root, -1)
				   : scalar_text(value);
	reader->nulls[reader->count] = text == NULL;
	reader->values[reader->count++] =
		InputFunctionCall(&reader->input, text, reader->ioparam, reader->typmod);
}

/* False when the nested arrays are no rectangle, too deep, or contain objects. */
static bool
read_level(ArrayReader *reader, JsonbContainer *container, int depth)
{
	int size = JsonContainerSize(container);

	if (depth >= MAXDIM || (reader->dimensions > 0 && depth >= reader->dimensions))
		return false;
	if (reader->sizes[depth] < 0)
		reader->sizes[depth] = size;
	else if (reader->sizes[depth] != size)
		return false;

	for (int i = 0; i < size; i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(container, i);

		if (value->type == jbvBinary && !reader->json && !(reader->vectors && is_vector(value)))
		{
			if (!JsonContainerIsArray(value->val.binary.data) ||
				!read_level(reader, value->val.binary.data, depth + 1))
				return false;
			continue;
		}
		/* the first leaf tells how deep all leaves are */
		if (reader->dimensions == 0)
			reader->dimensions = depth + 1;
		else if (reader->dimensions != depth + 1)
			return false;
		add_element(reader, value);
	}
	return true;
}

bool
vssfdw_array_from_json(const VssColumn *column, const char *text, Datum *result)
{
	Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	ArrayReader reader = {.typmod = column->base_typmod, .room = 16};
	int bounds[MAXDIM];
	int16 length;
	bool by_value;
	char align;
	Oid input;

	if (!JB_ROOT_IS_ARRAY(json) || JB_ROOT_IS_SCALAR(json))
		return false;
	getTypeInputInfo(column->element, &input, &reader.ioparam);
	fmgr_info(input, &reader.input);
	get_typlenbyvalalign(column->element, &length, &by_value, &align);
	reader.json = column->element == JSONOID || column->element == JSONBOID;
	reader.vectors = vssfdw_is_vector(getBaseType(column->element));
	reader.values = palloc(sizeof(Datum) * reader.room);
	reader.nulls = palloc(sizeof(bool) * reader.room);
	for (int i = 0; i < MAXDIM; i++)
	{
		reader.sizes[i] = -1;
		bounds[i] = 1;
	}

	if (!read_level(&reader, &json->root, 0))
		return false;
	if (reader.count == 0)
		*result = PointerGetDatum(construct_empty_array(column->element));
	else
		*result =
			PointerGetDatum(construct_md_array(reader.values, reader.nulls, reader.dimensions, reader.sizes,
											   bounds, column->element, length, by_value, align));
	return true;
}

char *
vssfdw_array_to_json(Datum array)
{
	return TextDatumGetCString(OidFunctionCall1(F_ARRAY_TO_JSON_ANYARRAY, array));
}
