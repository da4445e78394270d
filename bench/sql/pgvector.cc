/*
 * pgvector.cc
 *		The same rows asked through vss_fdw and through pgvector, in one server.
 *
 *	pgvector FOLDER N ROUNDS
 *
 * The server that the environment names (PGHOST, ...) has the extensions
 * vector and vss_fdw and, over FOLDER's docs.db of sql.cc, the foreign tables
 * documents (type vss_vector) and pgv.documents (type vector).  This program
 * fills the table items from the latter, so that both have the same rows,
 * builds pgvector's index with the same m and ef_construction, and asks for
 * the ten nearest with
 *
 *	vss_fdw		SELECT id FROM documents ORDER BY embedding <=> $1 LIMIT 10
 *	vss_fdw, pgvector's operator	the same of pgv.documents; and with the distance
 *				in the select list, which pgvector's operator then computes from the row
 *	pgvector	the same of items
 *
 * prepared, the vector binary, ef_search swept in each.  Rounds are taken in
 * turn, setting by setting, so that other load hits all alike; before the first
 * each system has answered all queries at the largest ef_search, so that index
 * and table are in memory.  Client and backend share one CPU, as in sql.cc.
 *
 * A point is the CPU of the backend and the time that the client waits, in
 * microseconds a query, and the recall: the share of rows no farther than the
 * true tenth.  Ratios are taken at equal recall, round by round.  Output is TSV.
 */
#include "../cpu.h"
#include "../search/search.h"

#include <arpa/inet.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

static const uint32_t efs[] = {10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320};

static double
seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

/* ---------- one way to ask ---------- */

class Session
{
	PGconn *conn;
	clockid_t clock;
	std::string setting;
	uint32_t dim;
	std::vector<char> value;

  public:
	std::string name;
	std::vector<Point> cpu, wait;

	Session(const char *name, const char *table, const char *columns, const char *setting, const char *plan,
			uint32_t dim)
		: setting(setting), dim(dim), name(name)
	{
		conn = PQconnectdb("");
		if (PQstatus(conn) != CONNECTION_OK || clock_getcpuclockid(PQbackendPID(conn), &clock) != 0)
			die("%s", PQerrorMessage(conn));
		run(std::string("PREPARE near AS SELECT ") + columns + " FROM " + table +
			" ORDER BY embedding <=> $1 LIMIT " + std::to_string(K));
		check_plan(plan);
	}
	~Session()
	{
		PQfinish(conn);
	}
	Session(const Session &) = delete;

	std::string
	run(const std::string &sql)
	{
		PGresult *result = PQexec(conn, sql.c_str());
		ExecStatusType status = PQresultStatus(result);
		std::string text;

		if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
			die("%s: %s", sql.c_str(), PQerrorMessage(conn));
		for (int i = 0; i < PQntuples(result); i++)
			text += std::string(PQgetvalue(result, i, 0)) + "\n";
		PQclear(result);
		return text;
	}
	/* What is measured must be a search of the index. */
	void
	check_plan(const char *wanted)
	{
		std::string zero = "[1";

		for (uint32_t i = 1; i < dim; i++)
			zero += ",0";
		std::string plan = run("EXPLAIN EXECUTE near('" + zero + "]')");
		if (plan.find(wanted) == std::string::npos)
			die("%s: the plan has no \"%s\":\n%s", name.c_str(), wanted, plan.c_str());
	}
	int
	backend_pid()
	{
		return PQbackendPID(conn);
	}
	void
	set_ef(uint32_t ef)
	{
		run("SET " + setting + " = " + std::to_string(ef));
	}
	double
	cpu_seconds()
	{
		return seconds_of(clock);
	}
	void
	ask(const float *query, std::vector<int64_t> &rows)
	{
		const int binary = 1;
		uint16_t head[2] = {htons((uint16_t) dim), 0};

		value.resize(sizeof(head) + dim * sizeof(float));
		memcpy(value.data(), head, sizeof(head));
		for (size_t i = 0; i < dim; i++)
		{
			uint32_t word;

			memcpy(&word, &query[i], sizeof(word));
			word = htonl(word);
			memcpy(value.data() + sizeof(head) + i * sizeof(word), &word, sizeof(word));
		}
		const char *values[1] = {value.data()};
		int lengths[1] = {(int) value.size()};
		PGresult *result = PQexecPrepared(conn, "near", 1, values, lengths, &binary, binary);
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			die("%s: %s", name.c_str(), PQerrorMessage(conn));
		rows.clear();
		for (int i = 0; i < PQntuples(result); i++)
		{
			uint32_t half[2];

			memcpy(half, PQgetvalue(result, i, 0), sizeof(half));
			rows.push_back((int64_t) ((uint64_t) ntohl(half[0]) << 32 | ntohl(half[1])));
		}
		PQclear(result);
	}
};

