/*
 * parallel.c
 *		Work over many items on several threads, with progress and cancel.
 *
 * The calling thread works too, and is the only one to report progress.  The
 * others, which may live inside a database server, leave all signals to it
 * except those that a thread's own instructions raise.
 */
#include "builder.h"

#include <signal.h>
#include <unistd.h>

#define MAX_THREADS 256
#define POLL_EVERY 64 /* items of one thread between two questions */
#define RUN 32        /* items that a thread takes at once, unless there are few */

typedef struct Job
{
	HnswBuilder *b;
	uint64_t n;
	HnswWork work;
	void *arg;
	const HnswTask *task;
	uint64_t run;
	_Atomic uint64_t next;
	_Atomic uint64_t done;
	_Atomic bool stop;
	pthread_mutex_t lock; /* of the two below */
	HnswStatus status;
	HnswError error;
} Job;

static void
give_up(Job *job, HnswStatus status, const HnswError *error)
{
	pthread_mutex_lock(&job->lock);
	if (job->status == HNSW_OK)
	{
		job->status = status;
		job->error = *error;
	}
	pthread_mutex_unlock(&job->lock);
	atomic_store_explicit(&job->stop, true, memory_order_relaxed);
}

static bool
is_cancelled(Job *job)
{
	const HnswTask *task = job->task;
	HnswError error = {0, ""};

	if (task == NULL || task->cancelled == NULL || !task->cancelled(task->arg))
		return false;
	give_up(job, hnsw_fail(&error, HNSW_INTERRUPTED, "interrupted"), &error);
	return true;
}

static void
run(Job *job, bool reports)
{
	HnswScratch *s = hnsw_scratch_take(job->b);
	HnswError error = {0, ""};

	if (s == NULL)
	{
		give_up(job, hnsw_fail(&error, HNSW_NOMEM, "out of memory for a worker"), &error);
		return;
	}
	for (uint64_t turn = 0, i = 0, end = 0; !atomic_load_explicit(&job->stop, memory_order_relaxed);
		 turn++, i++)
	{
		uint64_t done;
		HnswStatus status;

		if (i == end)
		{
			i = atomic_fetch_add_explicit(&job->next, job->run, memory_order_relaxed);
			end = i + job->run;
		}
		if (i >= job->n || (turn % POLL_EVERY == 0 && is_cancelled(job)))
			break;
		status = job->work(job->arg, s, i, &error);
		if (status != HNSW_OK)
		{
			give_up(job, status, &error);
			break;
		}
		done = atomic_fetch_add_explicit(&job->done, 1, memory_order_relaxed) + 1;
		if (reports && turn % POLL_EVERY == 0)
			job->task->progress(job->task->arg, done, job->n);
	}
	hnsw_scratch_give(job->b, s);
}

static void *
worker(void *arg)
{
	run(arg, false);
	return NULL;
}

static int
wanted_threads(const HnswTask *task, uint64_t n)
{
	long threads = task != NULL && task->threads > 0 ? task->threads : sysconf(_SC_NPROCESSORS_ONLN);

	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	if ((uint64_t) threads > n)
		threads = (long) n;
	return threads < 1 ? 1 : (int) threads;
}

bool
hnsw_thread_start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	sigset_t all;
	sigset_t before;
	bool started;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	started = pthread_create(thread, NULL, body, arg) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

HnswStatus
hnsw_parallel(HnswBuilder *b, uint64_t n, HnswWork work, void *arg, const HnswTask *task, HnswError *err)
{
	Job job = {.b = b, .n = n, .work = work, .arg = arg, .task = task};
	bool reports = task != NULL && task->progress != NULL;
	pthread_t threads[MAX_THREADS];
	int wanted = wanted_threads(task, n);
	int started = 0;
	uint64_t share = n / (uint64_t) (4 * wanted);

	if (n == 0)
		return HNSW_OK;
	job.run = share < 1 ? 1 : share < RUN ? share : RUN;
	pthread_mutex_init(&job.lock, NULL);

	/* fewer threads than wished for only take longer */
	while (started < wanted - 1 && hnsw_thread_start(&threads[started], worker, &job))
		started++;
	run(&job, reports);
	for (int i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	pthread_mutex_destroy(&job.lock);
	if (job.status == HNSW_OK && reports)
		task->progress(task->arg, n, n);
	else if (job.status != HNSW_OK && err != NULL)
		*err = job.error;
	return job.status;
}
