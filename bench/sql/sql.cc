/*
 * sql.cc
 *		What a search loses on its way through SQL, and what peers in SQLite take.
 *
 *	sql FOLDER N EF [PEER.so ...]
 *
 * FOLDER gets docs.db with N synthetic vectors of 384 dimensions (see
 * bench/search/README.md) under an hnsw index.  Asked for the ten nearest, in
 * turn query by query so that the machine's drift meets all alike:
 *
 *	library		hnsw_search_again on the index's graph file
 *	sqlite		SELECT rowid, distance FROM vss(?, 10, ef), prepared
 *	postgres	SELECT id FROM documents ORDER BY embedding <=> $1 LIMIT 10,
 *				prepared; the vector binary, and as text (with PGHOST set and
 *				docs.db imported there); and SELECT 1 with the same parameter,
 *				what any prepared statement costs
 *	peers		vec0.so (sqlite-vec), vectorlite.so: an in-memory table of theirs
 *
 * Times are CPU: of this thread, of the backend for PostgreSQL.  Both run on
 * one CPU: a virtual machine charges waking another one, 15 to 20 us, to who
 * wakes it, and whether the scheduler chose one CPU or two would otherwise be
 * most of what two runs differ by.  Recall is against exact search.  Output is
 * TSV.
 */
#include "../cpu.h"
#include "../search/bench.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <unistd.h>
#include <string>
#include <vector>

static const int K = 10;

/* ---------- one system under test ---------- */

struct System
{
	std::string name;
	std::vector<double> times; /* microseconds */
	size_t found = 0;          /* true neighbours among those returned */
	size_t wanted = 0;

	virtual ~System()
	{
	}
	virtual void ask(const float *query, std::vector<int64_t> &rows) = 0;
	virtual clockid_t
	clock() const
	{
		return CLOCK_THREAD_CPUTIME_ID;
	}
};

static double
microseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double) t.tv_sec * 1e6 + (double) t.tv_nsec * 1e-3;
}

struct GraphFile : System
{
	HnswSnapshot *graph = nullptr;
	HnswCursor *cursor = nullptr;

	GraphFile(const std::string &path, uint32_t ef, const float *query)
	{
		HnswSearchOptions options = {};
		HnswError error;

		name = "library";
		options.ef = ef;
		if (hnsw_snapshot_open(path.c_str(), &graph, &error) != HNSW_OK)
			die("%s: %s", path.c_str(), error.message);
		if (hnsw_search_begin(graph, query, K, &options, &cursor, &error) != HNSW_OK)
			die("%s", error.message);
	}
	~GraphFile()
	{
		hnsw_search_end(cursor);
		hnsw_snapshot_close(graph);
	}
	void
	ask(const float *query, std::vector<int64_t> &rows) override
	{
		HnswHit hit;

		if (hnsw_search_again(cursor, query, K, nullptr) != HNSW_OK)
			die("search failed");
		for (int i = 0; i < K && hnsw_search_next(cursor, &hit) == HNSW_OK; i++)
			rows.push_back(hit.label);
	}
};

static sqlite3 *
open_database(const std::string &path)
{
	sqlite3 *db;

	if (sqlite3_open(path.c_str(), &db) != SQLITE_OK)
		die("%s: %s", path.c_str(), sqlite3_errmsg(db));
	return db;
}

static void
run(sqlite3 *db, const std::string &sql)
{
	char *message = nullptr;

	if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message) != SQLITE_OK)
		die("%s: %s", sql.c_str(), message);
}

static void
load_extension(sqlite3 *db, const std::string &path)
{
	char *message = nullptr;

	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, nullptr);
	if (sqlite3_load_extension(db, path.c_str(), nullptr, &message) != SQLITE_OK)
		die("%s: %s", path.c_str(), message);
}

/* A statement whose first parameter is the vector as a blob and whose first column is the rowid. */
struct Statement : System
{
	sqlite3 *db;
	sqlite3_stmt *stmt;
	size_t bytes;

	Statement(const std::string &name, sqlite3 *db, const std::string &sql, size_t dim)
		: db(db), bytes(dim * sizeof(float))
	{
		this->name = name;
		if (sqlite3_prepare_v2(db, sql.c_str(), -1, &stmt, nullptr) != SQLITE_OK)
			die("%s: %s", sql.c_str(), sqlite3_errmsg(db));
	}
	~Statement()
	{
		sqlite3_finalize(stmt);
		sqlite3_close(db);
	}
	void
	ask(const float *query, std::vector<int64_t> &rows) override
	{
		int rc;

		sqlite3_bind_blob(stmt, 1, query, (int) bytes, SQLITE_STATIC);
		while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
			rows.push_back(sqlite3_column_int64(stmt, 0));
		if (rc != SQLITE_DONE)
			die("%s: %s", name.c_str(), sqlite3_errmsg(db));
		sqlite3_reset(stmt);
	}
};

