/*
 * filters.c
 *		The ten nearest rows under many filters: is the best way taken?
 *
 *	filters make DATABASE ROWS			fill a SQLite database
 *	filters measure [QUERIES [WORD]]	ask PostgreSQL, print TSV
 *
 * measure asks each filter in every way there is: as the planner chooses (auto),
 * with vss_fdw.knn_strategy graph, prefilter and exact, and as PostgreSQL would
 * without an index (sorted: fetch what matches, measure it, sort), which is also
 * what recall is counted by.  Figures are the mean CPU time of the backend for a
 * query, in milliseconds, planning included.  The last columns tell what auto
 * did: the ratio to the best of the others, recall, its strategy, and the
 * distances that it computed for the first query.  WORD: only filters whose name has it.
 *
 * PGHOST etc. name a database with the foreign table docs (of the database made)
 * and local tables paid(doc, ...) and picked(doc), made by bench/filters/run.
 */
#include "bench/cpu.h"

#include <libpq-fe.h>
#include <sqlite3.h>

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DIM 384
#define LATENT 24
#define CLUSTERS 400
#define GROUPS 10
#define K 10
#define MAX_QUERIES 100

static void
die(const char *what)
{
	fprintf(stderr, "filters: %s\n", what);
	exit(1);
}

/* ---------- data ---------- */

/* xorshift64*, so that every machine makes the same rows. */
static uint64_t state;

static uint64_t
next(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 2685821657736338717ULL;
}

static int
below(int n)
{
	return (int) ((next() >> 33) % (uint64_t) n);
}

