/*
 * fault.c
 *		A file that is truncated while it is mapped.
 *
 * Touching a page beyond the end of a mapped file raises SIGBUS, which would
 * end the whole host.  While at least one map is watched (that of an open
 * snapshot, or a host's own) we therefore own the SIGBUS handler.  A fault inside
 * a watched map turns that whole map into zeros, sets its flag and resumes.  The
 * reader of a snapshot finds zeros, which are as harmless as any hostile content,
 * sees the flag, and hands out nothing.
 * Every other SIGBUS goes on to whoever had the signal before us, with the
 * semantics it would have had without us.
 *
 * The handler reads a registry of maps without locks.  Changes to the registry
 * are serialised by a mutex, which pthread_atfork keeps usable in a child.
 *
 * A thread that blocks SIGBUS cannot be helped: the kernel ends the process.
 * Helper threads that read maps must leave it unblocked.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "hnsw/internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS 64

/*
 * One watched range.  generation is odd while the slot changes, so that the
 * handler never acts on half of one entry and half of another.  The slot of a
 * range being read is at rest, for a map is not closed while it is read.
 */
typedef struct Slot
{
	_Atomic unsigned generation;
	_Atomic uintptr_t base; /* 0: the slot is free */
	_Atomic size_t size;
	_Atomic bool writable;
	_Atomic(_Atomic bool *) lost;
} Slot;

/* The registry grows by chunks that are never freed. */
typedef struct Chunk
{
	Slot slot[SLOTS];
	_Atomic(struct Chunk *) next;
} Chunk;

static Chunk first_chunk;

/* Guards the registry's writers and the three variables after it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned watched;
static bool installed; /* our handler is in place, or below another's */

/*
 * Whom to pass foreign faults to.  Written under the lock before our handler
 * can run with it.  If a later handler was put on top of ours and ours then on
 * top of that one, the two would call each other for ever: oldest is who was
 * there before either.
 */
static struct sigaction previous;
static struct sigaction oldest;

/*
 * The threads whose fault is on its way to previous; 0: free.  Thread-local
 * storage would be natural, but a library that is opened late gets it either
 * by an allocation, not allowed in a handler, or not at all (musl).
 */
#define CHAINERS 64
static _Atomic uintptr_t chainers[CHAINERS];

/* ---------- the handler ---------- */

/* Zero the watched range around address, if there is one. */
static bool
absorb(uintptr_t address)
{
	uintptr_t base = 0;
	size_t size = 0;
	bool writable = false;

	/* The flags first: whoever can see the zeros can see them too. */
	for (Chunk *chunk = &first_chunk; chunk != NULL;
		 chunk = atomic_load_explicit(&chunk->next, memory_order_acquire))
		for (int i = 0; i < SLOTS; i++)
		{
			Slot *slot = &chunk->slot[i];
			unsigned generation = atomic_load(&slot->generation);
			uintptr_t slot_base = atomic_load(&slot->base);
			size_t slot_size = atomic_load(&slot->size);
			bool slot_writable = atomic_load(&slot->writable);
			_Atomic bool *lost = atomic_load(&slot->lost);

			if (generation % 2 != 0 || slot_base == 0 || address < slot_base ||
				address - slot_base >= slot_size)
				continue;
			if (atomic_load(&slot->generation) != generation)
				continue;
			atomic_store(lost, true);
			base = slot_base;
			size = slot_size;
			writable = writable || slot_writable;
		}
	if (base == 0)
		return false;
	return mmap((void *) base, size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/*
 * Let the default action happen.  A fault comes back by itself when the
 * instruction is resumed; a signal that was sent must be sent again.
 */
static void
default_action(int number, const siginfo_t *info)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = SIG_DFL;
	sigaction(number, &action, NULL);
	if (info->si_code <= 0)
		raise(number);
}

static void
pass_on(struct sigaction *to, int number, siginfo_t *info, void *context)
{
	struct sigaction action = *to;
	bool sent = info->si_code <= 0;
	sigset_t mask;

	if (!(action.sa_flags & SA_SIGINFO))
	{
		/* The kernel does not let a fault be ignored. */
		if (action.sa_handler == SIG_IGN && sent)
			return;
		if (action.sa_handler == SIG_IGN || action.sa_handler == SIG_DFL)
		{
			default_action(number, info);
			return;
		}
	}
	if (action.sa_flags & (int) SA_RESETHAND)
	{
		to->sa_flags &= ~SA_SIGINFO;
		to->sa_handler = SIG_DFL;
	}

	/* Its mask, not ours, while it runs; sigreturn restores the thread's. */
	mask = action.sa_mask;
	if (!(action.sa_flags & SA_NODEFER))
		sigaddset(&mask, number);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	if (action.sa_flags & SA_NODEFER)
	{
		sigemptyset(&mask);
		sigaddset(&mask, number);
		pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
	}

	if (action.sa_flags & SA_SIGINFO)
		action.sa_sigaction(number, info, context);
	else
		action.sa_handler(number);
}

/* This thread's place among the chainers, NULL where it is one already or no place is left. */
static _Atomic uintptr_t *
begin_chaining(void)
{
	uintptr_t self = (uintptr_t) pthread_self();

	for (int i = 0; i < CHAINERS; i++)
		if (atomic_load(&chainers[i]) == self)
			return NULL;
	for (int i = 0; i < CHAINERS; i++)
	{
		uintptr_t nobody = 0;

		if (atomic_compare_exchange_strong(&chainers[i], &nobody, self))
			return &chainers[i];
	}
	return NULL;
}

static void
on_sigbus(int number, siginfo_t *info, void *context)
{
	int saved_errno = errno;

	if (info->si_code <= 0 || !absorb((uintptr_t) info->si_addr))
	{
		_Atomic uintptr_t *place = begin_chaining();

		pass_on(place != NULL ? &previous : &oldest, number, info, context);
		if (place != NULL)
			atomic_store(place, 0);
	}
	errno = saved_errno;
}

/* ---------- installing and removing it; the lock is held ---------- */

static bool
is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_sigbus;
}