struct Postgres : System
{
	PGconn *conn;
	clockid_t backend;
	bool binary;
	size_t dim;
	std::vector<char> value;

	Postgres(const char *title, const std::string &select, bool binary, uint32_t ef, size_t dim)
		: binary(binary), dim(dim)
	{
		PGresult *result;
		std::string prepare = "PREPARE near(vss_vector) AS " + select;

		name = title;
		conn = PQconnectdb("");
		if (PQstatus(conn) != CONNECTION_OK || clock_getcpuclockid(PQbackendPID(conn), &backend) != 0)
			die("%s", PQerrorMessage(conn));
		if (!share_cpu(PQbackendPID(conn)))
			die("cannot bind processes to a CPU");
		PQclear(PQexec(conn, ("SET vss_fdw.ef_search = " + std::to_string(ef)).c_str()));
		result = PQexec(conn, prepare.c_str());
		if (PQresultStatus(result) != PGRES_COMMAND_OK)
			die("%s", PQerrorMessage(conn));
		PQclear(result);
	}
	~Postgres()
	{
		PQfinish(conn);
	}
	clockid_t
	clock() const override
	{
		return backend;
	}
	void
	ask(const float *query, std::vector<int64_t> &rows) override
	{
		const char *values[1];
		int lengths[1];
		int formats[1] = {binary};
		PGresult *result;

		value.clear();
		if (binary)
		{
			uint16_t head[2] = {htons((uint16_t) dim), 0};

			value.insert(value.end(), (char *) head, (char *) head + sizeof(head));
			for (size_t i = 0; i < dim; i++)
			{
				uint32_t word;

				memcpy(&word, &query[i], sizeof(word));
				word = htonl(word);
				value.insert(value.end(), (char *) &word, (char *) &word + sizeof(word));
			}
		}
		else
		{
			for (size_t i = 0; i < dim; i++)
			{
				char number[32];
				int n = snprintf(number, sizeof(number), "%c%.9g", i == 0 ? '[' : ',', (double) query[i]);

				value.insert(value.end(), number, number + n);
			}
			value.push_back(']');
			value.push_back('\0');
		}
		values[0] = value.data();
		lengths[0] = (int) value.size();
		result = PQexecPrepared(conn, "near", 1, values, lengths, formats, 1);
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			die("%s", PQerrorMessage(conn));
		for (int i = 0; i < PQntuples(result); i++)
		{
			uint32_t half[2];

			memcpy(half, PQgetvalue(result, i, 0), sizeof(half));
			rows.push_back((int64_t) ((uint64_t) ntohl(half[0]) << 32 | ntohl(half[1])));
		}
		PQclear(result);
	}
};

/* ---------- the databases ---------- */

static void
insert_all(sqlite3 *db, const std::string &sql, const Dataset &data)
{
	sqlite3_stmt *stmt;

	run(db, "BEGIN");
	if (sqlite3_prepare_v2(db, sql.c_str(), -1, &stmt, nullptr) != SQLITE_OK)
		die("%s: %s", sql.c_str(), sqlite3_errmsg(db));
	for (size_t i = 0; i < data.n; i++)
	{
		sqlite3_bind_int64(stmt, 1, (sqlite3_int64) i + 1);
		sqlite3_bind_blob(stmt, 2, &data.base[i * data.dim], (int) (data.dim * sizeof(float)), SQLITE_STATIC);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			die("%s: %s", sql.c_str(), sqlite3_errmsg(db));
		sqlite3_reset(stmt);
	}
	sqlite3_finalize(stmt);
	run(db, "COMMIT");
}

static void
make_documents(sqlite3 *db, const Dataset &data)
{
	run(db, "PRAGMA journal_mode = wal; CREATE TABLE documents(id INTEGER PRIMARY KEY, content TEXT, "
			"embedding BLOB)");
	insert_all(db, "INSERT INTO documents VALUES (?1, 'document ' || ?1, ?2)", data);
	run(db, "CREATE VIRTUAL TABLE vss USING hnsw(dim = " + std::to_string(data.dim) +
				", m = 16, ef = 200, content = documents, content_rowid = id, content_vector = embedding);"
				"SELECT hnsw_save()");
}