/* ---------- measuring ---------- */

/* Rows are numbered from 1. */
static double
recall_of(Session &session, const Dataset &data)
{
	std::vector<int64_t> rows;
	size_t right = 0;

	for (size_t i = 0; i < data.q; i++)
	{
		session.ask(data.query_row(i), rows);
		std::sort(rows.begin(), rows.end());
		rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
		for (int64_t row : rows)
			right += hnsw_distance(data.metric, data.query_row(i), data.base_row((size_t) row - 1),
								   data.dim) <= data.kth[i];
	}
	return (double) right / (double) (data.q * K);
}

/* One round of one setting: all queries. */
static void
time_round(Session &session, const Dataset &data, Point &cpu, Point &wait)
{
	std::vector<int64_t> rows;
	std::vector<double> waited;
	double start = session.cpu_seconds();

	for (size_t i = 0; i < data.q; i++)
	{
		double began = wall_seconds();

		session.ask(data.query_row(i), rows);
		waited.push_back((wall_seconds() - began) * 1e6);
	}
	cpu.rounds.push_back((session.cpu_seconds() - start) / (double) data.q * 1e6);
	/* the median: of the time waited, what another process took is not the system's */
	std::nth_element(waited.begin(), waited.begin() + (long) waited.size() / 2, waited.end());
	wait.rounds.push_back(waited[waited.size() / 2]);
}

/* "median	low	high" of a's microseconds over b's at one recall, over the rounds. */
static std::string
ratio(const std::vector<Point> &a, const std::vector<Point> &b, double recall, size_t rounds)
{
	std::vector<double> ratios;
	char text[100];

	for (size_t round = 0; round < rounds; round++)
	{
		double over = micros_at(a, recall, (int) round);
		double under = micros_at(b, recall, (int) round);

		if (over <= 0 || under <= 0)
			return "-\t-\t-";
		ratios.push_back(over / under);
	}
	snprintf(text, sizeof(text), "%.2f\t%.2f\t%.2f", median(ratios),
			 *std::min_element(ratios.begin(), ratios.end()),
			 *std::max_element(ratios.begin(), ratios.end()));
	return text;
}

/* The rows of pgvector's table, and its index. */
static void
make_items(size_t n)
{
	Session owner("owner", "documents", "id", "vss_fdw.ef_search", "Foreign Scan", 384);
	double start;

	if (owner.run("SELECT to_regclass('items')") != "\n")
		return;
	owner.run("CREATE TABLE items AS SELECT id, embedding FROM pgv.documents");
	if (owner.run("SELECT count(*) FROM items") != std::to_string(n) + "\n")
		die("documents has other than %zu rows", n);
	owner.run("ALTER TABLE items ADD PRIMARY KEY (id)");
	/* all of the graph in memory, one process: its CPU is all that the build takes */
	owner.run("SET maintenance_work_mem = '2GB'");
	owner.run("SET max_parallel_maintenance_workers = 0");
	start = owner.cpu_seconds();
	owner.run("CREATE INDEX items_hnsw ON items USING hnsw (embedding vector_cosine_ops) "
			  "WITH (m = 16, ef_construction = 200)");
	printf("# pgvector\tbuild_cpu_s %.1f\tindex_bytes %s", owner.cpu_seconds() - start,
		   owner.run("SELECT pg_relation_size('items_hnsw')").c_str());
	owner.run("VACUUM ANALYZE items");
}

