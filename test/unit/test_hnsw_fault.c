/*
 * test_hnsw_fault.c
 *		Files that change under a live map, and whose SIGBUS is whose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support_file.h"

#define N 700
#define DIM 20
#define QUERIES 6
#define K 10

static uint8_t *sound;
static size_t sound_size;
static float *vectors;
static float *queries;
static HnswHit truth[QUERIES][K];

static int
setup(void **state)
{
	HnswSnapshot *snapshot;
	HnswStatus status;

	sample_make_file("sound.hnsw", HNSW_L2, DIM, 5, N);
	sound = file_read("sound.hnsw", &sound_size);
	vectors = sample_vectors(N, DIM, 1);
	queries = sample_vectors(QUERIES, DIM, 77);
	snapshot = sample_open("sound.hnsw");
	for (int i = 0; i < QUERIES; i++)
		assert_int_equal(sample_search(snapshot, queries + i * DIM, 50, K, truth[i], &status), K);
	hnsw_snapshot_close(snapshot);
	return 0;
}

static int
teardown(void **state)
{
	free(sound);
	free(vectors);
	free(queries);
	return 0;
}

/* Every answer is right or withheld as corrupt; the number of those withheld. */
static int
ask_everything(const HnswSnapshot *snapshot)
{
	HnswHit hits[K];
	HnswStatus status;
	float vector[DIM];
	int withheld = 0;

	for (int i = 0; i < QUERIES; i++)
	{
		size_t found = sample_search(snapshot, queries + i * DIM, 50, K, hits, &status);

		for (size_t j = 0; j < found; j++)
			assert_true(hits[j].label == truth[i][j].label && hits[j].distance == truth[i][j].distance);
		if (found < K)
		{
			assert_int_equal(status, HNSW_CORRUPT);
			withheld++;
		}
	}
	for (size_t i = 0; i < N; i++)
	{
		status = hnsw_snapshot_vector(snapshot, sample_label(i), vector);
		if (status == HNSW_OK)
			assert_memory_equal(vector, vectors + i * DIM, sizeof(vector));
		else
		{
			assert_int_equal(status, HNSW_CORRUPT);
			withheld++;
		}
	}
	return withheld;
}

/* ---------- truncation ---------- */

/*
 * Cut at a length after everything was verified: from then on no answer, not
 * even where the cut is inside a page, which raises no signal.
 */
static void
test_truncated_when_warm(void **state)
{
	for (size_t i = 0; i < 60; i++)
	{
		size_t length = i < 20 ? sound_size - 1 - i * i : sound_size * (i - 20) / 40 + i % 3;
		HnswSnapshot *snapshot;
		uint64_t problems;

		file_write("cut.hnsw", sound, sound_size);
		snapshot = sample_open("cut.hnsw");
		assert_int_equal(ask_everything(snapshot), 0);
		assert_int_equal(truncate("cut.hnsw", (off_t) length), 0);
		assert_int_equal(ask_everything(snapshot), QUERIES + N);
		assert_true(hnsw_snapshot_is_corrupt(snapshot));
		assert_int_equal(hnsw_snapshot_check(snapshot, NULL, NULL, NULL, &problems), HNSW_OK);
		assert_true(problems > 0);

		/* Being made whole again does not make it trusted again. */
		file_write("cut.hnsw", sound, sound_size);
		assert_int_equal(ask_everything(snapshot), QUERIES + N);
		hnsw_snapshot_close(snapshot);
	}
}

/* Cut before anything was read: the same, by way of the checksums. */
static void
test_truncated_when_cold(void **state)
{
	for (size_t length = 0; length < sound_size; length += 3333)
	{
		HnswSnapshot *snapshot;

		file_write("cut.hnsw", sound, sound_size);
		snapshot = sample_open("cut.hnsw");
		assert_int_equal(truncate("cut.hnsw", (off_t) length), 0);
		assert_int_equal(ask_everything(snapshot), QUERIES + N);
		hnsw_snapshot_close(snapshot);
	}
}

