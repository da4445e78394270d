/*
 * request.c
 *		What a KNN scan is asked, checked and in the query's own memory.
 *
 * Values come as the plan hands them over: from positional arguments, from
 * WHERE and from LIMIT, with any type a user may bind.
 */
#include "sqlite_bridge/query/query.h"

#include <math.h>
#include <string.h>

static const char *const strategy_names[] = {"auto", "graph", "prefilter", "exact", "unplaced"};

const char *
bridge_strategy_name(int strategy)
{
	return strategy_names[strategy];
}

/*
 * A question that is wrong is an error of the query.  SQLITE_MISMATCH is said of
 * what is stored: Python makes an IntegrityError of it.
 */
static int
query_error(BridgeError *err)
{
	if (err->code == SQLITE_MISMATCH)
		err->code = SQLITE_ERROR;
	return err->code;
}

static int
take_vector(BridgeQuery *query, BridgeStore *store, sqlite3_value *value, bool *usable, BridgeError *err)
{
	const BridgeParams *p = &store->params;
	const BridgeVector *vector = &query->vector;
	int rc = bridge_vector_read(value, &query->vector, err);

	*usable = false;
	if (rc != SQLITE_OK)
	{
		bridge_error_prefix(err, "%s: the query vector", store->table);
		return query_error(err);
	}
	if (vector->data == NULL)
		return SQLITE_OK;
	if (vector->dim != p->dim)
		return bridge_error(err, SQLITE_ERROR, "%s: the query vector has %d dimensions, the index has %d",
							store->table, vector->dim, p->dim);
	rc = bridge_index_check_model(store, vector->data, "the query vector", err);
	if (rc != SQLITE_OK)
		return query_error(err);
	*usable = bridge_indexable(p, vector->data);
	return SQLITE_OK;
}

/* A whole number from min on, NULL giving absent. */
static int
take_integer(const BridgeStore *store, sqlite3_value *value, const char *name, int64_t min, int64_t max,
			 int64_t absent, int64_t *out, BridgeError *err)
{
	*out = absent;
	if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL)
		return SQLITE_OK;
	if (!bridge_whole_number(value, out) || *out < min || *out > max)
	{
		if (max == INT64_MAX)
			return bridge_error(err, SQLITE_ERROR, "%s: %s = %s: expected a whole number, at least %lld",
								store->table, name, sqlite3_value_text(value), (sqlite3_int64) min);
		return bridge_error(err, SQLITE_ERROR, "%s: %s = %s: expected a whole number from %lld to %lld",
							store->table, name, sqlite3_value_text(value), (sqlite3_int64) min,
							(sqlite3_int64) max);
	}
	return SQLITE_OK;
}

static int
take_strategy(BridgeQuery *query, const BridgeStore *store, sqlite3_value *value, BridgeError *err)
{
	const char *name;

	query->strategy = BRIDGE_AUTO;
	if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL)
		return SQLITE_OK;
	name = (const char *) sqlite3_value_text(value);
	for (int i = 0; name != NULL && i < BRIDGE_STRATEGIES; i++)
		if (strcmp(name, strategy_names[i]) == 0)
		{
			query->strategy = i;
			return SQLITE_OK;
		}
	return bridge_error(err, SQLITE_ERROR,
						"%s: strategy = %s: expected auto, graph, prefilter, exact or unplaced", store->table,
						name == NULL ? "" : name);
}

static int
add_only(BridgeQuery *query, int64_t rowid, BridgeError *err)
{
	if (query->only_count == query->only_capacity)
	{
		size_t capacity = query->only_capacity < 64 ? 64 : 2 * query->only_capacity;
		int64_t *only = sqlite3_realloc64(query->only, capacity * sizeof(*only));

		if (only == NULL)
			return bridge_error(err, SQLITE_NOMEM, "out of memory");
		query->only = only;
		query->only_capacity = capacity;
	}
	query->only[query->only_count++] = rowid;
	return SQLITE_OK;
}

static int
take_list(BridgeQuery *query, sqlite3_value *list, BridgeError *err)
{
	sqlite3_value *value;
	int64_t rowid;
	size_t kept = 0;
	int rc;

	query->only_count = 0;
	for (rc = sqlite3_vtab_in_first(list, &value); rc == SQLITE_OK && value != NULL;
		 rc = sqlite3_vtab_in_next(list, &value))
		if (bridge_whole_number(value, &rowid) && add_only(query, rowid, err) != SQLITE_OK)
			return err->code;
	if (rc != SQLITE_OK && rc != SQLITE_DONE)
		return bridge_error(err, rc, "hnsw: reading the list of rowids: %s", sqlite3_errstr(rc));
	bridge_labels_sort(query->only, query->only_count);
	for (size_t i = 0; i < query->only_count; i++)
		if (i == 0 || query->only[i] != query->only[kept - 1])
			query->only[kept++] = query->only[i];
	query->only_count = kept;
	return SQLITE_OK;
}

