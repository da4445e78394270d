/*
 * test_hnsw_fault_threads.c
 *		Several threads on one map: first touches, truncation, opening and
 *		closing of others.  Also run under ThreadSanitizer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "support_file.h"

#define N 600
#define DIM 16
#define QUERIES 8
#define K 10
#define THREADS 4

static uint8_t *sound;
static size_t sound_size;
static float *queries;
static HnswHit truth[QUERIES][K];

static int
setup(void **state)
{
	HnswSnapshot *snapshot;
	HnswStatus status;

	sample_make_file("sound.hnsw", HNSW_L2, DIM, 5, N);
	sound = file_read("sound.hnsw", &sound_size);
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
	free(queries);
	return 0;
}

/* cmocka's assertions are for its own thread: the others only count. */
typedef struct Worker
{
	pthread_t thread;
	const HnswSnapshot *snapshot;
	_Atomic bool *stop; /* NULL: three passes and end */
	int right, withheld, wrong;
} Worker;

static void *
search_all(void *arg)
{
	Worker *w = arg;

	for (int pass = 0; w->stop != NULL ? !atomic_load(w->stop) : pass < 3; pass++)
		for (int i = 0; i < QUERIES; i++)
		{
			HnswHit hits[K];
			HnswStatus status;
			size_t found = sample_search(w->snapshot, queries + i * DIM, 50, K, hits, &status);
			bool wrong = found < K && status != HNSW_CORRUPT;

			for (size_t j = 0; j < found; j++)
				wrong |= hits[j].label != truth[i][j].label || hits[j].distance != truth[i][j].distance;
			if (wrong)
				w->wrong++;
			else if (found == K)
				w->right++;
			else
				w->withheld++;
		}
	return NULL;
}

static void
start(Worker *workers, const HnswSnapshot *snapshot, _Atomic bool *stop)
{
	for (int t = 0; t < THREADS; t++)
	{
		workers[t] = (Worker){.snapshot = snapshot, .stop = stop};
		assert_int_equal(pthread_create(&workers[t].thread, NULL, search_all, &workers[t]), 0);
	}
}

/* All of them touch the same blocks first. */
static void
test_first_touch(void **state)
{
	for (int round = 0; round < 10; round++)
	{
		HnswSnapshot *snapshot = sample_open("sound.hnsw");
		Worker workers[THREADS];

		start(workers, snapshot, NULL);
		for (int t = 0; t < THREADS; t++)
		{
			pthread_join(workers[t].thread, NULL);
			assert_int_equal(workers[t].right, 3 * QUERIES);
		}
		assert_false(hnsw_snapshot_is_corrupt(snapshot));
		hnsw_snapshot_close(snapshot);
	}
}

static void
test_truncated_under_threads(void **state)
{
	for (int round = 0; round < 10; round++)
	{
		_Atomic bool stop = false;
		HnswSnapshot *snapshot;
		Worker workers[THREADS];
		HnswHit hit;
		HnswStatus status;

		file_write("cut.hnsw", sound, sound_size);
		snapshot = sample_open("cut.hnsw");
		start(workers, snapshot, &stop);
		usleep(2000 * (unsigned) round);
		assert_int_equal(truncate("cut.hnsw", (off_t) (sound_size * (size_t) round / 10)), 0);
		assert_int_equal(sample_search(snapshot, queries, 50, 1, &hit, &status), 0);
		assert_int_equal(status, HNSW_CORRUPT);
		usleep(2000);
		atomic_store(&stop, true);
		for (int t = 0; t < THREADS; t++)
		{
			pthread_join(workers[t].thread, NULL);
			assert_int_equal(workers[t].wrong, 0);
		}
		hnsw_snapshot_close(snapshot);
	}
}

typedef struct Churn
{
	pthread_t thread;
	_Atomic bool *stop;
	int failures;
} Churn;

static void *
open_and_close(void *arg)
{
	Churn *churn = arg;

	while (!atomic_load(churn->stop))
	{
		HnswSnapshot *snapshot;
		HnswError err;

		if (hnsw_snapshot_open("sound.hnsw", &snapshot, &err) != HNSW_OK)
			churn->failures++;
		else
			hnsw_snapshot_close(snapshot);
	}
	return NULL;
}

/* The registry changes all the time while a fault is looked up in it. */
static void
test_truncated_while_others_come_and_go(void **state)
{
	_Atomic bool stop = false;
	Churn churn[2];

	for (int i = 0; i < 2; i++)
	{
		churn[i] = (Churn){.stop = &stop};
		assert_int_equal(pthread_create(&churn[i].thread, NULL, open_and_close, &churn[i]), 0);
	}
	for (int round = 0; round < 60; round++)
	{
		HnswSnapshot *snapshot;
		HnswHit hit;
		HnswStatus status;

		file_write("cut.hnsw", sound, sound_size);
		snapshot = sample_open("cut.hnsw");
		assert_int_equal(truncate("cut.hnsw", HNSW_BLOCK), 0);
		assert_int_equal(sample_search(snapshot, queries, 50, 1, &hit, &status), 0);
		assert_int_equal(status, HNSW_CORRUPT);
		hnsw_snapshot_close(snapshot);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
	{
		pthread_join(churn[i].thread, NULL);
		assert_int_equal(churn[i].failures, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_touch),
		cmocka_unit_test(test_truncated_under_threads),
		cmocka_unit_test(test_truncated_while_others_come_and_go),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
