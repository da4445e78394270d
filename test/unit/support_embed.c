/*
 * support_embed.c
 *		Start, steer and ask the embedding server of the tests.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support_embed.h"

static pid_t server;
int embed_server_port;
char embed_server_url[64];
static char answer[65536];

void
embed_server_tell(const char *path, const char *body)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t) embed_server_port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char request[2048];
	size_t have = 0;
	char *start;
	int n;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
	n = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nContent-Length: %zu\r\n\r\n%s",
				 body ? "POST" : "GET", path, body ? strlen(body) : 0, body ? body : "");
	assert_int_equal(write(fd, request, (size_t) n), n);
	shutdown(fd, SHUT_WR);
	while (have < sizeof(answer) - 1 && (n = (int) read(fd, answer + have, sizeof(answer) - 1 - have)) > 0)
		have += (size_t) n;
	answer[have] = '\0';
	close(fd);
	assert_non_null(strstr(answer, " 200 "));
	start = strstr(answer, "\r\n\r\n");
	assert_non_null(start);
	memmove(answer, start + 4, strlen(start + 4) + 1);
}

int
embed_server_count(const char *what)
{
	int n = 0;

	for (const char *at = answer; (at = strstr(at, what)) != NULL; at += strlen(what))
		n++;
	return n;
}

int
embed_server_requests(void)
{
	embed_server_tell("/log", NULL);
	return embed_server_count("\"path\"");
}

void
embed_server_start(void)
{
	char file[] = "/tmp/embed-test-XXXXXX";
	int fd = mkstemp(file);
	FILE *f;

	assert_true(fd >= 0);
	close(fd);
	unlink(file);
	server = fork();
	if (server == 0)
	{
		execlp("perl", "perl", TEST_DATA_DIR "/../embed/server.pl", file, "120", (char *) NULL);
		_exit(127);
	}
	for (int i = 0; i < 200 && embed_server_port == 0; i++)
	{
		if ((f = fopen(file, "r")) != NULL)
		{
			if (fscanf(f, "%d", &embed_server_port) != 1)
				embed_server_port = 0;
			fclose(f);
		}
		usleep(50000);
	}
	unlink(file);
	assert_int_not_equal(embed_server_port, 0);
	snprintf(embed_server_url, sizeof(embed_server_url), "http://127.0.0.1:%d", embed_server_port);
}

void
embed_server_stop(void)
{
	kill(server, SIGTERM);
	waitpid(server, NULL, 0);
	embed_server_port = 0;
}
