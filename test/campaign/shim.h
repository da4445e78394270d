/*
 * shim.h
 *		Stand between the process and the system: count the calls made on files of
 *		one folder, and kill the process or fail the call at one of them.
 *
 * shim.c defines open, write, rename, malloc and so on in the executable, which
 * the dynamic linker prefers over libc's for libsqlite3 and hnsw.so too.
 */
#ifndef CAMPAIGN_SHIM_H
#define CAMPAIGN_SHIM_H

#include <stdatomic.h>
#include <stdbool.h>

/* What is counted; a set. */
enum
{
	SHIM_WRITES =
		1,          /* open for writing, write, sync, truncate, allocate, rename, link, unlink, mode, owner */
	SHIM_READS = 2, /* open for reading, read, map, opendir */
	SHIM_ALLOCS = 4 /* malloc, calloc, realloc, of any thread */
};

typedef enum ShimAction
{
	SHIM_COUNT,
	SHIM_KILL,  /* SIGKILL before the call */
	SHIM_TORN,  /* the same, but half of a write is written */
	SHIM_POWER, /* the same, and what was not synced of graph files is lost */
	SHIM_FAIL,  /* the call fails with the error given */
	SHIM_SHORT  /* half of a write or read is done, and reported so */
} ShimAction;

typedef struct ShimPlan
{
	unsigned counts;
	ShimAction action;
	long at; /* from 1 */
	int error;
	bool lasting; /* all later calls fail, too */
} ShimPlan;

/* Calls below this folder (a real path) are seen; for ever. */
void shim_watch(const char *folder);
void shim_arm(const ShimPlan *plan);
/* How many calls were counted; *struck: whether one was hit. */
long shim_disarm(bool *struck);

/* Syncing is a waste of time where nobody pulls a plug; true: do nothing. */
void shim_skip_sync(bool skip);

/*
 * Mergers at work, seen by the temporary files they hold open: shared between
 * processes, the greatest number ever is kept.
 */
typedef struct ShimMergers
{
	atomic_int now, most, all;
} ShimMergers;

void shim_count_mergers(ShimMergers *shared, const char *index_file);

#endif
