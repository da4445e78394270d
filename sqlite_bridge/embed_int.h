/*
 * embed_int.h
 *		What the embedding client's files share: the two wire formats
 *		(embed_json.c) and the transport (embed_client.c).
 */
#ifndef EMBED_INT_H
#define EMBED_INT_H

#include "bridge.h"

/* ---------- embed_json.c ---------- */

/*
 * The request body for these texts, malloc'd; NULL when memory is short.
 * Texts must be valid UTF-8.
 */
char *embed_request(const BridgeEmbedOptions *options, size_t count, const char *const *texts,
					const size_t *lengths);

/*
 * Read an answer of status 200 into *vectors (malloc'd, count x *dim).  *dim is
 * the dimension demanded when not zero, and the dimension found afterwards.
 * Fills error's status, text and message; the caller adds URL and model.
 */
BridgeEmbedStatus embed_response(const BridgeEmbedOptions *options, const char *body, size_t length,
								 size_t count, float **vectors, int *dim, BridgeEmbedError *error);

/* The server's own words in an error answer, "" when there are none. */
void embed_server_message(const char *body, size_t length, char *out, size_t size);

/* Offset of the first byte that is not valid UTF-8, or -1. */
long embed_invalid_utf8(const char *text, size_t length);

#endif /* EMBED_INT_H */
