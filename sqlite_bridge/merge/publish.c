/*
 * publish.c
 *		How a finished graph becomes the index's, and how old files go.
 *
 * bridge_publish() is the only writer of graph files.  Whatever happens between
 * its steps, `current` in the database names either the old graph or the new
 * one, and the changes that it lacks are still in the delta:
 *
 *	1	"<path>-<token>" is written, synced, named, and its folder synced.
 *		A crash leaves a file that nothing names.
 *	2	One small write transaction makes it current: it names the new file, or base
 *		and new file, and the labels of the base that the latter hides; with it goes
 *		the ef that the graph was found to need, if that was measured.  A crash before
 *		the commit leaves the old graph, after it the new one.
 *	3	<path> becomes a hard link to the base, for people and as a second name.  Readers
 *		trust a file for its token, so a crash costs nothing.
 *	4	Changes that the graph holds are removed from the delta, in small batches.
 *		Readers ask for changes after the graph's number, so left-overs are
 *		ignored, and the next merge removes them.
 *
 * The previous graph keeps its file, for readers of an older snapshot of the
 * database, until the next merger sweeps (bridge_publish_sweep).  It unlinks what
 * bears this database's identity and is not current, what bears that of a database which
 * is not in the folder any more (a file that another was renamed over), and dead temporary
 * files; the merger's lock makes sure that they are dead.
 *
 * Builds with HNSW_CRASH_TESTS, as the unit tests are, look at the environment
 * variable HNSW_PUBLISH_STOP: "N" kills the process (SIGKILL) before step N, "N+" after it, and with a trailing "?" it
 * stops (SIGSTOP) instead.
 */
#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "sqlite_bridge/merge/merge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIM_BATCH 500     /* changes removed in one transaction */
#define TRIM_COMMIT_MS 100 /* less, and it hardly ever succeeds beside busy readers */
#define FIRST_PAUSE_MS 2   /* after BUSY; doubles up to LAST_PAUSE_MS */
#define LAST_PAUSE_MS 250
#define TEMPORARY_LENGTH (16 + 4) /* "<16 digits>.tmp" */

/* ---------- crash tests ---------- */

static void
at_step(int step, bool done)
{
#ifdef HNSW_CRASH_TESTS
	const char *wish = secure_getenv("HNSW_PUBLISH_STOP");

	if (wish == NULL || wish[0] != '0' + step || (wish[1] == '+') != done)
		return;
	raise(strchr(wish, '?') != NULL ? SIGSTOP : SIGKILL);
#endif
}

/* ---------- whose file is it ---------- */

/* The identity in the header of a graph file. */
static HnswStatus
read_identity(const char *path, HnswIdentity *identity)
{
	HnswSnapshot *graph = NULL;
	HnswStatus status = hnsw_snapshot_open(path, &graph, NULL);

	if (status == HNSW_OK)
		*identity = hnsw_snapshot_info(graph)->identity;
	hnsw_snapshot_close(graph);
	return status;
}

/* Whether it is this database's. */
static bool
bears_identity(const char *path, const BridgeFiles *files)
{
	HnswIdentity identity;

	return read_identity(path, &identity) == HNSW_OK && identity.database_device == files->device &&
		   identity.database_inode == files->inode;
}

/* Whether the file may be removed: it is this database's, or of one that is not in the folder any more. */
static bool
may_go(const char *path, const BridgeFiles *files, HnswStatus *status)
{
	HnswIdentity identity;

	*status = read_identity(path, &identity);
	return *status == HNSW_OK &&
		   (bridge_orphans_is_gone(files, &identity) ||
			(identity.database_device == files->device && identity.database_inode == files->inode));
}

