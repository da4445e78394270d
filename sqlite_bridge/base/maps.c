/*
 * maps.c
 *		hnsw's watch over maps, for hosts: the wrapper has SQLite's -shm maps watched.
 */
#include "hnsw/hnsw.h"
#include "sqlite_bridge/bridge.h"

bool
bridge_watch_map(const void *base, size_t size, bool writable, _Atomic bool *lost)
{
	return hnsw_fault_watch(base, size, writable, lost);
}

void
bridge_unwatch_map(const void *base, const _Atomic bool *lost)
{
	hnsw_fault_unwatch(base, lost);
}