static double
normal(void)
{
	double u = ((double) (next() >> 11) + 1) / 9007199254740993.0;
	double v = (double) (next() >> 11) / 9007199254740992.0;

	return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

static float centres[CLUSTERS][DIM];
static float ways[LATENT][DIM];

static void
make_space(void)
{
	state = 88172645463325252ULL;
	for (int i = 0; i < CLUSTERS; i++)
		for (int j = 0; j < DIM; j++)
			centres[i][j] = (float) (normal() / sqrt(DIM));
	for (int i = 0; i < LATENT; i++)
		for (int j = 0; j < DIM; j++)
			ways[i][j] = (float) (normal() / sqrt(DIM * LATENT));
}

/* A unit vector around the centre, most of whose spread is along the same few ways everywhere. */
static void
make_vector(int cluster, float *out)
{
	double square = 0;

	for (int j = 0; j < DIM; j++)
		out[j] = centres[cluster][j] + (float) (0.3 * normal() / sqrt(DIM));
	for (int i = 0; i < LATENT; i++)
	{
		float z = (float) (0.9 * normal());

		for (int j = 0; j < DIM; j++)
			out[j] += z * ways[i][j];
	}
	for (int j = 0; j < DIM; j++)
		square += (double) out[j] * out[j];
	for (int j = 0; j < DIM; j++)
		out[j] = (float) (out[j] / sqrt(square));
}

static void
run(sqlite3 *db, const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
}

static const char *const words[] = {"harbour", "garden", "letter", "winter", "copper", "voyage", "lantern",
									"orchard", "river",  "marble", "signal", "meadow", "bridge", "canvas",
									"thunder", "velvet", "anchor", "candle", "forest", "island", "mirror",
									"needle",  "oyster", "pepper", "quarry", "saddle", "temple", "turtle",
									"valley",  "walnut", "beacon", "cradle"};
#define WORDS (int) (sizeof(words) / sizeof(words[0]))
static const char *const languages[] = {"en", "en", "en", "en", "de", "de", "fr", "es", "it", "xx"};

static void
make_row(sqlite3_stmt *stmt, int id)
{
	int cluster = below(CLUSTERS);
	float vector[DIM];
	char title[64], day[16], meta[96], code[40];
	int days = below(6 * 360);

	make_vector(cluster, vector);
	snprintf(title, sizeof(title), "%s %s %s", words[below(WORDS)], words[below(WORDS)], words[below(WORDS)]);
	snprintf(day, sizeof(day), "%d-%02d-%02d", 2019 + days / 360, days / 30 % 12 + 1, days % 28 + 1);
	snprintf(meta, sizeof(meta), "{\"lang\":\"%s\",\"pages\":%d,\"tags\":[\"%s\"]}", languages[below(10)],
			 below(900), words[below(WORDS)]);
	snprintf(code, sizeof(code), "%08x-0000-4000-8000-%012x", (unsigned) id * 2654435761U, (unsigned) id);
	sqlite3_bind_int(stmt, 1, id);
	for (int i = 0, n = 2; i < 4; i++, n *= i == 1 ? 5 : 10)
	{
		sqlite3_bind_int(stmt, 2 + i, below(n));
		sqlite3_bind_int(stmt, 6 + i, below(n));
	}
	sqlite3_bind_int(stmt, 10, cluster % GROUPS);
	sqlite3_bind_int(stmt, 11, cluster % GROUPS);
	{
		char tenant[8];

		snprintf(tenant, sizeof(tenant), "t%d", below(1000) < 145 ? 0 : 1 + below(199));
		sqlite3_bind_text(stmt, 12, tenant, -1, SQLITE_TRANSIENT);
	}
	sqlite3_bind_text(stmt, 13, day, -1, SQLITE_TRANSIENT);
	sqlite3_bind_double(stmt, 14, below(100000) / 100.0);
	sqlite3_bind_text(stmt, 15, title, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(stmt, 16, meta, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(stmt, 17, code, -1, SQLITE_TRANSIENT);
	sqlite3_bind_blob(stmt, 18, vector, sizeof(vector), SQLITE_TRANSIENT);
}

static void
make(const char *path, int rows)
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	char *sql;

	if (sqlite3_open(path, &db) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	run(db, "PRAGMA journal_mode = wal; PRAGMA synchronous = off;"
			"CREATE TABLE docs(id INTEGER PRIMARY KEY, half INT, tenth INT, hundredth INT, thousandth INT,"
			" i_half INT, i_tenth INT, i_hundredth INT, i_thousandth INT, topic INT, i_topic INT,"
			" tenant VARCHAR(20), day DATE, price REAL, title TEXT, meta JSON, code UUID, vec BLOB)");
	if (sqlite3_prepare_v2(db, "INSERT INTO docs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", -1, &stmt,
						   NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	make_space();
	run(db, "BEGIN");
	for (int id = 1; id <= rows; id++)
	{
		make_row(stmt, id);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			die(sqlite3_errmsg(db));
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	run(db, "COMMIT;"
			"CREATE INDEX docs_half ON docs(i_half); CREATE INDEX docs_tenth ON docs(i_tenth);"
			"CREATE INDEX docs_hundredth ON docs(i_hundredth);"
			"CREATE INDEX docs_thousandth ON docs(i_thousandth); CREATE INDEX docs_topic ON docs(i_topic);"
			"CREATE INDEX docs_tenant ON docs(tenant); CREATE INDEX docs_day ON docs(day);"
			"CREATE UNIQUE INDEX docs_code ON docs(code)");
	sqlite3_enable_load_extension(db, 1);
	run(db, "SELECT load_extension('./hnsw')");
	sql = sqlite3_mprintf("CREATE VIRTUAL TABLE docs_vss USING hnsw(dim=%d, content=docs, content_rowid=id,"
						  " content_vector=vec); SELECT hnsw_save('docs_vss')",
						  DIM);
	run(db, sql);
	sqlite3_free(sql);
	run(db, "PRAGMA wal_checkpoint(truncate)");
	sqlite3_close(db);
}

/* ---------- filters ---------- */

/*
 * In a condition {near} and {far} stand for the query's topic and for another one, {ids N} for an
 * array of N ids.  from: what stands in FROM, docs alone unless given.
 */
typedef struct Filter
{
	const char *name;
	const char *where;
	const char *from;
} Filter;

#define JOINED "docs d JOIN paid p ON p.doc = d.id"

static const Filter filters[] = {
	{"none", "true", NULL},
	{"half", "half = 1", NULL},
	{"half, index", "i_half = 1", NULL},
	{"tenth", "tenth = 3", NULL},
	{"tenth, index", "i_tenth = 3", NULL},
	{"hundredth", "hundredth = 7", NULL},
	{"hundredth, index", "i_hundredth = 7", NULL},
	{"thousandth", "thousandth = 77", NULL},
	{"thousandth, index", "i_thousandth = 77", NULL},
	{"nothing", "hundredth = 100", NULL},
	{"nothing, index", "i_hundredth = 100", NULL},
	{"tenant 14.5 %", "tenant = 't0'", NULL},
	{"tenant 0.4 %", "tenant = 't7'", NULL},
	{"tenant 14.5 % and tenth", "tenant = 't0' AND tenth = 3", NULL},
	{"two indexes", "i_tenth = 3 AND i_hundredth = 7", NULL},
	{"correlated 10 %", "topic = {near}", NULL},
	{"correlated 10 %, index", "i_topic = {near}", NULL},
	{"anti-correlated 10 %", "topic = {far}", NULL},
	{"anti-correlated 10 %, index", "i_topic = {far}", NULL},
	{"anti-correlated 90 %", "topic <> {near}", NULL},
	{"anti-correlated 1 %", "topic = {far} AND tenth = 3", NULL},
	{"a year of days", "day >= '2021-01-01' AND day < '2022-01-01'", NULL},
	{"a month of days", "day BETWEEN '2021-03-01' AND '2021-03-31'", NULL},
	{"all but a month", "day > '2019-02-01'", NULL},
	{"price 50 %", "price < 500", NULL},
	{"price 1 %", "price BETWEEN 100 AND 110", NULL},
	{"OR 1.4 %", "i_hundredth = 7 OR tenant = 't7'", NULL},
	{"OR, one without index", "i_hundredth = 7 OR thousandth = 77", NULL},
	{"IN of an index", "i_hundredth IN (1, 2, 3)", NULL},
	{"NOT IN", "i_tenth NOT IN (1, 2, 3)", NULL},
	{"LIKE 9 %", "title LIKE '%harbour%'", NULL},
	{"LIKE 0.1 %", "title LIKE '%harbour garden%'", NULL},
	{"IS NULL", "tenant IS NULL", NULL},
	{"10 ids", "id = ANY({ids 10})", NULL},
	{"5,000 ids", "id = ANY({ids 5000})", NULL},
	{"50,000 ids", "id = ANY({ids 50000})", NULL},
	{"10 ids of a table", "id = ANY((SELECT array_agg(doc) FROM picked)::bigint[])", NULL},
	{"first 20 %", "id <= (SELECT max(doc) / 5 FROM paid)", NULL},
	{"uuids", "code = ANY('{9e3779b1-0000-4000-8000-000000000001,3c6ef362-0000-4000-8000-000000000002}')",
	 NULL},
	{"local join 10 %", "p.tenth = 3", JOINED},
	{"local join 0.1 %", "p.thousandth = 77", JOINED},
	{"JSON 10 %", "meta->>'lang' = 'xx'", NULL},
};
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

/* ---------- measuring ---------- */

static PGconn *conn;
static clockid_t backend;
static int rows;

typedef struct Query
{
	char vector[DIM * 16];
	int topic;
} Query;

static Query queries[MAX_QUERIES];

static void
make_queries(int count)
{
	make_space();
	state = 1234567890123456789ULL;
	for (int i = 0; i < count; i++)
	{
		int cluster = below(CLUSTERS);
		float vector[DIM];
		char *end = queries[i].vector;

		make_vector(cluster, vector);
		queries[i].topic = cluster % GROUPS;
		for (int j = 0; j < DIM; j++)
			end += sprintf(end, "%c%.7g", j == 0 ? '[' : ',', (double) vector[j]);
		strcpy(end, "]");
	}
}

static double
cpu(void)
{
	struct timespec t;

	clock_gettime(backend, &t);
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec / 1e6;
}

static void
do_sql(const char *sql)
{
	PGresult *result = PQexec(conn, sql);

	if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
		die(PQerrorMessage(conn));
	PQclear(result);
}

static char *
fill_in(const char *where, const Query *query)
{
	char *result = malloc(strlen(where) + 600000);
	char *end = result;

	while (*where != '\0')
	{
		int n;

		if (strncmp(where, "{near}", 6) == 0 || strncmp(where, "{far}", 5) == 0)
		{
			end += sprintf(end, "%d", where[1] == 'n' ? query->topic : (query->topic + 5) % GROUPS);
			where = strchr(where, '}') + 1;
		}
		else if (sscanf(where, "{ids %d}", &n) == 1)
		{
			end += sprintf(end, "'{");
			for (int i = 0; i < n; i++)
				end += sprintf(end, "%s%lld", i == 0 ? "" : ",", (i + 1) * 7919LL % rows + 1);
			end += sprintf(end, "}'::bigint[]");
			where = strchr(where, '}') + 1;
		}
		else
			*end++ = *where++;
	}
	*end = '\0';
	return result;
}

typedef struct Answer
{
	int count;
	long long ids[K];
} Answer;

static PGresult *
ask(const char *sql, const Query *query)
{
	const char *values[] = {query->vector};
	PGresult *result = PQexecParams(conn, sql, 1, NULL, values, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die(PQerrorMessage(conn));
	return result;
}

static char *
statement(const Filter *filter, const Query *query, bool sorted, const char *before)
{
	char *where = fill_in(filter->where, query);
	const char *from = filter->from != NULL ? filter->from : "docs d";
	char *sql = malloc(strlen(where) + 1000);

	if (sorted)
		sprintf(sql,
				"%sSELECT id FROM (SELECT id, vec <=> $1::vss_vector AS distance FROM %s WHERE %s OFFSET 0) s"
				" ORDER BY distance LIMIT %d",
				before, from, where, K);
	else
		sprintf(sql, "%sSELECT id FROM %s WHERE %s ORDER BY vec <=> $1::vss_vector LIMIT %d", before, from,
				where, K);
	free(where);
	return sql;
}

/* Mean milliseconds of CPU; the answers.  A first round fills caches, which a way that reads all has emptied. */
static double
measure(const Filter *filter, int count, bool sorted, Answer *answers)
{
	double total = 0;

	for (int i = sorted ? count - 1 : 0; i < 2 * count; i++)
	{
		const Query *query = &queries[i % count];
		Answer *answer = &answers[i % count];
		char *sql = statement(filter, query, sorted, "");
		double start = cpu();
		PGresult *result = ask(sql, query);

		if (i >= count)
			total += cpu() - start;
		answer->count = PQntuples(result);
		for (int j = 0; j < answer->count; j++)
			answer->ids[j] = atoll(PQgetvalue(result, j, 0));
		PQclear(result);
		free(sql);
	}
	return total / count;
}

static double
recall(const Answer *found, const Answer *truth, int count)
{
	int all = 0, hits = 0;

	for (int i = 0; i < count; i++)
	{
		all += truth[i].count;
		for (int j = 0; j < truth[i].count; j++)
			for (int l = 0; l < found[i].count; l++)
				hits += found[i].ids[l] == truth[i].ids[j];
	}
	return all == 0 ? 1 : (double) hits / all;
}

/* What EXPLAIN ANALYZE says after the word, "-" where nothing does. */
static void
explained(const Filter *filter, const char *word, char *out, size_t size)
{
	char *sql = statement(filter, &queries[0], false, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ");
	PGresult *result = ask(sql, &queries[0]);

	snprintf(out, size, "-");
	for (int i = 0; i < PQntuples(result); i++)
	{
		const char *found = strstr(PQgetvalue(result, i, 0), word);

		if (found != NULL)
			snprintf(out, size, "%s", found + strlen(word));
	}
	PQclear(result);
	free(sql);
}

static void
print_filter(const Filter *filter, int count)
{
	static const char *const strategies[] = {"graph", "prefilter", "exact"};
	static Answer answers[MAX_QUERIES], truth[MAX_QUERIES];
	double best, own;
	double times[4];
	char strategy[64], distances[64];
	char setting[64];

	do_sql("SET vss_fdw.knn_strategy = auto; SET enable_sort = on");
	best = times[3] = measure(filter, count, true, truth);
	own = measure(filter, count, false, answers);
	explained(filter, "Strategy: ", strategy, sizeof(strategy));
	explained(filter, "Distances Computed: ", distances, sizeof(distances));
	for (int i = 0; i < 3; i++)
	{
		static Answer unused[MAX_QUERIES];

		snprintf(setting, sizeof(setting), "SET vss_fdw.knn_strategy = %s; SET enable_sort = off",
				 strategies[i]);
		do_sql(setting);
		times[i] = measure(filter, i == 0 ? count : (count + 3) / 4, false, unused);
		best = fmin(best, times[i]);
	}
	printf("%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f%s\t%.3f\t%s\t%s\n", filter->name, own, times[0], times[1],
		   times[2], times[3], own / best, own > 2 * best ? " missed" : "", recall(answers, truth, count),
		   strategy, distances);
	fflush(stdout);
}

static void
measure_all(int count, const char *word)
{
	PGresult *result;

	conn = PQconnectdb("");
	if (PQstatus(conn) != CONNECTION_OK)
		die(PQerrorMessage(conn));
	if (clock_getcpuclockid(PQbackendPID(conn), &backend) != 0)
		die("cannot read the backend's clock");
	if (!share_cpu(PQbackendPID(conn)))
		die("cannot bind processes to a CPU");
	do_sql("SET max_parallel_workers_per_gather = 0; SET jit = off");
	result = PQexec(conn, "SELECT count(*) FROM docs");
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die(PQerrorMessage(conn));
	rows = atoi(PQgetvalue(result, 0, 0));
	PQclear(result);
	make_queries(count);
	printf("filter\tauto\tgraph\tprefilter\texact\tsorted\tto best\trecall\tstrategy\tdistances\n");
	for (size_t i = 0; i < FILTERS; i++)
		if (word == NULL || strstr(filters[i].name, word) != NULL)
			print_filter(&filters[i], count);
	PQfinish(conn);
}

int
main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "make") == 0)
		make(argv[2], atoi(argv[3]));
	else if (argc >= 2 && argc <= 4 && strcmp(argv[1], "measure") == 0)
	{
		int count = argc > 2 ? atoi(argv[2]) : 10;

		if (count < 1 || count > MAX_QUERIES)
			die("1 to 100 queries");
		measure_all(count, argc > 3 ? argv[3] : NULL);
	}
	else
		die("usage: filters make DATABASE ROWS | measure [QUERIES [WORD]]");
	return 0;
}
