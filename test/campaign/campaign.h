/*
 * campaign.h
 *		What the campaigns share: a workload that is a function of (seed, number),
 *		a model that says what it must leave, and a checker.
 *
 * The model is plain arrays; nothing in it comes from the database.  Which
 * steps were acknowledged is kept in memory shared with the processes that are
 * killed, so it outlives them and lies outside of the database.
 */
#ifndef CAMPAIGN_H
#define CAMPAIGN_H

#include "shim.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#define DIM 8
#define IDS 400   /* rowids 1 .. IDS - 1 */
#define NAMES 500 /* of the unique column */
#define OPS 160

/* ---------- model.c ---------- */

typedef enum OpKind
{
	OP_INSERT, /* OR IGNORE a, name b, version */
	OP_REPLACE,
	OP_DELETE,
	OP_DELETE_RANGE, /* a to b */
	OP_UPDATE,       /* the vector of a */
	OP_MOVE,         /* OR REPLACE: a becomes b */
	OP_NAME,         /* OR REPLACE: the name of a becomes b */
	OP_ADD,          /* hnsw_add to the index without a table */
	OP_DEL,
	OP_SAVEPOINT,
	OP_ROLLBACK_TO
} OpKind;

typedef struct Op
{
	OpKind kind;
	int a, b;
	uint32_t version; /* of the vector; 0: NULL */
} Op;

typedef enum StepKind
{
	STEP_DML,
	STEP_ROLLBACK, /* the same, rolled back */
	STEP_SAVE,
	STEP_REBUILD,
	STEP_RENAME,
	STEP_DROP,
	STEP_CREATE,
	STEP_VACUUM,
	STEP_READ
} StepKind;

typedef struct Step
{
	StepKind kind;
	long number;
	int op_count;
	Op ops[OPS];
} Step;

typedef struct Row
{
	int name; /* 0: there is no such row */
	uint32_t version;
} Row;

typedef struct Model
{
	long number; /* of the last step that committed something */
	bool exists; /* the index over documents */
	bool second; /* it has its second name */
	Row documents[IDS];
	uint32_t plain[IDS]; /* 0: none */
} Model;

void step_make(Step *step, StepKind kind, long number, uint64_t seed);
/* A random kind, as the model allows. */
void step_random(Step *step, const Model *model, long number, uint64_t seed);
void model_apply(Model *model, const Step *step);
const char *model_index(const Model *model);

/* False for 0, which stands for NULL. */
bool make_vector(uint32_t version, float out[DIM]);
uint64_t mix(uint64_t x);

/* ---------- work.c ---------- */

typedef struct Report
{
	char text[1800]; /* the first thing that went wrong */
	int code;        /* SQLite's, where a statement failed; 0 where an answer is wrong */
} Report;

/* Keeps the first; returns false. */
bool report(Report *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a statement that failed. */
bool report_code(Report *r, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* NULL with a report on failure. */
sqlite3 *open_database(const char *path, Report *r);
int run(sqlite3 *db, const char *format, ...);
sqlite3_int64 number(sqlite3 *db, const char *format, ...);

/* Tables, both indexes and rows; model is set to what is there. */
bool set_up(sqlite3 *db, bool wal, uint64_t seed, int rows, bool save, Model *model, Report *r);

/* Do it, in a transaction of its own; the connection is idle afterwards. */
int step_run(sqlite3 *db, const Step *step, const Model *before);

/* The number of the last committed step, as the database has it. */
long committed(sqlite3 *db);

/* ---------- operation.c ---------- */

/* One operation: the state before it, and the step. */
typedef struct Operation
{
	const char *name;
	bool saved;   /* there is a graph */
	bool changed; /* and changes since then */
	bool dropped; /* and the index is gone */
	StepKind kind;
	bool twice; /* merged twice before, so that old files are to be removed */
} Operation;

extern const Operation operations[];
extern const int operation_count;

/* Make the database that the operation begins with. */
bool operation_prepare(sqlite3 *db, const Operation *o, bool wal, Model *m, Report *r);

/* ---------- check.c ---------- */

/* Everything in the database against the model, over this connection. */
bool check_answers(sqlite3 *db, const Model *model, uint64_t seed, Report *r);

/*
 * The same over a connection of its own, with hnsw_check; with merge also that
 * a merge works and leaves nothing but what belongs there.
 */
bool check_database(const char *path, const Model *model, bool merge, uint64_t seed, Report *r);

/* ---------- main.c ---------- */

extern const char *campaign_extension; /* hnsw.so */
extern uint64_t campaign_seed;
extern double campaign_seconds;

double clock_now(void);

/* How many want each processor, on average, and at least 1: limits of time are multiplied by it. */
double clock_patience(void);
void *shared_memory(size_t size);
/* An empty folder below the temporary one, made anew; a real path. */
const char *fresh_folder(const char *name);
void wipe_folder(const char *folder);

/* Whether the case is asked for: --only of test/campaign/run. */
bool wanted(const char *label);

/* Print a figure as TSV; count a test. */
void figure(const char *campaign, const char *name, double value);
void outcome(const char *campaign, const char *name, bool ok, const char *text);

void campaign_crash(void);
void campaign_steps(void);
void campaign_faults(void);
void campaign_readonly(void);
void campaign_concurrency(void);
void campaign_backups(void);
void campaign_follow(void);

#endif
