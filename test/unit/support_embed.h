/*
 * support_embed.h
 *		The embedding server of the tests (test/embed/server.pl), started by a
 *		test and told how to fail.
 */
#ifndef SUPPORT_EMBED_H
#define SUPPORT_EMBED_H

extern int embed_server_port;
extern char embed_server_url[64];

void embed_server_start(void);
void embed_server_stop(void);

/* POST body to path, or GET for NULL; the answer's body is kept for embed_server_count. */
void embed_server_tell(const char *path, const char *body);

/* How often the text stands in the last answer. */
int embed_server_count(const char *what);

/* Requests the server has seen since the last reset. */
int embed_server_requests(void);

#endif /* SUPPORT_EMBED_H */
