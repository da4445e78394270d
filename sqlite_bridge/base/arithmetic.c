/*
 * arithmetic.c
 *		SQL functions over vectors alone: cosine_similarity, cosine_distance,
 *		l2_distance, l1_distance, inner_product, vector, vector_json.
 *
 * They know no index, read nothing but their arguments, and are deterministic
 * and innocuous, so they may stand in views, CHECKs, generated columns and
 * indexes on expressions.  A constant argument given as text is parsed once per
 * statement.
 */
#include "sqlite_bridge/base/base.h"

#include <string.h>

static void
free_cached(void *vector)
{
	bridge_vector_free(vector);
	sqlite3_free(vector);
}

/*
 * Argument i as floats (data NULL for SQL NULL); false after raising an error.
 * release() must follow in either case.
 */
static bool
take(sqlite3_context *context, int i, sqlite3_value *value, const char *function, BridgeVector *out)
{
	BridgeError err = {0};

	memset(out, 0, sizeof(*out));
	if (sqlite3_value_type(value) == SQLITE_TEXT)
	{
		const BridgeVector *cached = sqlite3_get_auxdata(context, i);

		if (cached != NULL)
		{
			out->data = cached->data;
			out->dim = cached->dim;
			return true;
		}
	}
	if (bridge_vector_read(value, out, &err) == SQLITE_OK)
		return true;
	bridge_error_prefix(&err, "%s", function);
	bridge_error_result(context, &err);
	return false;
}

/*
 * Done with argument i: keep what was parsed from text for the next row (SQLite
 * frees it at once where the argument is not constant), free the rest.
 */
static void
release(sqlite3_context *context, int i, sqlite3_value *value, BridgeVector *vector)
{
	BridgeVector *keep;

	if (vector->buffer == NULL)
		return;
	if (vector->data != NULL && sqlite3_value_type(value) == SQLITE_TEXT &&
		(keep = sqlite3_malloc(sizeof(*keep))) != NULL)
	{
		*keep = *vector;
		sqlite3_set_auxdata(context, i, keep, free_cached);
	}
	else
		bridge_vector_free(vector);
}

/* What a function of two vectors returns. */
typedef struct Measure
{
	const char *name;
	BridgeMetric metric; /* 0: the sum of absolute differences, which no index has */
	double sign;         /* result = offset + sign * distance */
	double offset;
} Measure;

static const Measure measures[] = {
	{"cosine_distance", BRIDGE_COSINE, 1, 0},
	{"cosine_similarity", BRIDGE_COSINE, -1, 1},
	{"l2_distance", BRIDGE_L2, 1, 0},
	{"inner_product", BRIDGE_IP, -1, 0},
	{"l1_distance", 0, 1, 0},
};

static double
measured(const Measure *measure, const BridgeVector *a, const BridgeVector *b)
{
	if (measure->metric == 0)
		return bridge_l1_distance(a->data, b->data, a->dim);
	return bridge_distance(measure->metric, a->data, b->data, a->dim);
}

/*
 * NULL for a NULL argument, and for a cosine where a vector has length zero
 * (SQLite turns NaN into NULL).
 */
static void
measure_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const Measure *measure = sqlite3_user_data(context);
	BridgeVector a;
	BridgeVector b = {0};
	BridgeError err = {0};

	if (take(context, 0, argv[0], measure->name, &a) && take(context, 1, argv[1], measure->name, &b) &&
		a.data != NULL && b.data != NULL)
	{
		if (a.dim != b.dim)
		{
			bridge_error(&err, SQLITE_ERROR, "%s: different vector dimensions %d and %d", measure->name,
						 a.dim, b.dim);
			bridge_error_result(context, &err);
		}
		else
			sqlite3_result_double(context, measure->offset + measure->sign * measured(measure, &a, &b));
	}
	release(context, 0, argv[0], &a);
	release(context, 1, argv[1], &b);
}

/* vector(x): the BLOB form. */
static void
vector_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeVector x;

	if (take(context, 0, argv[0], "vector", &x) && x.data != NULL)
		sqlite3_result_blob(context, x.data, x.dim * (int) sizeof(float), SQLITE_TRANSIENT);
	release(context, 0, argv[0], &x);
}

/* vector_json(x): the shortest JSON text, marked as JSON for json_array() and its like. */
static void
vector_json_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	BridgeVector x;

	if (take(context, 0, argv[0], "vector_json", &x) && x.data != NULL)
	{
		char *text = sqlite3_malloc64((sqlite3_uint64) x.dim * 16 + 3);

		if (text == NULL)
			sqlite3_result_error_nomem(context);
		else
		{
			sqlite3_result_text(context, text, (int) bridge_vector_format(x.data, x.dim, text), sqlite3_free);
			sqlite3_result_subtype(context, 'J');
		}
	}
	release(context, 0, argv[0], &x);
}

int
bridge_arithmetic_register(sqlite3 *db, BridgeError *err)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
	int rc = SQLITE_OK;

	for (size_t i = 0; i < sizeof(measures) / sizeof(measures[0]) && rc == SQLITE_OK; i++)
		rc = sqlite3_create_function_v2(db, measures[i].name, 2, flags, (void *) &measures[i],
										measure_function, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(db, "vector", 1, flags, NULL, vector_function, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(db, "vector_json", 1, flags | SQLITE_RESULT_SUBTYPE, NULL,
										vector_json_function, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return bridge_error_db(err, db, "registering vector functions");
	return rc;
}
