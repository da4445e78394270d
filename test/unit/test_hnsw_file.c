/*
 * test_hnsw_file.c
 *		Writing graph files and getting the same graph back.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support_file.h"
#include "test/own_mounts.h"

static const HnswMetric metrics[] = {HNSW_COSINE, HNSW_L2, HNSW_IP};

/* ---------- what was written comes back ---------- */

typedef struct Seen
{
	const float *vectors;
	size_t n;
	uint32_t dim;
	bool *met;
	size_t visits;
	size_t stop_after;
} Seen;

static bool
see(void *arg, int64_t label, const float *vector)
{
	Seen *seen = arg;

	for (size_t i = 0; i < seen->n; i++)
		if (sample_label(i) == label)
		{
			assert_false(seen->met[i]);
			seen->met[i] = true;
			assert_memory_equal(vector, seen->vectors + i * seen->dim, seen->dim * sizeof(float));
			seen->visits++;
			return seen->visits != seen->stop_after;
		}
	fail_msg("a label that was never added: %lld", (long long) label);
	return false;
}

/* With ef as large as the graph the search is exact: compare with all distances. */
static void
expect_exact_search(const HnswSnapshot *snapshot, HnswMetric metric, uint32_t dim, size_t n,
					const float *vectors, const float *query)
{
	HnswHit *hits = malloc((n + 1) * sizeof(*hits));
	HnswStatus status;
	size_t found = sample_search(snapshot, query, n > 0 ? (uint32_t) n : 1, n + 1, hits, &status);

	assert_int_equal(status, HNSW_DONE);
	assert_int_equal(found, n);
	for (size_t h = 0; h < found; h++)
	{
		size_t i = 0;

		while (i < n && sample_label(i) != hits[h].label)
			i++;
		assert_true(i < n);
		assert_true(hits[h].distance == hnsw_distance(metric, query, vectors + i * dim, dim));
		for (size_t other = 0; other < h; other++)
			assert_true(hits[other].label != hits[h].label);
		if (h > 0)
			assert_true(hits[h - 1].distance <= hits[h].distance);
	}
	free(hits);
}