int
main(int argc, char **argv)
{
	if (argc != 4 || atol(argv[2]) < K || atol(argv[3]) < 1)
		die("usage: pgvector FOLDER N ROUNDS");
	Dataset data = make_synthetic((size_t) atol(argv[2]), 1000, 384);
	size_t rounds = (size_t) atol(argv[3]);
	std::vector<int64_t> rows;

	find_truth(data, K, std::string(argv[1]) + "/truth");
	make_items(data.n);
	Session vss("vss_fdw", "documents", "id", "vss_fdw.ef_search", "Index: vss", data.dim);
	Session both("vss_fdw, pgvector's operator", "pgv.documents", "id", "vss_fdw.ef_search", "Index: vss",
				 data.dim);
	Session shown("vss_fdw, pgvector's operator, distance shown", "pgv.documents", "id, embedding <=> $1",
				  "vss_fdw.ef_search", "Index: vss", data.dim);
	Session pgvector("pgvector", "items", "id", "hnsw.ef_search", "items_hnsw", data.dim);
	std::vector<Session *> sessions = {&vss, &both, &shown, &pgvector};

	/* of few rows and a large ef_search the planner rather sorts them all */
	pgvector.run("SET enable_seqscan = off");

	printf("# versions\t%s", vss.run("SELECT 'PostgreSQL ' || current_setting('server_version') || "
									 "', pgvector ' || extversion FROM pg_extension WHERE extname = 'vector'")
								 .c_str());
	for (Session *s : sessions)
	{
		if (!share_cpu(s->backend_pid()))
			die("cannot bind processes to a CPU");
		for (size_t e = std::size(efs); e-- > 0;)
		{
			s->set_ef(efs[e]);
			s->cpu.insert(s->cpu.begin(), {efs[e], recall_of(*s, data), {}, 0});
		}
		s->wait = s->cpu;
		/* by now a prepared statement has settled on one plan for all values */
		s->check_plan(s == &pgvector ? "items_hnsw" : "Index: vss");
	}
	for (size_t round = 0; round < rounds; round++)
		for (size_t e = 0; e < std::size(efs); e++)
			for (Session *s : sessions)
			{
				s->set_ef(efs[e]);
				time_round(*s, data, s->cpu[e], s->wait[e]);
			}

	printf("dataset\tn\tdim\tsystem\tef\trecall_at_10\tcpu_us\tcpu_low\tcpu_high\twait_us\twait_low\twait_"
		   "high\n");
	for (Session *s : sessions)
		for (size_t e = 0; e < std::size(efs); e++)
		{
			Point &cpu = s->cpu[e];
			Point &wait = s->wait[e];

			printf("%s\t%zu\t%u\t%s\t%u\t%.4f", data.name.c_str(), data.n, data.dim, s->name.c_str(), efs[e],
				   cpu.recall);
			for (Point *p : {&cpu, &wait})
			{
				p->micros = median(p->rounds);
				printf("\t%.1f\t%.1f\t%.1f", p->micros, *std::min_element(p->rounds.begin(), p->rounds.end()),
					   *std::max_element(p->rounds.begin(), p->rounds.end()));
			}
			printf("\n");
		}
	for (double recall : {0.95, 0.98, 0.99})
	{
		for (Session *s : sessions)
			printf("# us at recall %.2f\t%s\t%.1f\t%.1f\n", recall, s->name.c_str(),
				   micros_at(s->cpu, recall, -1), micros_at(s->wait, recall, -1));
		for (Session *s : {&vss, &both, &shown})
		{
			printf("# CPU of pgvector over it at recall %.2f\t%s\t%s\n", recall, s->name.c_str(),
				   ratio(pgvector.cpu, s->cpu, recall, rounds).c_str());
			printf("# wait for pgvector over it at recall %.2f\t%s\t%s\n", recall, s->name.c_str(),
				   ratio(pgvector.wait, s->wait, recall, rounds).c_str());
		}
	}
	return 0;
}