/* Between two results of one search. */
static void
test_truncated_within_a_search(void **state)
{
	for (size_t given = 0; given <= K; given += 5)
	{
		HnswSearchOptions options = {.ef = 50};
		HnswSnapshot *snapshot;
		HnswCursor *cursor;
		HnswError err;
		HnswHit hit;

		file_write("cut.hnsw", sound, sound_size);
		snapshot = sample_open("cut.hnsw");
		assert_int_equal(hnsw_search_begin(snapshot, queries, 0, &options, &cursor, &err), HNSW_OK);
		for (size_t j = 0; j < given; j++)
		{
			assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_OK);
			if (j < K)
				assert_true(hit.label == truth[0][j].label);
		}
		assert_int_equal(truncate("cut.hnsw", HNSW_BLOCK), 0);
		assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_CORRUPT);
		assert_int_equal(hnsw_search_next(cursor, &hit), HNSW_CORRUPT);
		hnsw_search_end(cursor);
		hnsw_snapshot_close(snapshot);
	}
}

typedef struct Visits
{
	const char *path;
	int before_cut;
	int n;
} Visits;

static bool
cut_on_the_way(void *arg, int64_t label, const float *vector)
{
	Visits *visits = arg;

	if (visits->n++ == visits->before_cut)
		assert_int_equal(truncate(visits->path, HNSW_BLOCK), 0);
	return true;
}

static void
test_truncated_within_each(void **state)
{
	Visits visits = {.path = "cut.hnsw", .before_cut = 300};
	HnswSnapshot *snapshot;

	file_write("cut.hnsw", sound, sound_size);
	snapshot = sample_open("cut.hnsw");
	assert_int_equal(hnsw_snapshot_each(snapshot, cut_on_the_way, &visits), HNSW_CORRUPT);
	assert_int_equal(visits.n, 301);
	hnsw_snapshot_close(snapshot);
}

/* Another graph copied over the file, in place: sound, but not what was opened. */
static void
test_overwritten_in_place(void **state)
{
	HnswSnapshot *snapshot;
	uint8_t *other;
	size_t other_size;

	sample_make_file("other.hnsw", HNSW_L2, DIM, 5, N + 300);
	other = file_read("other.hnsw", &other_size);
	file_write("live.hnsw", sound, sound_size);
	snapshot = sample_open("live.hnsw");
	assert_int_equal(ask_everything(snapshot), 0);
	file_write("live.hnsw", other, other_size);
	assert_int_equal(ask_everything(snapshot), QUERIES + N);
	hnsw_snapshot_close(snapshot);
	free(other);
}

/* A builder reads vectors of the file it was loaded from: then it must not be written. */
static void
test_truncated_under_a_builder(void **state)
{
	static const bool cut_before_add[] = {true, false};

	for (int i = 0; i < 2; i++)
	{
		HnswWriteOptions options = {.mode = -1, .group = -1};
		HnswSnapshot *snapshot, *memory;
		HnswBuilder *builder;
		HnswError err;

		file_write("cut.hnsw", sound, sound_size);
		snapshot = sample_open("cut.hnsw");
		assert_int_equal(hnsw_builder_load(snapshot, NULL, &builder, &err), HNSW_OK);
		if (cut_before_add[i])
			assert_int_equal(truncate("cut.hnsw", HNSW_BLOCK), 0);
		hnsw_builder_add(builder, 1, queries, &err);
		if (!cut_before_add[i])
			assert_int_equal(truncate("cut.hnsw", HNSW_BLOCK), 0);
		assert_int_equal(hnsw_builder_write(builder, "new.hnsw", &options, NULL, &err), HNSW_CORRUPT);
		assert_int_equal(hnsw_builder_snapshot(builder, &options, &memory, &err), HNSW_CORRUPT);
		assert_null(memory);
		assert_int_equal(access("new.hnsw", F_OK), -1);
		assert_int_equal(folder_count(".", ".tmp"), 0);
		hnsw_builder_free(builder);
		hnsw_snapshot_close(snapshot);
	}
}

/* Only the snapshot whose file was cut is lost; many are open. */
static void
test_many_maps(void **state)
{
	HnswSnapshot *snapshots[200];
	char name[32];

	for (int i = 0; i < 200; i++)
	{
		snprintf(name, sizeof(name), "many%d.hnsw", i);
		file_write(name, sound, sound_size);
		snapshots[i] = sample_open(name);
	}
	for (int i = 0; i < 200; i += 3)
	{
		snprintf(name, sizeof(name), "many%d.hnsw", i);
		assert_int_equal(truncate(name, HNSW_BLOCK), 0);
	}
	for (int i = 0; i < 200; i++)
	{
		HnswHit hits[K];
		HnswStatus status;

		assert_int_equal(sample_search(snapshots[i], queries, 50, K, hits, &status), i % 3 == 0 ? 0 : K);
		assert_int_equal(hnsw_snapshot_is_corrupt(snapshots[i]), i % 3 == 0);
	}
	for (int i = 0; i < 200; i++)
	{
		hnsw_snapshot_close(snapshots[i]);
		snprintf(name, sizeof(name), "many%d.hnsw", i);
		unlink(name);
	}
}