/* Keep of the list what the second one has, too. */
static int
intersect(BridgeQuery *query, sqlite3_value *list, BridgeError *err)
{
	int64_t *first = query->only;
	size_t count = query->only_count;
	size_t kept = 0;
	int rc;

	query->only = NULL;
	query->only_capacity = 0;
	rc = take_list(query, list, err);
	for (size_t i = 0; rc == SQLITE_OK && i < query->only_count; i++)
		if (bridge_labels_have(first, count, query->only[i]))
			query->only[kept++] = query->only[i];
	query->only_count = kept;
	sqlite3_free(first);
	return rc;
}

/*
 * rowid > x and its like.  A number between two rowids lies before the next.  SQLite tests
 * the condition once more, so that what is no number restricts nothing.
 */
static void
take_end(BridgeQuery *query, const BridgeArguments *asked, BridgeArgument argument)
{
	sqlite3_value *value = asked->value[argument];
	bool least = argument == ARG_ROWID_ABOVE || argument == ARG_ROWID_FROM;
	bool next =
		argument == ARG_ROWID_ABOVE || argument == ARG_ROWID_UPTO; /* the end is the whole number below */
	double number;
	int64_t end;

	if (value == NULL)
		return;
	if (!bridge_whole_number(value, &end))
	{
		if (sqlite3_value_numeric_type(value) != SQLITE_FLOAT)
			return;
		number = floor(sqlite3_value_double(value));
		if (!(fabs(number) < 9e18))
			return;
		end = (int64_t) number;
		next = true;
	}
	query->has_range = true;
	if (least && end < INT64_MAX)
		end += next;
	else if (!least && end > INT64_MIN)
		end -= !next;
	if (least && end > query->low)
		query->low = end;
	if (!least && end < query->high)
		query->high = end;
}

/* So few rowids are listed: they are measured one by one. */
#define FEW_ROWIDS 1000

/* A list leaves no range, nor does a short range. */
static int
settle_range(BridgeQuery *query, BridgeError *err)
{
	size_t kept = 0;
	int rc = SQLITE_OK;

	if (!query->has_range)
		return SQLITE_OK;
	if (query->has_only)
	{
		for (size_t i = 0; i < query->only_count; i++)
			if (bridge_query_wants(query, query->only[i]))
				query->only[kept++] = query->only[i];
		query->only_count = kept;
	}
	else if (query->low <= query->high && (uint64_t) query->high - (uint64_t) query->low >= FEW_ROWIDS)
		return SQLITE_OK;
	else
	{
		for (int64_t i = 0; rc == SQLITE_OK && query->low <= query->high && i <= query->high - query->low;
			 i++)
			rc = add_only(query, query->low + i, err);
		query->has_only = true;
	}
	query->has_range = false;
	return rc;
}

static int
take_rowids(BridgeQuery *query, const BridgeArguments *asked, BridgeError *err)
{
	sqlite3_value *one = asked->value[ARG_ROWID];
	sqlite3_value *list = asked->value[ARG_ROWID_IN];
	int64_t rowid;
	int rc = SQLITE_OK;

	query->only_count = 0;
	query->has_only = one != NULL || list != NULL;
	query->has_range = false;
	query->low = INT64_MIN;
	query->high = INT64_MAX;
	if (one != NULL)
		rc = bridge_whole_number(one, &rowid) ? add_only(query, rowid, err) : SQLITE_OK;
	else if (list != NULL)
		rc = take_list(query, list, err);
	if (rc == SQLITE_OK && asked->value[ARG_ROWID_IN_TOO] != NULL)
		rc = intersect(query, asked->value[ARG_ROWID_IN_TOO], err);
	for (int argument = ARG_ROWID_ABOVE; argument <= ARG_ROWID_UPTO; argument++)
		take_end(query, asked, argument);
	return rc == SQLITE_OK ? settle_range(query, err) : rc;
}

/*
 * distance < x, or > x, where there is one: *is_number.  Comparing with NULL is never true;
 * text is greater than every number.
 */