static void
round_trip(HnswMetric metric, uint32_t dim, uint32_t m, size_t n)
{
	const char *path = "round.hnsw";
	float *vectors = sample_vectors(n + 1, dim, n + dim + 1);
	HnswBuilder *builder = sample_build(metric, dim, m, n, vectors);
	HnswSnapshot *snapshot;
	const HnswSnapshotInfo *info;
	float *copy = malloc(dim * sizeof(float));
	Seen seen = {.vectors = vectors, .n = n, .dim = dim, .met = calloc(n + 1, sizeof(bool))};
	struct stat st;

	sample_write(builder, path);
	hnsw_builder_free(builder);
	snapshot = sample_open(path);

	info = hnsw_snapshot_info(snapshot);
	assert_int_equal(info->count, n);
	assert_int_equal(info->params.dim, dim);
	assert_int_equal(info->params.metric, metric);
	assert_int_equal(info->params.m, m);
	assert_int_equal(info->params.ef_construction, 64);
	assert_int_equal(info->params.seed, 7);
	assert_memory_equal(info->identity.token, "\1\2\3\4\5\6\7\10", HNSW_TOKEN_BYTES);
	assert_int_equal(info->identity.database_device, 11);
	assert_int_equal(info->identity.database_inode, 12);
	assert_int_equal(info->identity.seq, 13);
	assert_int_equal(info->format_version, HNSW_FORMAT_VERSION);
	assert_int_equal(info->layers == 0, n == 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(info->file_bytes, st.st_size);

	for (size_t i = 0; i < n; i++)
	{
		memset(copy, 0, dim * sizeof(float));
		assert_int_equal(hnsw_snapshot_vector(snapshot, sample_label(i), copy), HNSW_OK);
		assert_memory_equal(copy, vectors + i * dim, dim * sizeof(float));
		assert_int_equal(hnsw_snapshot_vector(snapshot, sample_label(i), NULL), HNSW_OK);
	}
	assert_int_equal(hnsw_snapshot_vector(snapshot, sample_label(n), copy), HNSW_NOTFOUND);
	assert_int_equal(hnsw_snapshot_vector(snapshot, INT64_MIN, NULL), HNSW_NOTFOUND);
	assert_int_equal(hnsw_snapshot_vector(snapshot, INT64_MAX, NULL), HNSW_NOTFOUND);

	assert_int_equal(hnsw_snapshot_each(snapshot, see, &seen), HNSW_OK);
	assert_int_equal(seen.visits, n);

	expect_exact_search(snapshot, metric, dim, n, vectors, vectors + n * dim);
	assert_int_equal(sample_problems(snapshot), 0);
	assert_false(hnsw_snapshot_is_corrupt(snapshot));

	hnsw_snapshot_close(snapshot);
	unlink(path);
	free(seen.met);
	free(copy);
	free(vectors);
}

static void
test_round_trips(void **state)
{
	static const uint32_t dims[] = {1, 2, 3, 17, 100, 384};
	static const size_t sizes[] = {0, 1, 2, 3, 40, 300};

	for (size_t t = 0; t < 3; t++)
		for (size_t d = 0; d < 6; d++)
			for (size_t s = 0; s < 6; s++)
			{
				/* One dimension knows two directions only: all equal, for cosine. */
				if (dims[d] == 1 && metrics[t] == HNSW_COSINE && sizes[s] > 40)
					continue;
				round_trip(metrics[t], dims[d], 4, sizes[s]);
			}
	round_trip(HNSW_L2, 8, HNSW_MIN_M, 500);
	round_trip(HNSW_L2, 8, HNSW_MAX_M, 600);
	round_trip(HNSW_COSINE, HNSW_MAX_DIM, 3, 9);
}

static void
test_each_stops(void **state)
{
	float *vectors = sample_vectors(50, 4, 1);
	bool met[51] = {0};
	Seen seen = {.vectors = vectors, .n = 50, .dim = 4, .met = met, .stop_after = 7};
	HnswSnapshot *snapshot;

	sample_make_file("each.hnsw", HNSW_L2, 4, 4, 50);
	snapshot = sample_open("each.hnsw");
	assert_int_equal(hnsw_snapshot_each(snapshot, see, &seen), HNSW_OK);
	assert_int_equal(seen.visits, 7);
	hnsw_snapshot_close(snapshot);
	free(vectors);
}

static void
test_equal_builds_give_equal_files(void **state)
{
	uint8_t *a, *b;
	size_t a_size, b_size;

	sample_make_file("a.hnsw", HNSW_COSINE, 24, 6, 400);
	sample_make_file("b.hnsw", HNSW_COSINE, 24, 6, 400);
	a = file_read("a.hnsw", &a_size);
	b = file_read("b.hnsw", &b_size);
	assert_int_equal(a_size, b_size);
	assert_memory_equal(a, b, a_size);
	free(a);
	free(b);
}

static void
test_in_memory_equals_the_file(void **state)
{
	HnswWriteOptions options = {.identity = {.token = {1, 2, 3, 4, 5, 6, 7, 8},
											 .database_device = 11,
											 .database_inode = 12,
											 .seq = 13},
								.mode = -1,
								.group = -1};
	float *vectors = sample_vectors(301, 20, 5);
	HnswBuilder *builder = sample_build(HNSW_L2, 20, 5, 300, vectors);
	HnswSnapshot *memory = NULL;
	HnswError err;
	uint8_t *bytes;
	size_t size;

	sample_write(builder, "memory.hnsw");
	assert_int_equal(hnsw_builder_snapshot(builder, &options, &memory, &err), HNSW_OK);
	hnsw_builder_free(builder);
	bytes = file_read("memory.hnsw", &size);
	assert_int_equal(memory->size, size);
	assert_memory_equal(memory->base, bytes, size);
	expect_exact_search(memory, HNSW_L2, 20, 300, vectors, vectors + 300 * 20);
	hnsw_snapshot_close(memory);
	free(bytes);
	free(vectors);
}

/* Removed nodes leave no trace, and their neighbours stay connected. */
static void
test_removed_nodes_are_not_written(void **state)
{
	const size_t n = 300;
	float *vectors = sample_vectors(n, 8, 3);
	HnswBuilder *builder = sample_build(HNSW_L2, 8, 4, n, vectors);
	HnswSnapshot *snapshot;

	for (size_t i = 0; i < n; i += 3)
		assert_int_equal(hnsw_builder_remove(builder, sample_label(i)), HNSW_OK);
	sample_write(builder, "removed.hnsw");
	hnsw_builder_free(builder);
	snapshot = sample_open("removed.hnsw");
	assert_int_equal(hnsw_snapshot_info(snapshot)->count, n - n / 3);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(hnsw_snapshot_vector(snapshot, sample_label(i), NULL),
						 i % 3 == 0 ? HNSW_NOTFOUND : HNSW_OK);
	assert_int_equal(sample_problems(snapshot), 0);
	hnsw_snapshot_close(snapshot);
	free(vectors);
}

/* A file of a builder that was loaded from a file holds the same nodes. */
static void
test_load_and_write_again(void **state)
{
	float *vectors = sample_vectors(201, 12, 1);
	HnswSnapshot *first, *second;
	HnswBuilder *builder = NULL;
	HnswError err;

	sample_make_file("first.hnsw", HNSW_L2, 12, 4, 200);
	first = sample_open("first.hnsw");
	assert_int_equal(hnsw_builder_load(first, NULL, &builder, &err), HNSW_OK);
	sample_write(builder, "second.hnsw");
	hnsw_builder_free(builder);
	hnsw_snapshot_close(first);
	second = sample_open("second.hnsw");
	assert_int_equal(sample_problems(second), 0);
	expect_exact_search(second, HNSW_L2, 12, 200, vectors, vectors + 200 * 12);
	hnsw_snapshot_close(second);
	free(vectors);
}

/* ---------- publishing ---------- */

static HnswStatus
write_to(const char *path, int mode, int64_t group, const HnswTask *task, HnswError *err)
{
	HnswWriteOptions options = {.mode = mode, .group = group};
	float *vectors = sample_vectors(2000, 64, 9);
	HnswBuilder *builder = sample_build(HNSW_L2, 64, 4, 40, vectors);
	HnswStatus status = hnsw_builder_write(builder, path, &options, task, err);

	hnsw_builder_free(builder);
	free(vectors);
	return status;
}

static void
test_mode_and_group(void **state)
{
	HnswError err;
	struct stat st;
	mode_t before = umask(027);

	assert_int_equal(write_to("umask.hnsw", -1, -1, NULL, &err), HNSW_OK);
	assert_int_equal(stat("umask.hnsw", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(write_to("mode.hnsw", 0664, (int64_t) getegid(), NULL, &err), HNSW_OK);
	assert_int_equal(stat("mode.hnsw", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0664);
	assert_int_equal(st.st_gid, getegid());
	/* Only root may give files to any group; for others it is no error. */
	assert_int_equal(write_to("group.hnsw", 0660, 54321, NULL, &err), HNSW_OK);
	assert_int_equal(stat("group.hnsw", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(st.st_gid, geteuid() == 0 ? 54321 : getegid());
	umask(before);
}

/* An open map goes on to show the old graph when a new file takes its name. */
static void
test_replaced_while_mapped(void **state)
{
	float *vectors = sample_vectors(101, 6, 1);
	HnswSnapshot *old, *new;

	sample_make_file("live.hnsw", HNSW_L2, 6, 4, 100);
	old = sample_open("live.hnsw");
	sample_make_file("live.hnsw", HNSW_L2, 6, 4, 10);
	new = sample_open("live.hnsw");
	assert_int_equal(hnsw_snapshot_info(new)->count, 10);
	expect_exact_search(old, HNSW_L2, 6, 100, vectors, vectors + 100 * 6);
	assert_int_equal(unlink("live.hnsw"), 0);
	expect_exact_search(old, HNSW_L2, 6, 100, vectors, vectors + 100 * 6);
	assert_int_equal(sample_problems(old), 0);
	hnsw_snapshot_close(old);
	hnsw_snapshot_close(new);
	free(vectors);
}

typedef struct Watch
{
	int calls;
	int stop_at; /* 0: never */
	uint64_t done, total;
	bool backwards;
} Watch;

static bool
watch_cancelled(void *arg)
{
	Watch *watch = arg;

	return ++watch->calls == watch->stop_at;
}

static void
watch_progress(void *arg, uint64_t done, uint64_t total)
{
	Watch *watch = arg;

	watch->backwards |= total == watch->total && done < watch->done;
	assert_true(done <= total);
	watch->done = done;
	watch->total = total;
}

/*
 * Stopped at any point where it asks, a write leaves the old file and nothing
 * else.  Nothing is learnt from so few vectors; learning_stops tests that part.
 */
static void
test_cancel_everywhere(void **state)
{
	float *vectors = sample_vectors(1000, 768, 2);
	HnswBuilder *builder = sample_build(HNSW_L2, 768, 4, 60, vectors);
	HnswWriteOptions options = {.mode = -1, .group = -1};
	uint8_t *before, *after;
	size_t before_size, after_size;
	HnswError err;
	int stop;

	for (size_t i = 60; i < 1000; i++)
		assert_int_equal(hnsw_builder_add(builder, sample_label(i), vectors + i * 768, &err), HNSW_OK);
	sample_make_file("kept.hnsw", HNSW_L2, 4, 4, 10);
	before = file_read("kept.hnsw", &before_size);
	for (stop = 1;; stop++)
	{
		Watch watch = {.stop_at = stop};
		HnswTask task = {
			.cancelled = watch_cancelled, .progress = watch_progress, .arg = &watch, .threads = 1};
		HnswStatus status = hnsw_builder_write(builder, "kept.hnsw", &options, &task, &err);

		assert_false(watch.backwards);
		if (status == HNSW_OK)
		{
			assert_true(watch.calls < stop);
			assert_int_equal(watch.done, watch.total);
			break;
		}
		assert_int_equal(status, HNSW_INTERRUPTED);
		assert_true(err.message[0] != 0);
		after = file_read("kept.hnsw", &after_size);
		assert_int_equal(after_size, before_size);
		assert_memory_equal(after, before, after_size);
		free(after);
		assert_int_equal(folder_count(".", ".tmp"), 0);
	}
	/* 4 MB through a 2 MiB buffer, and the steps before: several places to stop at. */
	assert_true(stop > 4);
	assert_int_equal(folder_count(".", ".tmp"), 0);
	hnsw_builder_free(builder);
	free(before);
	free(vectors);
}

/* ---------- failures ---------- */

static void
test_write_failures(void **state)
{
	HnswError err;
	char name[400];

	assert_int_equal(write_to("no/such/folder/x.hnsw", -1, -1, NULL, &err), HNSW_IO);
	assert_int_equal(err.sys_errno, ENOENT);
	assert_non_null(strstr(err.message, "no/such/folder/x.hnsw"));

	/* A folder in the file's place: found only at the rename. */
	assert_int_equal(mkdir("taken.hnsw", 0755), 0);
	assert_int_equal(write_to("taken.hnsw", -1, -1, NULL, &err), HNSW_IO);
	assert_int_equal(err.sys_errno, EISDIR);
	assert_int_equal(folder_count(".", ".tmp"), 0);

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_int_equal(write_to(name, -1, -1, NULL, &err), HNSW_IO);
	assert_int_equal(err.sys_errno, ENAMETOOLONG);
}

/* In a child, because a limit once lowered stays. */
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
	if (WIFSIGNALED(status))
		return 1000 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

static HnswStatus
small_write(const char *path, HnswError *err)
{
	HnswParams params = {.dim = 512, .metric = HNSW_L2, .m = 4, .ef_construction = 10, .seed = 7};
	HnswWriteOptions options = {.mode = -1, .group = -1};
	HnswBuilder *builder;
	HnswStatus status = hnsw_builder_create(&params, 100, &builder, err);
	float vector[512];

	for (int i = 0; i < 100 && status == HNSW_OK; i++)
	{
		for (int j = 0; j < 512; j++)
			vector[j] = (float) ((i + 1) * j % 97);
		status = hnsw_builder_add(builder, i, vector, err);
	}
	if (status != HNSW_OK)
		return status;
	status = hnsw_builder_write(builder, path, &options, NULL, err);
	hnsw_builder_free(builder);
	return status;
}

static int
write_beyond_limit(void)
{
	struct rlimit limit = {.rlim_cur = 100000, .rlim_max = 100000};
	HnswError err;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 100;
	if (small_write("limited.hnsw", &err) != HNSW_FULL || err.sys_errno != EFBIG)
		return 101;
	return 0;
}

static void
test_file_size_limit(void **state)
{
	uint8_t *before, *after;
	size_t before_size, after_size;

	sample_make_file("limited.hnsw", HNSW_L2, 4, 4, 10);
	before = file_read("limited.hnsw", &before_size);
	assert_int_equal(in_child(write_beyond_limit), 0);
	after = file_read("limited.hnsw", &after_size);
	assert_int_equal(after_size, before_size);
	assert_memory_equal(after, before, after_size);
	assert_int_equal(folder_count(".", ".tmp"), 0);
	free(before);
	free(after);
}

static int
write_to_full_disk(void)
{
	HnswError err;

	if (!own_mounts() || mount("tmpfs", "tiny", "tmpfs", 0, "size=64k") != 0)
		return 77;
	if (small_write("tiny/x.hnsw", &err) != HNSW_FULL || err.sys_errno != ENOSPC)
		return 101;
	if (strstr(err.message, "tiny/x.hnsw") == NULL)
		return 102;
	return folder_count("tiny", ".hnsw") + folder_count("tiny", ".tmp") == 0 ? 0 : 103;
}

static void
test_full_disk(void **state)
{
	int result;

	assert_int_equal(mkdir("tiny", 0777), 0);
	result = in_child(write_to_full_disk);
	if (result == 77)
	{
		print_message("this user may mount nothing here\n");
		skip();
	}
	assert_int_equal(result, 0);
}

static void
expect_open(const char *path, HnswStatus expected, int sys_errno)
{
	HnswSnapshot *snapshot = (HnswSnapshot *) &snapshot;
	HnswError err = {0};

	assert_int_equal(hnsw_snapshot_open(path, &snapshot, &err), expected);
	assert_int_equal(err.sys_errno, sys_errno);
	assert_null(snapshot);
	assert_non_null(strstr(err.message, path));
	/* The explanation is optional. */
	assert_int_equal(hnsw_snapshot_open(path, &snapshot, NULL), expected);
}

static int
open_as_nobody(void)
{
	HnswSnapshot *snapshot;
	HnswError err;

	if (geteuid() == 0 && setuid(65534) != 0)
		return 100;
	if (hnsw_snapshot_open("secret.hnsw", &snapshot, &err) != HNSW_IO || err.sys_errno != EACCES)
		return 101;
	return 0;
}

static void
test_open_failures(void **state)
{
	expect_open("missing.hnsw", HNSW_NOTFOUND, ENOENT);
	file_write("plain", "x", 1);
	expect_open("plain/below", HNSW_NOTFOUND, ENOTDIR);
	assert_int_equal(mkdir("folder", 0755), 0);
	expect_open("folder", HNSW_IO, EISDIR);
	assert_int_equal(mkfifo("fifo", 0666), 0);
	expect_open("fifo", HNSW_IO, EINVAL);
	expect_open("/dev/null", HNSW_IO, EINVAL);
	assert_int_equal(symlink("circle", "circle"), 0);
	expect_open("circle", HNSW_IO, ELOOP);

	expect_open("plain", HNSW_CORRUPT, 0);
	file_write("empty", "", 0);
	expect_open("empty", HNSW_CORRUPT, 0);
	file_write("database", "SQLite format 3", 16);
	expect_open("database", HNSW_CORRUPT, 0);

	sample_make_file("secret.hnsw", HNSW_L2, 4, 4, 3);
	assert_int_equal(chmod("secret.hnsw", 0), 0);
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(in_child(open_as_nobody), 0);
}

/* A header of a later version, sound by that version's own rules. */
static void
test_other_version(void **state)
{
	uint8_t *bytes;
	size_t size;
	uint32_t version = HNSW_FORMAT_VERSION + 1;
	uint32_t header_bytes = 1024;
	uint64_t sum;

	sample_make_file("version.hnsw", HNSW_L2, 4, 4, 3);
	bytes = file_read("version.hnsw", &size);
	memcpy(bytes + 8, &version, sizeof(version));
	memcpy(bytes + 12, &header_bytes, sizeof(header_bytes));
	memset(bytes + 600, 0xa5, 300);
	sum = hnsw_header_sum(bytes, header_bytes - sizeof(sum));
	memcpy(bytes + header_bytes - sizeof(sum), &sum, sizeof(sum));
	file_write("version.hnsw", bytes, size);
	expect_open("version.hnsw", HNSW_VERSION, 0);

	/* Not sound: then it is damage, whatever the version field says. */
	bytes[700] ^= 1;
	file_write("version.hnsw", bytes, size);
	expect_open("version.hnsw", HNSW_CORRUPT, 0);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_each_stops),
		cmocka_unit_test(test_equal_builds_give_equal_files),
		cmocka_unit_test(test_in_memory_equals_the_file),
		cmocka_unit_test(test_removed_nodes_are_not_written),
		cmocka_unit_test(test_load_and_write_again),
		cmocka_unit_test(test_mode_and_group),
		cmocka_unit_test(test_replaced_while_mapped),
		cmocka_unit_test(test_cancel_everywhere),
		cmocka_unit_test(test_write_failures),
		cmocka_unit_test(test_file_size_limit),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_open_failures),
		cmocka_unit_test(test_other_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
