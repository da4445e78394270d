/*
 * embed.c
 *		What asking for embeddings costs beside the request itself.
 *
 * A server of one thread answers every request at once with vectors of fixed
 * numbers.  Three clients ask it in turn, the same body each time, so that
 * the machine's drift meets all of them alike:
 *
 *	plain		a keep-alive socket: write the request, read the answer
 *	library		bridge_embed()
 *	sql			SELECT vss_embed($1), prepared, over libpq (where PGHOST is set
 *				and a server vss_bench of vss_fdw may be created)
 *
 * Then texts a second in batches, library and sql.  Output is TSV.
 */
#include "sqlite_bridge/bridge.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DIM 384
#define ROUNDS 2000
#define BATCH 64

static int port;
static char *one, *many; /* answers, headers included */
static size_t one_length, many_length;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e6 + (double) t.tv_nsec / 1e3;
}

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

/* ---------- the server ---------- */

static char *
make_answer(int count, size_t *length)
{
	size_t size = (size_t) count * DIM * 16 + 1000;
	char *body = malloc(size);
	char *answer = malloc(size + 200);
	size_t n = (size_t) sprintf(body, "{\"model\":\"bench\",\"embeddings\":[");

	for (int i = 0; i < count; i++)
	{
		for (int j = 0; j < DIM; j++)
			n += (size_t) sprintf(body + n, "%c%.7f", j == 0 ? '[' : ',',
								  (double) ((i * DIM + j) * 7919 % 1000) / 1000 - 0.5);
		n += (size_t) sprintf(body + n, "]%s", i + 1 < count ? "," : "");
	}
	n += (size_t) sprintf(body + n, "]}");
	*length = (size_t) sprintf(
		answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", n,
		body);
	free(body);
	return answer;
}

static void *
serve(void *arg)
{
	int fd = (int) (intptr_t) arg;
	static __thread char in[1 << 20];
	size_t have = 0;
	ssize_t n;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	while ((n = read(fd, in + have, sizeof(in) - 1 - have)) > 0)
	{
		char *end, *length;
		size_t whole;

		have += (size_t) n;
		in[have] = '\0';
		if ((end = strstr(in, "\r\n\r\n")) == NULL || (length = strcasestr(in, "content-length:")) == NULL)
			continue;
		whole = (size_t) (end - in) + 4 + strtoul(length + 15, NULL, 10);
		if (have < whole)
			continue;
		have = 0;
		/* one text or a full batch */
		if (strstr(end, "\",\"") != NULL && strstr(end, "text 1\"") != NULL)
		{
			if (write(fd, many, many_length) != (ssize_t) many_length)
				break;
		}
		else if (write(fd, one, one_length) != (ssize_t) one_length)
			break;
	}
	close(fd);
	return NULL;
}

static void *
listen_for(void *arg)
{
	int listener = (int) (intptr_t) arg;

	for (;;)
	{
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			break;
		pthread_create(&thread, NULL, serve, (void *) (intptr_t) fd);
		pthread_detach(thread);
	}
	return NULL;
}

static void
start_server(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	pthread_t thread;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 || listen(listener, 16) != 0 ||
		getsockname(listener, (struct sockaddr *) &address, &size) != 0)
		fail("listen");
	port = ntohs(address.sin_port);
	pthread_create(&thread, NULL, listen_for, (void *) (intptr_t) listener);
}

/* ---------- the clients ---------- */

static double
plain_request(int i)
{
	static int fd = -1;
	static char answer[1 << 20];
	char request[512];
	char body[200];
	double start;
	size_t have = 0;
	int on = 1;

	if (fd < 0)
	{
		struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};

		address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *) &address, sizeof(address)) != 0)
			fail("connect");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	}
	start = now();
	snprintf(body, sizeof(body), "{\"model\":\"bench\",\"input\":[\"question %d\"]}", i);
	snprintf(request, sizeof(request), "POST /api/embed HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(body), body);
	if (write(fd, request, strlen(request)) < 0)
		fail("write");
	while (have < one_length)
	{
		ssize_t n = read(fd, answer + have, sizeof(answer) - have);

		if (n <= 0)
			fail("read");
		have += (size_t) n;
	}
	return now() - start;
}

static BridgeEmbedClient *client;
static BridgeEmbedOptions options;