/* Whether both names lead to one file. */
static bool
same_file(const char *a, const char *b)
{
	struct stat sa;
	struct stat sb;

	return lstat(a, &sa) == 0 && lstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/*
 * Whether what lies at <path> may be replaced: nothing, a file with our
 * identity or that of a database which is gone, or an unreadable one that is another name of a file that the
 * database called current, that is, ours before it was damaged in place.
 */
static bool
may_replace(const BridgeFiles *files, const BridgeState *before)
{
	struct stat st;
	HnswStatus status;

	if (lstat(files->path, &st) != 0)
		return errno == ENOENT;
	if (!S_ISREG(st.st_mode))
		return false;
	if (may_go(files->path, files, &status))
		return true;
	for (int i = 0; status != HNSW_OK && i < before->segment_count; i++)
	{
		char *name = bridge_files_token_path(files, before->segments[i].token);
		bool same = name != NULL && same_file(name, files->path);

		sqlite3_free(name);
		if (same)
			return true;
	}
	return false;
}

/* ---------- the steps ---------- */

/*
 * A write transaction.  Its beginning may wait for other writers, in the busy
 * handler, the commit for commit_ms at most, because while it waits for readers
 * (in a rollback-journal database) no new ones get in.  SQLITE_BUSY never leaves it
 * open.
 *
 * Where another file has been renamed over the database, the journal of this transaction
 * lies beside that file, and after a crash SQLite would roll the file back by it.  So the
 * place is looked at before the first page is written and once more before the commit,
 * and in between there is only the work.
 */
static int
transact(BridgeStore *store, BridgeMergeTask *task, BridgeWork work, const void *arg, int commit_ms,
		 BridgeError *err)
{
	struct stat st;
	int rc = bridge_exec(store->db, err, "BEGIN IMMEDIATE");

	if (rc != SQLITE_OK)
		return rc;
	rc = bridge_merge_check_place(task->files, &st, err);
	if (rc == SQLITE_OK)
		rc = work(store, arg, err);
	if (rc == SQLITE_OK)
		rc = bridge_merge_check_place(task->files, &st, err);
	task->committing = true;
	task->commit_ms = commit_ms;
	if (rc == SQLITE_OK)
		rc = bridge_exec(store->db, err, "COMMIT");
	task->committing = false;
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

/*
 * The same until it is not in others' way.  The tries have the time together
 * that a merge is given to wait, task->busy_ms.
 */
int
bridge_merge_transact(BridgeStore *store, BridgeMergeTask *task, BridgeWork work, const void *arg,
					  int commit_ms, BridgeError *err)
{
	int pause = FIRST_PAUSE_MS;
	int rc;

	bridge_merge_wait_as_one(task);
	while (((rc = transact(store, task, work, arg, commit_ms, err)) & 0xff) == SQLITE_BUSY &&
		   rc != SQLITE_BUSY_SNAPSHOT)
	{
		if (bridge_merge_cancelled(task))
		{
			bridge_error_clear(err);
			rc = bridge_error(err, SQLITE_INTERRUPT, "interrupted");
			break;
		}
		if (!bridge_merge_waits(task, 0))
		{
			rc = bridge_error_prefix(err, "the database stays locked by others");
			break;
		}
		bridge_error_clear(err);
		bridge_merge_nap(task, pause);
		pause = pause * 2 < LAST_PAUSE_MS ? pause * 2 : LAST_PAUSE_MS;
	}
	task->since = 0;
	return rc;
}

/* What becomes current, and what that must have been before. */
typedef struct Change
{
	const BridgeState *before;
	const BridgeState *after;
	const BridgeBuilt *built;
} Change;

/* The graph is the image of the content table as of the journal's row before->counter, which must be there. */
static int
move_position(BridgeStore *store, const Change *change, BridgeError *err)
{
	const BridgeState *before = change->before;
	BridgeState unused;
	int64_t tag;
	bool found;
	int rc = bridge_store_state(store, &unused, before->counter, &tag, &found, err);

	if (rc == SQLITE_OK && (!found || tag != before->last_tag))
		rc = bridge_error(err, SQLITE_BUSY_SNAPSHOT, "%s_changes has been emptied during the merge",
						  store->table);
	if (rc == SQLITE_OK)
		rc = bridge_store_set_position(store, before->counter, before->last_tag, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_set_config(store, "cookie", NULL, store->follow.cookie, err);
	if (rc == SQLITE_OK && change->built->read_all)
		rc = bridge_store_set_config(store, "bad_rows", NULL, change->built->bad_rows, err);
	return rc;
}

/* 2. The database names the new graph. */
static int
make_current(BridgeStore *store, const void *arg, BridgeError *err)
{
	const Change *change = arg;
	const BridgeState *before = change->before;
	const BridgeState *after = change->after;
	BridgeMark seen = change->built->seen;
	int rc;

	/* A copy that was restored may have the number of a schema that was looked at. */
	store->follow.judged = false;
	rc = bridge_merge_same_history(store, before, &seen, err);
	if (rc == SQLITE_OK && store->journal)
		rc = move_position(store, change, err);
	if (rc == SQLITE_OK && change->built->builder != NULL)
		rc = bridge_store_set_current(store, after->segments, after->segment_count, change->built->hidden,
									  change->built->hidden_count, err);
	if (rc == SQLITE_OK)
		rc = bridge_store_set_unplaced(store, before->counter, change->built->unplaced,
									   change->built->unplaced_count, err);
	if (rc == SQLITE_OK && after->tuned.margin > 0)
		rc = bridge_store_set_tuned(store, &after->tuned, err);
	return rc;
}

/*
 * 3. <path> leads to the base.  Nothing depends on it, so failing is a
 * warning: of a file that is not ours, or of a file system without links.
 */
static char *
link_path(const BridgeFiles *files, const char *base_file, const BridgeState *before)
{
	char *name;
	char *warning = NULL;

	if (same_file(base_file, files->path))
		return NULL;
	if (!may_replace(files, before))
		return sqlite3_mprintf("%s is not a graph file of this database and was left alone; searches use %s",
							   files->path, base_file);
	name = sqlite3_mprintf("%s.0000000000000000.tmp", base_file);
	if (name == NULL)
		return NULL;
	unlink(name);
	if (link(base_file, name) != 0 || rename(name, files->path) != 0)
		warning = sqlite3_mprintf("%s could not be linked: %s; searches use %s", files->path, strerror(errno),
								  base_file);
	unlink(name);
	sqlite3_free(name);
	return warning;
}

/* What the graph holds that is current now: an older copy of the database may have come back. */
static int
trim_batch(BridgeStore *store, const void *arg, BridgeError *err)
{
	int64_t *removed = *(int64_t *const *) arg;
	BridgeState now;
	int rc = bridge_content_state(store, &now, 0, NULL, NULL, err);

	*removed = 0;
	if (rc != SQLITE_OK || now.verdict != BRIDGE_FOLLOWED)
		return rc;
	return bridge_store_delta_trim(store, now.position, TRIM_BATCH, removed, err);
}

/*
 * 4. Remove the changes that the graph holds.  Stopping early is no failure: what remains is
 * ignored by readers and removed by the next merge.
 */
static void
trim(BridgeStore *store, BridgeMergeTask *task)
{
	int64_t removed = TRIM_BATCH;
	int64_t *const out = &removed;
	BridgeError err = {0};
	int rc = SQLITE_OK;

	while (rc == SQLITE_OK && removed == TRIM_BATCH && !bridge_merge_cancelled(task))
		rc = bridge_merge_transact(store, task, trim_batch, &out, TRIM_COMMIT_MS, &err);
	bridge_error_clear(&err);
}

int
bridge_publish(BridgeStore *store, BridgeMergeTask *task, const BridgeBuilt *built, const BridgeState *before,
			   char **warning, BridgeError *err)
{
	const int64_t seq = before->counter;
	const BridgeFiles *files = task->files;
	HnswTask work = bridge_merge_work(task, BRIDGE_WRITING);
	HnswWriteOptions options = {0};
	HnswError hnsw = {0};
	HnswStatus status;
	BridgeState after = {0};
	const Change change = {before, &after, built};
	BridgeSegment *segment;
	char *new_file;
	char *base_file;
	int rc;

	if (built->builder == NULL) /* only the position moves */
	{
		rc = bridge_merge_transact(store, task, make_current, &change, 0, err);
		if (rc == SQLITE_OK)
			trim(store, task);
		return rc;
	}
	if (built->recent)
		after.segments[after.segment_count++] = before->segments[0];
	segment = &after.segments[after.segment_count++];
	sqlite3_randomness(sizeof(segment->token), segment->token);
	segment->seq = seq;
	memcpy(options.identity.token, segment->token, sizeof(segment->token));
	options.identity.database_device = files->device;
	options.identity.database_inode = files->inode;
	options.identity.seq = seq;
	options.mode = task->file_mode;
	options.group = task->file_group;
	options.owner = task->file_owner;

	new_file = bridge_files_token_path(files, segment->token);
	base_file = bridge_files_token_path(files, after.segments[0].token);
	if (new_file == NULL || base_file == NULL)
	{
		sqlite3_free(new_file);
		sqlite3_free(base_file);
		return bridge_error(err, SQLITE_NOMEM, "out of memory");
	}

	at_step(1, false);
	bridge_merge_leave(task, false); /* the lock guards the file from being swept */
	status = hnsw_builder_write(built->builder, new_file, &options, &work, &hnsw);
	rc = bridge_merge_return(task, err);
	if (rc == SQLITE_OK)
		rc = status == HNSW_OK ? SQLITE_OK : bridge_error_hnsw(err, status, &hnsw, "writing the graph file");
	at_step(1, true);

	if (rc == SQLITE_OK && bridge_tuning_is_due(store, before, built))
	{
		rc = bridge_tune_file(task, store, new_file, &after.tuned, err);
		if (rc != SQLITE_OK)
			unlink(new_file);
	}
	if (rc == SQLITE_OK)
	{
		at_step(2, false);
		rc = bridge_merge_transact(store, task, make_current, &change, 0, err);
		at_step(2, true);
		/* After an error of the disk nobody knows whether the commit came through. */
		if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_IOERR)
			unlink(new_file);
	}
	if (rc == SQLITE_OK)
	{
		at_step(3, false);
		*warning = link_path(files, base_file, before);
		at_step(3, true);

		at_step(4, false);
		trim(store, task);
		if (!built->recent)
			bridge_label_trim(store, task);
		at_step(4, true);
	}
	sqlite3_free(new_file);
	sqlite3_free(base_file);
	return rc;
}

void
bridge_publish_finish(BridgeStore *store, BridgeMergeTask *task, const BridgeState *state, char **warning)
{
	char *file = bridge_files_token_path(task->files, state->segments[0].token);

	if (file != NULL)
	{
		/* The merge that comes here has found the graph under one of its two names. */
		if (access(file, F_OK) != 0)
			(void) !link(task->files->path, file);
		*warning = link_path(task->files, file, state);
	}
	trim(store, task);
	sqlite3_free(file);
}

/* ---------- old files ---------- */

typedef enum FileKind
{
	OTHER_FILE,
	TOKEN_FILE,    /* <path>-<token> */
	TEMPORARY_FILE /* <path>-<token>.<16 digits>.tmp */
} FileKind;

static FileKind
classify(const char *name, const char *base, uint8_t token[HNSW_TOKEN_BYTES])
{
	uint8_t digits[HNSW_TOKEN_BYTES];
	size_t length = strlen(base);

	if (strncmp(name, base, length) != 0 || name[length] != '-' || strlen(name) < length + 1 + 16)
		return OTHER_FILE;
	name += length + 1;
	if (!bridge_token_parse(name, token))
		return OTHER_FILE;
	name += 16;
	if (name[0] == '\0')
		return TOKEN_FILE;
	if (name[0] == '.' && strlen(name + 1) == TEMPORARY_LENGTH && bridge_token_parse(name + 1, digits) &&
		strcmp(name + 1 + 16, ".tmp") == 0)
		return TEMPORARY_FILE;
	return OTHER_FILE;
}

/*
 * Unlink what may go.  keep: the state whose segments stay, NULL to keep none.
 * temporary: whether temporary files are dead, which takes the merger's lock.
 */
static void
sweep(const BridgeFiles *files, const BridgeState *keep, bool temporary)
{
	const char *slash = strrchr(files->path, '/');
	char *folder =
		sqlite3_mprintf("%.*s", slash == files->path ? 1 : (int) (slash - files->path), files->path);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		uint8_t token[HNSW_TOKEN_BYTES];
		HnswStatus status;
		FileKind kind = classify(entry->d_name, slash + 1, token);
		char *name;

		if (kind == OTHER_FILE || (kind == TEMPORARY_FILE && !temporary))
			continue;
		if (kind == TOKEN_FILE && keep != NULL && bridge_state_names(keep, token))
			continue;
		name = sqlite3_mprintf("%s/%s", folder, entry->d_name);
		if (name != NULL && (kind == TEMPORARY_FILE || may_go(name, files, &status)))
			unlink(name);
		sqlite3_free(name);
	}
	if (dir != NULL)
		closedir(dir);
	sqlite3_free(folder);
}

void
bridge_publish_left(const BridgeFiles *files, const BridgeState *state, int64_t *count, int64_t *bytes)
{
	const char *slash = strrchr(files->path, '/');
	char *folder =
		sqlite3_mprintf("%.*s", slash == files->path ? 1 : (int) (slash - files->path), files->path);
	DIR *dir = folder ? opendir(folder) : NULL;
	const struct dirent *entry;

	*count = *bytes = 0;
	while (dir != NULL && (entry = readdir(dir)) != NULL)
	{
		uint8_t token[HNSW_TOKEN_BYTES];
		struct stat st;

		if (classify(entry->d_name, slash + 1, token) != TOKEN_FILE || bridge_state_names(state, token) ||
			fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		++*count;
		*bytes += st.st_size;
	}
	if (dir != NULL)
		closedir(dir);
	sqlite3_free(folder);
}

void
bridge_publish_sweep(const BridgeFiles *files, const BridgeState *state)
{
	sweep(files, state, true);
}

bool
bridge_publish_owns(const BridgeFiles *files, const char *ending)
{
	char *name = sqlite3_mprintf("%s%s", files->path, ending);
	bool ours = name != NULL && bears_identity(name, files);

	sqlite3_free(name);
	return ours;
}

void
bridge_publish_unlink(const BridgeFiles *files)
{
	BridgeLock lock = {-1};
	bool locked = false;
	char *lock_file;

	if (files->path == NULL)
		return;
	/* Where nobody ever merged there is nothing temporary, and no lock file to make. */
	lock_file = sqlite3_mprintf("%s-lock", files->path);
	if (lock_file != NULL && access(lock_file, F_OK) == 0)
	{
		const BridgeAccess access = {0600, -1, -1};
		BridgeError err = {0};

		locked = bridge_lock_take(files, &access, 0, NULL, NULL, &lock, &err) == SQLITE_OK;
		bridge_error_clear(&err);
	}
	sqlite3_free(lock_file);
	if (bears_identity(files->path, files))
		unlink(files->path);
	sweep(files, NULL, locked);
	bridge_lock_drop(&lock);
}
