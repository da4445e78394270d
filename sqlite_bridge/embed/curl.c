/*
 * curl.c
 *		libcurl, opened when it is first needed.
 *
 * libcurl brings some thirty libraries with it, and most programs that load
 * this one never ask for an embedding.  So it is no dependency of ours: it is
 * opened by name at the first request, stays open, and where it is missing
 * that request fails and says so.  A library of our own beside hnsw.so would
 * need a second way to tell the index which model made a vector (provenance.c).
 */
#include "sqlite_bridge/embed/curl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/* One ABI under the names that systems give it. */
#ifdef __APPLE__
static const char *const names[] = {"libcurl.4.dylib"};
#else
static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl-nss.so.4"};
#endif

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static EmbedCurl curl;
static bool is_open; /* under the lock */

/* The first of names that can be opened; why not is told of the first alone. */
static void *
open_library(char *why, size_t size)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);

		if (library != NULL)
			return library;
		if (i == 0)
			snprintf(why, size, "%s", dlerror());
	}
	return NULL;
}

static bool
find_functions(void *library, char *why, size_t size)
{
#define FIND(name)                                                                                           \
	if ((curl.name = (__typeof__(curl.name)) dlsym(library, "curl_" #name)) == NULL)                         \
	{                                                                                                        \
		snprintf(why, size, "it is older than version 7.66 and lacks curl_%s", #name);                       \
		return false;                                                                                        \
	}
	EMBED_CURL_FUNCTIONS(FIND)
#undef FIND
	return true;
}

const EmbedCurl *
embed_curl(char *why, size_t size)
{
	const EmbedCurl *found = NULL;

	pthread_mutex_lock(&lock);
	if (!is_open)
	{
		void *library = open_library(why, size);

		if (library != NULL && !find_functions(library, why, size))
			dlclose(library);
		else if (library != NULL && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
			snprintf(why, size, "it does not start");
		else
			is_open = library != NULL;
	}
	if (is_open)
		found = &curl;
	pthread_mutex_unlock(&lock);
	return found;
}
