/*
 * queue.c
 *		Merges that wait for a worker, of the whole server.
 *
 * A slot has the index's key and its job's segment.  Both are atomic, so nobody
 * takes a lock, and who dies leaves nothing locked.  A slot is free while its
 * key is 0.  Who puts a job in claims the slot by the key and then adds the
 * segment; who takes one out takes the segment and then frees the slot.  Slots
 * are filled and emptied in turn, so every job's turn comes.
 *
 * The memory is the server's: it needs no preloading, and a restart after a crash
 * empties it.
 */
#include "fdw/admin/admin.h"

#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#else
#include "storage/lwlock.h"
#include "storage/shmem.h"
#endif

#define QUEUE_NAME "vss_fdw merges"

/* Each slot in use is one of the server's segments, of which there are 64 and 5 for each connection. */
#define QUEUE_SLOTS 128

typedef struct QueueSlot
{
	pg_atomic_uint64 key; /* 0: free */
	pg_atomic_uint32 job; /* DSM_HANDLE_INVALID: being put in or taken out */
} QueueSlot;

typedef struct MergeQueue
{
	pg_atomic_uint32 put, take; /* where to look first */
	QueueSlot slots[QUEUE_SLOTS];
} MergeQueue;

static void
start_empty(MergeQueue *queue)
{
	pg_atomic_init_u32(&queue->put, 0);
	pg_atomic_init_u32(&queue->take, 0);
	for (int i = 0; i < QUEUE_SLOTS; i++)
	{
		pg_atomic_init_u64(&queue->slots[i].key, 0);
		pg_atomic_init_u32(&queue->slots[i].job, DSM_HANDLE_INVALID);
	}
}

#if PG_VERSION_NUM >= 170000

static void
init_segment(VSS_SEGMENT_INIT_PARAMETERS)
{
	start_empty(memory);
}

static MergeQueue *
attach(void)
{
	bool found;

	return GetNamedDSMSegment(QUEUE_NAME, sizeof(MergeQueue), init_segment, &found VSS_SEGMENT_INIT_ARGUMENT);
}

#else

/* A few kilobytes of what the server keeps for whoever comes without having asked. */
static MergeQueue *
attach(void)
{
	MergeQueue *queue;
	bool found;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	queue = ShmemInitStruct(QUEUE_NAME, sizeof(MergeQueue), &found);
	if (!found)
		start_empty(queue);
	LWLockRelease(AddinShmemInitLock);
	return queue;
}

#endif

static MergeQueue *
the_queue(void)
{
	static MergeQueue *queue = NULL;

	if (queue == NULL)
		queue = attach();
	return queue;
}

bool
vssfdw_queue_has(uint64 key)
{
	MergeQueue *queue = the_queue();

	for (int i = 0; i < QUEUE_SLOTS; i++)
		if (pg_atomic_read_u64(&queue->slots[i].key) == key)
			return true;
	return false;
}

bool
vssfdw_queue_put(uint64 key, dsm_handle job)
{
	MergeQueue *queue = the_queue();
	uint32 first = pg_atomic_fetch_add_u32(&queue->put, 1);

	for (int i = 0; i < QUEUE_SLOTS; i++)
	{
		QueueSlot *slot = &queue->slots[(first + (uint32) i) % QUEUE_SLOTS];
		uint64 free = 0;

		if (pg_atomic_compare_exchange_u64(&slot->key, &free, key))
		{
			pg_atomic_exchange_u32(&slot->job, job);
			return true;
		}
	}
	return false;
}

bool
vssfdw_queue_take(uint64 *key, dsm_handle *job)
{
	MergeQueue *queue = the_queue();
	uint32 first = pg_atomic_read_u32(&queue->take);

	for (int i = 0; i < QUEUE_SLOTS; i++)
	{
		uint32 n = (first + (uint32) i) % QUEUE_SLOTS;
		QueueSlot *slot = &queue->slots[n];

		if (pg_atomic_read_u32(&slot->job) == DSM_HANDLE_INVALID)
			continue;
		*job = pg_atomic_exchange_u32(&slot->job, DSM_HANDLE_INVALID);
		if (*job == DSM_HANDLE_INVALID)
			continue; /* somebody was faster */
		*key = pg_atomic_exchange_u64(&slot->key, 0);
		pg_atomic_write_u32(&queue->take, n + 1);
		return true;
	}
	return false;
}

bool
vssfdw_queue_is_empty(void)
{
	MergeQueue *queue = the_queue();

	for (int i = 0; i < QUEUE_SLOTS; i++)
		if (pg_atomic_read_u32(&queue->slots[i].job) != DSM_HANDLE_INVALID)
			return false;
	return true;
}
