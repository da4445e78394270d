/*
 * sample.c
 *		How many rows meet conditions of which PostgreSQL has no statistics.
 *
 * Nobody analyses a foreign table unless told to, and SQLite's own ANALYZE is as
 * rarely run.  So SQLite is asked while the query is planned, as little as will
 * do: entries of an index are counted up to a limit, which tells few from many,
 * and conditions are tried on some rows that are spread over the table.
 *
 * What was asked is kept for the session: programs ask the same again and again.
 * It is forgotten when the table has grown or shrunk, for an estimate need not be
 * as new as the data.  Errors are no answer: a row that the query itself would
 * never read may hold a value that its conditions cannot be tried on.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "fdw/plan/plan.h"

/* Smaller tables are not worth asking about. */
#define LEAST_ROWS 1000

/*
 * Entries of an index are counted up to a few times the number at which a search
 * among them and one through all rows cost about the same, sqrt(k n).
 */
#define COUNTED_OF_ROOT 15
#define MOST_COUNTED 10000

/* Rows on which conditions are tried. */
#define SAMPLED_ROWS 128

/* Answers that are kept, and how far the table may have grown or shrunk since. */
#define ANSWERS 256
#define MOST_GROWTH 1.2

/* An answer and what was asked. */
typedef struct Answer
{
	const VssConnection *conn; /* NULL: none */
	uint64 hash;               /* of the statement */
	double tuples;             /* of the table then */
	double value;              /* -1: SQLite could not tell */
} Answer;

static Answer answers[ANSWERS];

bool
vssfdw_has_statistics(RelOptInfo *baserel, List *clauses)
{
	VssRel *rel = VSS_REL(baserel);
	Bitmapset *attrs = NULL;
	ListCell *cell;
	int i = -1;

	foreach (cell, clauses)
	{
		Node *clause = lfirst(cell);

		if (IsA(clause, RestrictInfo))
			clause = (Node *) ((RestrictInfo *) clause)->clause;
		pull_varattnos(clause, baserel->relid, &attrs);
	}
	while ((i = bms_next_member(attrs, i)) >= 0)
	{
		AttrNumber attnum = i + FirstLowInvalidHeapAttributeNumber;

		if (!SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(rel->relid), Int16GetDatum(attnum),
								   BoolGetDatum(false)))
			return false;
	}
	return true;
}

/* The first number that the statement gives, -1 where it fails. */
static double
ask(VssConnection *conn, const char *sql)
{
	VssHold *hold = vssfdw_hold(conn, CurrentMemoryContext);
	bool unread = sqlite3_txn_state(conn->db, "main") == SQLITE_TXN_NONE;
	VssStatement *statement = vssfdw_prepare(conn, sql, CurrentMemoryContext);
	double value = -1;

	if (vssfdw_try_step(statement) == SQLITE_ROW)
		value = sqlite3_column_double(statement->stmt, 0);
	vssfdw_done(statement);
	if (unread)
		vssfdw_forget_read(conn);
	vssfdw_release(hold);
	CHECK_FOR_INTERRUPTS();
	return value;
}

/* The same, if it was not asked a short time ago. */
static double
ask_once(const VssRel *rel, const char *sql)
{
	uint64 hash = hash_bytes_extended((const unsigned char *) sql, (int) strlen(sql), 0);
	Answer *answer = &answers[hash % ANSWERS];

	if (answer->conn != rel->conn || answer->hash != hash ||
		Max(answer->tuples, rel->tuples) > Min(answer->tuples, rel->tuples) * MOST_GROWTH)
	{
		answer->conn = NULL;
		answer->value = ask(rel->conn, sql);
		answer->conn = rel->conn;
		answer->hash = hash;
		answer->tuples = rel->tuples;
	}
	return answer->value;
}

/* Whether the table is one that can be asked about; the context of a statement about it. */
static bool
begin(PlannerInfo *root, RelOptInfo *baserel, VssDeparse *context, StringInfo buf)
{
	const VssRel *rel = VSS_REL(baserel);

	initStringInfo(buf);
	*context = (VssDeparse){.root = root, .rel = baserel, .buf = buf, .first_param = 1};
	return rel->tuples >= LEAST_ROWS && !rel->info->is_view && !rel->info->is_virtual;
}

double
vssfdw_count_entries(PlannerInfo *root, RelOptInfo *baserel, List *clauses, bool *all)
{
	int most = (int) Min(COUNTED_OF_ROOT * sqrt(VSS_REL(baserel)->tuples), MOST_COUNTED);
	StringInfoData buf;
	VssDeparse context;
	double rows;

	*all = false;
	if (!begin(root, baserel, &context, &buf))
		return -1;
	appendStringInfoString(&buf, "SELECT count(*) FROM (");
	vssfdw_deparse_select(&context, NIL, clauses);
	appendStringInfo(&buf, " LIMIT %d)", most);
	if (context.params != NIL)
		return -1;
	rows = ask_once(VSS_REL(baserel), buf.data);
	*all = rows >= 0 && rows < most;
	return rows;
}

double
vssfdw_try_on_sample(PlannerInfo *root, RelOptInfo *baserel, List *clauses)
{
	const VssRel *rel = VSS_REL(baserel);
	const char *table = vssfdw_quote_identifier(rel->table->table);
	const char *rowid;
	StringInfoData buf;
	VssDeparse context;
	double rows;

	if (!begin(root, baserel, &context, &buf) || rel->info->rowid_name == NULL)
		return -1;
	rowid = vssfdw_quote_identifier(rel->info->rowid_name);
	/* x: the same numbers each time, that follow no period of the data */
	appendStringInfo(
		&buf,
		"WITH RECURSIVE span(low, high) AS MATERIALIZED (SELECT (SELECT min(%1$s) FROM \"main\".%2$s), "
		"(SELECT max(%1$s) FROM \"main\".%2$s)), step(i, x) AS (SELECT 1, 42 UNION ALL SELECT i + 1, "
		"(x * 1103515245 + 12345) & 2147483647 FROM step WHERE i < %3$d) SELECT count(*) FROM span CROSS "
		"JOIN "
		"step CROSS JOIN \"main\".%2$s AS r%4$u WHERE r%4$u.%1$s = (SELECT t.%1$s FROM \"main\".%2$s AS t "
		"WHERE t.%1$s >= low + (high * 1.0 - low) * (x / 2147483648.0) ORDER BY t.%1$s LIMIT 1)",
		rowid, table, SAMPLED_ROWS, baserel->relid);
	vssfdw_deparse_conds(&context, "AND", clauses);
	if (context.params != NIL)
		return -1;
	rows = ask_once(rel, buf.data);
	return rows >= 0 ? Max(rows, 0.5) / SAMPLED_ROWS : -1;
}