static void
install(void)
{
	struct sigaction current;
	struct sigaction action;

	if (sigaction(SIGBUS, NULL, &current) != 0 || is_ours(&current))
		return;
	if (!installed)
		oldest = current;
	previous = current;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_sigbus;
	action.sa_flags = SA_SIGINFO | SA_ONSTACK;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, NULL) == 0)
		installed = true;
}

static void
uninstall(void)
{
	struct sigaction current;

	/* Somebody on top of us may call us: then we must stay, and only pass on. */
	if (!installed || sigaction(SIGBUS, NULL, &current) != 0 || !is_ours(&current))
		return;
	sigaction(SIGBUS, &previous, NULL);
	/*
	 * With another's handler between two of ours, its copy of us remains.  Not
	 * memcmp: sigaction() fills only part of sa_mask.
	 */
	installed = previous.sa_sigaction != oldest.sa_sigaction || previous.sa_flags != oldest.sa_flags;
}

/* ---------- registry ---------- */

static void
lock_registry(void)
{
	pthread_mutex_lock(&lock);
}

static void
unlock_registry(void)
{
	pthread_mutex_unlock(&lock);
}

static void
register_fork_handlers(void)
{
	pthread_atfork(lock_registry, unlock_registry, unlock_registry);
}

static void
slot_set(Slot *slot, uintptr_t base, size_t size, bool writable, _Atomic bool *lost)
{
	atomic_fetch_add(&slot->generation, 1);
	atomic_store(&slot->base, base);
	atomic_store(&slot->size, size);
	atomic_store(&slot->writable, writable);
	atomic_store(&slot->lost, lost);
	atomic_fetch_add(&slot->generation, 1);
}

/* The slot of base with this flag, or with base 0 and NULL a free one; NULL when there is none. */
static Slot *
slot_find(uintptr_t base, const _Atomic bool *lost, Chunk **last)
{
	for (Chunk *chunk = &first_chunk; chunk != NULL; chunk = atomic_load(&chunk->next))
	{
		*last = chunk;
		for (int i = 0; i < SLOTS; i++)
			if (atomic_load(&chunk->slot[i].base) == base && atomic_load(&chunk->slot[i].lost) == lost)
				return &chunk->slot[i];
	}
	return NULL;
}

bool
hnsw_fault_watch(const void *base, size_t size, bool writable, _Atomic bool *lost)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	Chunk *last;
	Slot *slot;

	pthread_once(&once, register_fork_handlers);
	lock_registry();
	slot = slot_find(0, NULL, &last);
	if (slot == NULL)
	{
		Chunk *chunk = calloc(1, sizeof(*chunk));

		if (chunk == NULL)
		{
			unlock_registry();
			return false;
		}
		slot = &chunk->slot[0];
		atomic_store_explicit(&last->next, chunk, memory_order_release);
	}
	slot_set(slot, (uintptr_t) base, size, writable, lost);
	watched++;
	/* Each time: a host may have put its own handler over ours since. */
	install();
	unlock_registry();
	return true;
}

void
hnsw_fault_unwatch(const void *base, const _Atomic bool *lost)
{
	Chunk *last;
	Slot *slot;

	lock_registry();
	slot = slot_find((uintptr_t) base, lost, &last);
	if (slot != NULL)
	{
		slot_set(slot, 0, 0, false, NULL);
		if (--watched == 0)
			uninstall();
	}
	unlock_registry();
}
