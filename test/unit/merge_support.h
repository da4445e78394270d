/*
 * merge_support.h
 *		What the tests of merges and graph files share: a content table documents
 *		with its index vss, whether the index is right and used, and its files.
 */
#ifndef MERGE_SUPPORT_H
#define MERGE_SUPPORT_H

#include "bridge_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static inline const char *
in_folder(const char *name)
{
	static char path[4][512];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static inline void
add_rows(sqlite3 *db, int first, int last)
{
	if (first > last)
		return;
	run_sql(db,
			"WITH RECURSIVE n(i) AS (SELECT %d UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
			" INSERT OR REPLACE INTO documents SELECT i, printf('[%%d,%%d,%%d,%%d]', i * 7919 %% 1009 - 500,"
			" i * i * 31 %% 1013, i * 104729 %% 997, i %% 17) FROM n",
			first, last);
}

/* documents and its index vss, with a path of its own. */
static inline sqlite3 *
make_database(const char *name, int rows)
{
	sqlite3 *db = open_database(folder, name, NULL);

	run_sql(db, "PRAGMA synchronous = OFF; CREATE TABLE documents(id INTEGER PRIMARY KEY, embedding TEXT)");
	run_sql(db,
			"CREATE VIRTUAL TABLE vss USING hnsw(dim = 4, metric = l2, path = '%s.idx', content = documents,"
			" content_vector = embedding)",
			name);
	add_rows(db, 1, rows);
	return db;
}

static inline void
check_answers(sqlite3 *db)
{
	assert_true(index_equals(db, "vss", "l2_distance", "[10,500,300,7]", "documents", "id", "embedding"));
}

static inline void
check_state(sqlite3 *db, const char *state)
{
	assert_string_equal(get_info(db, "$.graph.state"), state);
}

/* Right answers, sound structure, and a search really asks the graph. */
static inline void
check_graph_used(sqlite3 *db)
{
	sqlite3_stmt *stmt;
	BridgeStats stats = {0};

	check_answers(db);
	assert_string_equal(get_text(db, "SELECT hnsw_check('vss')"), "ok");
	check_state(db, "used");
	assert_int_equal(
		sqlite3_prepare_v2(db, "SELECT rowid FROM vss('[10,500,300,7]', 10, NULL, NULL, ?)", -1, &stmt, NULL),
		SQLITE_OK);
	sqlite3_bind_pointer(stmt, 1, &stats, BRIDGE_STATS_POINTER, NULL);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	assert_string_equal(stats.strategy, "graph");
	sqlite3_finalize(stmt);
}

static inline int64_t
save(sqlite3 *db)
{
	return get_number(db, "SELECT hnsw_save('vss')");
}

/* How many files of the folder contain this in their name. */
static inline int
count_files(const char *part)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, part) != NULL;
	closedir(dir);
	return n;
}

/* "<name>.idx-<current token>" */
static inline const char *
token_file(sqlite3 *db, const char *name)
{
	char file[300];

	snprintf(file, sizeof(file), "%s.idx-%s", name, get_info(db, "$.graph.token"));
	return in_folder(file);
}

static inline void
shell(const char *format, ...)
{
	va_list args;
	char *command;

	va_start(args, format);
	assert_true(vasprintf(&command, format, args) > 0);
	va_end(args);
	if (system(command) != 0)
		fail_msg("%s", command);
	free(command);
}

/* Write nonsense into a file, keeping its inode. */
static inline void
damage_file(const char *path, off_t at)
{
	int fd = open(path, O_WRONLY);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "damaged!", 8, at), 8);
	close(fd);
}

static inline off_t
file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static inline ino_t
file_inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Of the monotonic clock. */
static inline int64_t
milliseconds_since(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
}

/* Merge in a child that dies at a step of publish.c; true when it died there. */
static inline bool
merge_and_die(const char *step)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
	{
		sqlite3 *db;
		char *path = sqlite3_mprintf("%s/a.db", folder);

		setenv("HNSW_PUBLISH_STOP", step, 1);
		if (sqlite3_open(path, &db) != SQLITE_OK || bridge_attach(db, NULL, NULL) != SQLITE_OK)
			_exit(2);
		sqlite3_exec(db, "SELECT hnsw_save()", NULL, NULL, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

#endif /* MERGE_SUPPORT_H */