/* ---------- whose signal is it ---------- */

/* A map of one page of an empty file: reading it is somebody else's SIGBUS. */
static volatile const char *
foreign_page(void)
{
	int fd = open("foreign", O_RDWR | O_CREAT | O_TRUNC, 0644);
	void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	close(fd);
	return page;
}

static HnswSnapshot *
open_sound(void)
{
	HnswSnapshot *snapshot;
	HnswError err;

	return hnsw_snapshot_open("sound.hnsw", &snapshot, &err) == HNSW_OK ? snapshot : NULL;
}

/* Cut a copy and read it: 0 when our handler did its work. */
static int
absorb_one(void)
{
	HnswSnapshot *snapshot;
	HnswError err;
	HnswHit hit;
	HnswStatus status;

	file_write("absorb.hnsw", sound, sound_size);
	if (hnsw_snapshot_open("absorb.hnsw", &snapshot, &err) != HNSW_OK)
		return 90;
	if (truncate("absorb.hnsw", HNSW_BLOCK) != 0)
		return 91;
	if (sample_search(snapshot, queries, 50, 1, &hit, &status) != 0 || status != HNSW_CORRUPT)
		return 92;
	hnsw_snapshot_close(snapshot);
	return 0;
}

/* Child's end: exit status, or 1000 + the signal that ended it. */
static int
in_child(int (*body)(void))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static volatile const char *volatile wanted_address;
static volatile sig_atomic_t handled;

static void
info_handler(int number, siginfo_t *info, void *context)
{
	sigset_t mask;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	_exit(number == SIGBUS && info->si_addr == (const void *) wanted_address && context != NULL &&
				  sigismember(&mask, SIGBUS) && sigismember(&mask, SIGUSR1)
			  ? 42
			  : 43);
}

static void
plain_handler(int number)
{
	handled++;
}

static void
other_handler(int number)
{
	_exit(44);
}

static int
fault_goes_to_the_previous_handler(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = info_handler};

	sigemptyset(&action.sa_mask);
	sigaddset(&action.sa_mask, SIGUSR1);
	sigaction(SIGBUS, &action, NULL);
	if (open_sound() == NULL || absorb_one() != 0)
		return 1;
	wanted_address = foreign_page();
	return *wanted_address;
}

static int
fault_with_default_action(void)
{
	signal(SIGBUS, SIG_DFL);
	if (open_sound() == NULL || absorb_one() != 0)
		return 1;
	return *foreign_page();
}

static int
fault_while_ignored(void)
{
	signal(SIGBUS, SIG_IGN);
	if (open_sound() == NULL || absorb_one() != 0)
		return 1;
	return *foreign_page();
}

static int
sent_while_ignored(void)
{
	signal(SIGBUS, SIG_IGN);
	if (open_sound() == NULL)
		return 1;
	kill(getpid(), SIGBUS);
	return absorb_one();
}

static int
sent_with_default_action(void)
{
	signal(SIGBUS, SIG_DFL);
	if (open_sound() == NULL)
		return 1;
	kill(getpid(), SIGBUS);
	return 2;
}

static int
sent_to_plain_handler(void)
{
	struct sigaction action = {.sa_handler = plain_handler};

	sigaction(SIGBUS, &action, NULL);
	if (open_sound() == NULL)
		return 1;
	kill(getpid(), SIGBUS);
	kill(getpid(), SIGBUS);
	return handled == 2 && absorb_one() == 0 ? 0 : 2;
}

static int
handler_that_resets_itself(void)
{
	struct sigaction action = {.sa_handler = plain_handler, .sa_flags = (int) SA_RESETHAND};

	sigaction(SIGBUS, &action, NULL);
	if (open_sound() == NULL)
		return 1;
	kill(getpid(), SIGBUS);
	if (handled != 1)
		return 2;
	kill(getpid(), SIGBUS);
	return 3;
}