static double
library_request(int count, int i)
{
	const char *texts[BATCH];
	size_t lengths[BATCH];
	static char buffers[BATCH][32];
	BridgeEmbedError error;
	float *vectors;
	int dim;
	double start = now();

	for (int t = 0; t < count; t++)
	{
		lengths[t] = (size_t) snprintf(buffers[t], sizeof(buffers[t]), count == 1 ? "question %d" : "text %d",
									   count == 1 ? i : t);
		texts[t] = buffers[t];
	}
	if (bridge_embed(client, &options, (size_t) count, texts, lengths, NULL, NULL, &vectors, &dim, &error) !=
		BRIDGE_EMBED_OK)
	{
		fprintf(stderr, "%s\n", error.message);
		exit(1);
	}
	free(vectors);
	return now() - start;
}

static PGconn *conn;

static void
sql(const char *text)
{
	PGresult *result = PQexec(conn, text);

	if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(conn));
		exit(1);
	}
	PQclear(result);
}

static double
sql_request(const char *statement, int i)
{
	char text[64];
	const char *values[1] = {text};
	double start = now();
	PGresult *result;

	snprintf(text, sizeof(text), "question %d", i);
	result = PQexecPrepared(conn, statement, strcmp(statement, "batch") == 0 ? 0 : 1, values, NULL, NULL, 0);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
	{
		fprintf(stderr, "%s", PQerrorMessage(conn));
		exit(1);
	}
	PQclear(result);
	return now() - start;
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static double
median(double *values, int n)
{
	qsort(values, (size_t) n, sizeof(double), compare);
	return values[n / 2];
}

int
main(int argc, char **argv)
{
	static double plain[ROUNDS], library[ROUNDS], nothing[ROUNDS], embed[ROUNDS], batch[ROUNDS / 20],
		sql_batch[ROUNDS / 20];
	char url[64];
	bool with_sql = argc > 1;
	double p, l;

	one = make_answer(1, &one_length);
	many = make_answer(BATCH, &many_length);
	start_server();
	bridge_embed_defaults(&options);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
	options.url = url;
	options.model = "bench";
	client = bridge_embed_client_new();
	if (with_sql)
	{
		char create[512];

		conn = PQconnectdb("");
		snprintf(create, sizeof(create),
				 "SET client_min_messages = error; CREATE EXTENSION IF NOT EXISTS vss_fdw; DROP SERVER IF "
				 "EXISTS vss_bench;"
				 " CREATE SERVER vss_bench FOREIGN DATA WRAPPER vss_fdw OPTIONS (database '%s', embed_url "
				 "'%s', embed_model 'bench')",
				 argv[1], url);
		sql(create);
		sql("PREPARE embed(text) AS SELECT vss_dims(vss_embed($1, 'vss_bench'))");
		sql("PREPARE nothing(text) AS SELECT length($1)");
		sql("PREPARE batch AS SELECT vss_embed(array_agg('text ' || i), 'vss_bench') IS NULL FROM "
			"generate_series(0, 63) i");
	}
	for (int i = -100; i < ROUNDS; i++)
	{
		int at = i < 0 ? 0 : i;

		plain[at] = plain_request(i);
		library[at] = library_request(1, i);
		if (with_sql)
		{
			nothing[at] = sql_request("nothing", i);
			embed[at] = sql_request("embed", i);
		}
	}
	for (int i = 0; i < ROUNDS / 20; i++)
	{
		batch[i] = library_request(BATCH, i);
		if (with_sql)
			sql_batch[i] = sql_request("batch", i);
	}
	p = median(plain, ROUNDS);
	l = median(library, ROUNDS);
	printf("what\tmicroseconds\tover plain\n");
	printf("plain keep-alive request, %d-d answer\t%.0f\t\n", DIM, p);
	printf("library\t%.0f\t%.0f\n", l, l - p);
	if (with_sql)
	{
		double e = median(embed, ROUNDS), n = median(nothing, ROUNDS);

		printf("SELECT vss_embed($1), less an empty query\t%.0f\t%.0f\n", e - n, e - n - p);
	}
	printf("library, texts a second in batches of %d\t%.0f\t\n", BATCH,
		   BATCH * 1e6 / median(batch, ROUNDS / 20));
	if (with_sql)
		printf("vss_embed(text[]), texts a second in batches of %d\t%.0f\t\n", BATCH,
			   BATCH * 1e6 / median(sql_batch, ROUNDS / 20));
	return 0;
}