static double
take_bound(sqlite3_value *value, bool below, bool *is_number, bool *usable)
{
	int type;

	*is_number = false;
	if (value == NULL)
		return 0;
	type = sqlite3_value_numeric_type(value);
	*is_number = type == SQLITE_INTEGER || type == SQLITE_FLOAT;
	if (type == SQLITE_NULL || (!*is_number && !below))
		*usable = false;
	return sqlite3_value_double(value);
}

/* Both bounds of the distance. */
static void
take_bounds(BridgeQuery *query, const BridgeArguments *asked, bool *usable)
{
	sqlite3_value *below = asked->value[ARG_BELOW];
	sqlite3_value *above = asked->value[ARG_ABOVE];

	query->bound_inclusive = below == NULL;
	query->bound = take_bound(below != NULL ? below : asked->value[ARG_UPTO], true, &query->bounded, usable);
	query->floor_inclusive = above == NULL;
	query->floor = take_bound(above != NULL ? above : asked->value[ARG_FROM], false, &query->floored, usable);
}

void
bridge_request_settle_ef(BridgeQuery *query, const BridgeStore *store, const BridgeTuned *tuned)
{
	int64_t least = query->need > query->stats->least_ef ? query->need : query->stats->least_ef;

	query->margin = query->asked_ef > 0 ? 0 : bridge_store_margin(store, tuned);
	query->visits = query->asked_ef > 0 ? query->asked_ef : bridge_store_visits(store, tuned);
	query->ef = query->margin > 0 ? 0 : query->visits;
	if (query->margin == 0 && least > query->ef)
		query->ef = least < HNSW_MAX_EF ? (int) least : HNSW_MAX_EF;
}

/* k and LIMIT + OFFSET, whichever is less. */
static int
take_limits(BridgeQuery *query, const BridgeStore *store, const BridgeArguments *asked, BridgeError *err)
{
	sqlite3_value *limit_value = asked->value[ARG_LIMIT];
	sqlite3_value *offset_value = asked->value[ARG_OFFSET];
	int64_t ef;
	int rc = take_integer(store, asked->value[ARG_K], "k", 1, INT64_MAX, -1, &query->k, err);

	if (rc == SQLITE_OK)
		rc = take_integer(store, asked->value[ARG_EF], "ef", 1, HNSW_MAX_EF, 0, &ef, err);
	if (rc != SQLITE_OK)
		return rc;
	query->need = query->k;
	if (limit_value != NULL)
	{
		int64_t limit = sqlite3_value_int64(limit_value);
		int64_t offset = offset_value == NULL ? 0 : sqlite3_value_int64(offset_value);

		if (offset < 0)
			offset = 0;
		if (limit >= 0 && limit <= INT64_MAX - offset && (query->need < 0 || limit + offset < query->need))
			query->need = limit + offset;
	}
	query->asked_ef = (int) ef;
	bridge_request_settle_ef(query, store, &store->opened_tuned);
	return SQLITE_OK;
}

int
bridge_request_read(BridgeQuery *query, BridgeStore *store, const BridgeArguments *asked, bool *usable,
					BridgeError *err)
{
	sqlite3_value *stats = asked->value[ARG_STATS];
	BridgeStats fresh = {0};
	int rc;

	query->stats = stats == NULL ? NULL : sqlite3_value_pointer(stats, BRIDGE_STATS_POINTER);
	if (query->stats == NULL)
		query->stats = &query->own_stats;
	else
	{
		fresh.pull_limit = query->stats->pull_limit;
		fresh.least_ef = query->stats->least_ef;
		fresh.expected = query->stats->expected;
	}
	*query->stats = fresh;
	query->stats->strategy = strategy_names[BRIDGE_EXACT];

	rc = take_vector(query, store, asked->value[ARG_QUERY], usable, err);
	if (rc == SQLITE_OK)
		rc = take_limits(query, store, asked, err);
	if (rc == SQLITE_OK)
		rc = take_strategy(query, store, asked->value[ARG_STRATEGY], err);
	if (rc == SQLITE_OK)
		rc = take_rowids(query, asked, err);
	if (rc != SQLITE_OK)
		return rc;
	query->one_row = asked->value[ARG_ROWID] != NULL;
	query->placeless = query->strategy == BRIDGE_UNPLACED && !*usable;
	*usable |= query->placeless;
	take_bounds(query, asked, usable);
	query->stats->k = query->k;
	query->stats->listed = query->only_count;
	if (query->need == 0 || (query->has_only && query->only_count == 0) ||
		(query->strategy == BRIDGE_UNPLACED && (query->bounded || query->floored)))
		*usable = false;
	return SQLITE_OK;
}
