/*
 * thread.c
 *		Threads of a host's own, started as the graph library starts its own.
 */
#include "sqlite_bridge/base/base.h"

bool
bridge_thread_start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	return hnsw_thread_start(thread, body, arg);
}