static void
test_foreign_faults(void **state)
{
	/* AddressSanitizer has a handler of its own, which the default ones replace. */
	assert_int_equal(in_child(fault_goes_to_the_previous_handler), 42);
	assert_int_equal(in_child(fault_with_default_action), 1000 + SIGBUS);
	assert_int_equal(in_child(fault_while_ignored), 1000 + SIGBUS);
	assert_int_equal(in_child(sent_while_ignored), 0);
	assert_int_equal(in_child(sent_with_default_action), 1000 + SIGBUS);
	assert_int_equal(in_child(sent_to_plain_handler), 0);
	assert_int_equal(in_child(handler_that_resets_itself), 1000 + SIGBUS);
}

static bool
current_handler_is(void (*handler)(int))
{
	struct sigaction action;

	sigaction(SIGBUS, NULL, &action);
	return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == handler;
}

static int
restored_after_the_last_close(void)
{
	HnswSnapshot *a, *b;

	signal(SIGBUS, plain_handler);
	for (int round = 0; round < 3; round++)
	{
		a = open_sound();
		b = open_sound();
		if (a == NULL || b == NULL || current_handler_is(plain_handler))
			return 1;
		hnsw_snapshot_close(a);
		if (current_handler_is(plain_handler))
			return 2;
		hnsw_snapshot_close(b);
		if (!current_handler_is(plain_handler))
			return 3;
	}
	return 0;
}

/* A handler put on top of ours stays, whether or not it passes on. */
static int
not_restored_over_another(void)
{
	HnswSnapshot *a = open_sound();

	signal(SIGBUS, other_handler);
	hnsw_snapshot_close(a);
	if (!current_handler_is(other_handler))
		return 1;
	/* Opened again, we protect again, and foreign faults reach the other. */
	if (absorb_one() != 0)
		return 2;
	if (open_sound() == NULL)
		return 3;
	return *foreign_page();
}

static struct sigaction below;

static void
chaining_handler(int number, siginfo_t *info, void *context)
{
	handled++;
	if (handled > 10)
		_exit(50); /* for ever */
	if (below.sa_flags & SA_SIGINFO)
		below.sa_sigaction(number, info, context);
	else
		below.sa_handler(number);
}

/* Ours, theirs that calls ours, ours again: no circle, and the first one is reached. */
static int
no_circle(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO, .sa_sigaction = chaining_handler};

	signal(SIGBUS, other_handler);
	if (open_sound() == NULL)
		return 1;
	sigaction(SIGBUS, &action, &below);
	if (open_sound() == NULL || absorb_one() != 0)
		return 2;
	return *foreign_page();
}

static void
test_handlers_of_others(void **state)
{
	assert_int_equal(in_child(restored_after_the_last_close), 0);
	assert_int_equal(in_child(not_restored_over_another), 44);
	assert_int_equal(in_child(no_circle), 44);
}

static HnswSnapshot *inherited;

static int
use_inherited(void)
{
	HnswHit hits[K];
	HnswStatus status;

	if (truncate("forked.hnsw", HNSW_BLOCK) != 0)
		return 1;
	if (sample_search(inherited, queries, 50, K, hits, &status) != 0 || status != HNSW_CORRUPT)
		return 2;
	hnsw_snapshot_close(inherited);
	return absorb_one();
}

/* A child has the parent's maps, and their protection. */
static void
test_fork(void **state)
{
	file_write("forked.hnsw", sound, sound_size);
	inherited = sample_open("forked.hnsw");
	assert_int_equal(ask_everything(inherited), 0);
	assert_int_equal(in_child(use_inherited), 0);
	assert_int_equal(ask_everything(inherited), QUERIES + N);
	hnsw_snapshot_close(inherited);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truncated_when_warm),
		cmocka_unit_test(test_truncated_when_cold),
		cmocka_unit_test(test_truncated_within_a_search),
		cmocka_unit_test(test_truncated_within_each),
		cmocka_unit_test(test_overwritten_in_place),
		cmocka_unit_test(test_truncated_under_a_builder),
		cmocka_unit_test(test_many_maps),
		cmocka_unit_test(test_foreign_faults),
		cmocka_unit_test(test_handlers_of_others),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