static System *
make_peer(const std::string &library, uint32_t ef, const Dataset &data)
{
	sqlite3 *db = open_database(":memory:");
	std::string dim = std::to_string(data.dim);

	load_extension(db, library);
	if (library.find("vec0") != std::string::npos)
	{
		run(db, "CREATE VIRTUAL TABLE v USING vec0(embedding float[" + dim + "] distance_metric=cosine)");
		insert_all(db, "INSERT INTO v(rowid, embedding) VALUES (?, ?)", data);
		return new Statement("sqlite-vec (exact)", db,
							 "SELECT rowid, distance FROM v WHERE embedding MATCH ? AND k = 10", data.dim);
	}
	run(db, "CREATE VIRTUAL TABLE v USING vectorlite(embedding float32[" + dim +
				"] cosine, hnsw(max_elements=" + std::to_string(data.n + 1) +
				", M=16, ef_construction=200))");
	insert_all(db, "INSERT INTO v(rowid, embedding) VALUES (?, ?)", data);
	return new Statement("vectorlite", db,
						 "SELECT rowid, distance FROM v WHERE knn_search(embedding, knn_param(?, 10, " +
							 std::to_string(ef) + "))",
						 data.dim);
}

/* ---------- measuring ---------- */

static std::vector<int64_t>
exact(const Dataset &data, const float *query)
{
	std::vector<std::pair<double, int64_t>> all(data.n);
	std::vector<int64_t> rows;

	for (size_t i = 0; i < data.n; i++)
		all[i] = {hnsw_distance(HNSW_COSINE, query, &data.base[i * data.dim], data.dim), (int64_t) i + 1};
	std::partial_sort(all.begin(), all.begin() + K, all.end());
	for (int i = 0; i < K; i++)
		rows.push_back(all[(size_t) i].second);
	return rows;
}

static double
median(std::vector<double> values)
{
	std::nth_element(values.begin(), values.begin() + (long) values.size() / 2, values.end());
	return values[values.size() / 2];
}

int
main(int argc, char **argv)
{
	if (argc < 4 || atol(argv[2]) < K || atoi(argv[3]) < 1)
		die("usage: sql FOLDER N EF [PEER.so ...]");
	std::string folder = argv[1];
	uint32_t ef = (uint32_t) atoi(argv[3]);
	Dataset data = make_synthetic((size_t) atol(argv[2]), 1000, 384);
	std::vector<System *> systems;
	std::string file = folder + "/docs.db";
	bool make = access(file.c_str(), F_OK) != 0;
	sqlite3 *db = open_database(file);

	load_extension(db, folder + "/hnsw");
	if (make)
		make_documents(db, data);
	if (getenv("SQL_BENCH_ONLY_MAKE") != nullptr)
		return 0;

	systems.push_back(new GraphFile(file + "-vss.hnsw", ef, data.query.data()));
	systems.push_back(new Statement(
		"sqlite", db, "SELECT rowid, distance FROM vss(?, 10, " + std::to_string(ef) + ")", data.dim));
	if (getenv("PGHOST") != nullptr)
	{
		std::string nearest =
			"SELECT id FROM documents ORDER BY embedding <=> $1 LIMIT " + std::to_string(K);

		systems.push_back(new Postgres("postgres, binary parameter", nearest, true, ef, data.dim));
		systems.push_back(new Postgres("postgres, text parameter", nearest, false, ef, data.dim));
		systems.push_back(new Postgres("postgres, SELECT 1", "SELECT 1::bigint WHERE $1 IS NOT NULL", true,
									   ef, data.dim));
	}
	for (int i = 4; i < argc; i++)
		systems.push_back(make_peer(argv[i], ef, data));

	for (size_t i = 0; i < data.q; i++)
	{
		const float *query = &data.query[i * data.dim];
		std::vector<int64_t> right;

		if (i < 100)
			right = exact(data, query);
		for (System *system : systems)
		{
			std::vector<int64_t> rows;
			double start;

			/* the first time warms: what is timed finds the caches alike */
			system->ask(query, rows);
			rows.clear();
			start = microseconds(system->clock());
			system->ask(query, rows);
			system->times.push_back(microseconds(system->clock()) - start);
			for (int64_t row : right)
				system->found += std::find(rows.begin(), rows.end(), row) != rows.end();
			system->wanted += right.size();
		}
	}
	printf("system\trecall@10\tCPU us a query\tover the library\n");
	double library = median(systems[0]->times);
	for (System *system : systems)
		printf("%s\t%.4f\t%.1f\t%.1f\n", system->name.c_str(),
			   (double) system->found / (double) system->wanted, median(system->times),
			   median(system->times) - library);
	for (System *system : systems)
		delete system;
	return 0;
}
