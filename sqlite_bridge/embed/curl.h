/*
 * curl.h
 *		libcurl's functions as the embedding client calls them (curl.c).
 */
#ifndef BRIDGE_EMBED_CURL_H
#define BRIDGE_EMBED_CURL_H

/* its checks of types are macros over the functions' own names */
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include <stdbool.h>
#include <stddef.h>

/* The newest of them are of 7.66 (September 2019). */
#define EMBED_CURL_FUNCTIONS(F)                                                                              \
	F(global_init)                                                                                           \
	F(easy_init)                                                                                             \
	F(easy_cleanup)                                                                                          \
	F(easy_reset)                                                                                            \
	F(easy_setopt)                                                                                           \
	F(easy_getinfo)                                                                                          \
	F(easy_strerror)                                                                                         \
	F(multi_init)                                                                                            \
	F(multi_cleanup)                                                                                         \
	F(multi_add_handle)                                                                                      \
	F(multi_remove_handle)                                                                                   \
	F(multi_perform)                                                                                         \
	F(multi_poll)                                                                                            \
	F(multi_info_read)                                                                                       \
	F(slist_append)                                                                                          \
	F(slist_free_all)                                                                                        \
	F(url)                                                                                                   \
	F(url_get)                                                                                               \
	F(url_set)                                                                                               \
	F(url_cleanup)                                                                                           \
	F(free)

/* Each under its name without "curl_". */
typedef struct EmbedCurl
{
#define DECLARE(name) __typeof__(curl_##name) *name;
	EMBED_CURL_FUNCTIONS(DECLARE)
#undef DECLARE
} EmbedCurl;

/* ---------- curl.c ---------- */

/*
 * libcurl, loaded and started; it stays so for the life of the process.
 * NULL where it cannot be had, with the reason in why (size bytes).  Tried
 * anew at each call until it succeeds.  Safe from any thread.
 */
const EmbedCurl *embed_curl(char *why, size_t size);

#endif /* BRIDGE_EMBED_CURL_H */
