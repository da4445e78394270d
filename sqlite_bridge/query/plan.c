/*
 * plan.c
 *		xBestIndex: which conditions the module takes over, and at what cost.
 *
 * vss(q, k, ef, ...) and vss_knn(vec, k, ef, table) are planned alike.  What
 * SQLite does, as seen on 3.40, decides the rules:
 *
 *	- A plan in which a parameter is not known yet (it comes from a table further in)
 *	  must be refused, or the join silently finds nothing.
 *	- rowid = x with k is left to SQLite.  It derives such terms from a join
 *	  (k.rowid = d.id AND d.id = 5), and were they used, the k nearest would
 *	  depend on the plan.  rowid IN (list) means the k nearest within it.
 *	- LIMIT is offered even where other conditions or another order apply; it
 *	  bounds the search only if nothing is left for SQLite to filter or sort.
 *	  Neither LIMIT nor OFFSET is omitted: SQLite itself counts and skips.
 */
#include "sqlite_bridge/query/query.h"

#define COST_KNN 300.0
#define COST_STREAM 100.0 /* the reader stops when it has enough */
#define COST_AMONG 1000.0 /* an IN list */
#define COST_ROW 5000.0   /* one exact distance, but once per outer row */
#define COST_SCAN 1000000.0
#define ROWS_STREAM 25
#define ROWS_SCAN 1000000
#define PLAN_BITS 12

/* The constraint that feeds each PLAN_ bit, or -1. */
typedef struct Choice
{
	int constraint[PLAN_BITS];
	bool rest; /* something is left for SQLite to check */
} Choice;

static int
bit_number(int bit)
{
	int n = 0;

	while ((bit >>= 1) != 0)
		n++;
	return n;
}

/* Take constraint i for bit; a second one for the same bit is left over. */
static void
take(Choice *choice, int bit, int i)
{
	int n = bit_number(bit);

	if (choice->constraint[n] < 0)
		choice->constraint[n] = i;
	else
		choice->rest = true;
}

static bool
has(const Choice *choice, int bit)
{
	return choice->constraint[bit_number(bit)] >= 0;
}

static void
leave(Choice *choice, int bit)
{
	if (has(choice, bit))
	{
		choice->constraint[bit_number(bit)] = -1;
		choice->rest = true;
	}
}

/* The bit of a parameter's column, or 0. */
static int
parameter_bit(const BridgeColumns *columns, int column)
{
	if (column < 0)
		return 0;
	if (column == columns->query)
		return PLAN_QUERY;
	if (column == columns->k)
		return PLAN_K;
	if (column == columns->ef)
		return PLAN_EF;
	if (column == columns->table)
		return PLAN_TABLE;
	if (column == columns->strategy)
		return PLAN_STRATEGY;
	if (column == columns->stats)
		return PLAN_STATS;
	return 0;
}

/* SQLITE_CONSTRAINT: this plan lacks a parameter. */
static int
choose(const BridgeColumns *columns, sqlite3_index_info *info, Choice *choice)
{
	for (int i = 0; i < PLAN_BITS; i++)
		choice->constraint[i] = -1;
	choice->rest = false;

	for (int i = 0; i < info->nConstraint; i++)
	{
		int column = info->aConstraint[i].iColumn;
		int op = info->aConstraint[i].op;
		bool usable = info->aConstraint[i].usable;

		if (op == SQLITE_INDEX_CONSTRAINT_LIMIT || op == SQLITE_INDEX_CONSTRAINT_OFFSET)
		{
			if (usable)
				take(choice, op == SQLITE_INDEX_CONSTRAINT_LIMIT ? PLAN_LIMIT : PLAN_OFFSET, i);
			else
				choice->rest = true;
		}
		else if (op == SQLITE_INDEX_CONSTRAINT_EQ && parameter_bit(columns, column) != 0)
		{
			if (!usable)
				return SQLITE_CONSTRAINT;
			take(choice, parameter_bit(columns, column), i);
		}
		else if (usable && column < 0 && op == SQLITE_INDEX_CONSTRAINT_EQ)
			take(choice, sqlite3_vtab_in(info, i, -1) ? PLAN_ROWID_IN : PLAN_ROWID, i);
		else if (usable && column == columns->distance && op == SQLITE_INDEX_CONSTRAINT_LT)
			take(choice, PLAN_BELOW, i);
		else if (usable && column == columns->distance && op == SQLITE_INDEX_CONSTRAINT_LE)
			take(choice, PLAN_UPTO, i);
		else
			choice->rest = true;
	}
	return SQLITE_OK;
}

/* k or LIMIT where it is a number known while planning, else the default. */
static double
expected_rows(sqlite3_index_info *info, const Choice *choice)
{
	double rows = ROWS_STREAM;

	if (has(choice, PLAN_K))
	{
		sqlite3_value *value = NULL;
		int64_t k;

		rows = 10;
		if (sqlite3_vtab_rhs_value(info, choice->constraint[bit_number(PLAN_K)], &value) == SQLITE_OK &&
			bridge_whole_number(value, &k) && k > 0)
			rows = (double) k;
	}
	return rows;
}

static void
hand_out(sqlite3_index_info *info, const Choice *choice)
{
	int argument = 0;

	info->idxNum = 0;
	for (int bit = 0; bit < PLAN_BITS; bit++)
	{
		int i = choice->constraint[bit];

		if (i < 0)
			continue;
		info->aConstraintUsage[i].argvIndex = ++argument;
		info->aConstraintUsage[i].omit = (1 << bit) != PLAN_LIMIT && (1 << bit) != PLAN_OFFSET;
		info->idxNum |= 1 << bit;
	}
}

/* No query vector: the rows of the truth by rowid. */
static int
plan_scan(sqlite3_index_info *info, Choice *choice)
{
	/* "k = 5" alone means nothing, but must not be ignored either. */
	for (int bit = 0; bit < PLAN_BITS; bit++)
		if ((1 << bit) != PLAN_ROWID && (1 << bit) != PLAN_ROWID_IN)
			leave(choice, 1 << bit);
	if (has(choice, PLAN_ROWID))
		leave(choice, PLAN_ROWID_IN);
	else if (has(choice, PLAN_ROWID_IN))
	{
		/* Without sqlite3_vtab_in(), xFilter is called for each value. */
		choice->constraint[bit_number(PLAN_ROWID)] = choice->constraint[bit_number(PLAN_ROWID_IN)];
		choice->constraint[bit_number(PLAN_ROWID_IN)] = -1;
	}
	hand_out(info, choice);
	if (has(choice, PLAN_ROWID))
	{
		info->estimatedCost = 10;
		info->estimatedRows = 1;
		info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
	}
	else
	{
		info->estimatedCost = COST_SCAN;
		info->estimatedRows = ROWS_SCAN;
		info->orderByConsumed =
			info->nOrderBy == 1 && info->aOrderBy[0].iColumn < 0 && !info->aOrderBy[0].desc;
	}
	return SQLITE_OK;
}

int
bridge_plan(const BridgeColumns *columns, sqlite3_index_info *info)
{
	Choice choice;
	int rc = choose(columns, info, &choice);

	if (rc != SQLITE_OK)
		return rc;
	if (!has(&choice, PLAN_QUERY))
		return columns->table >= 0 ? SQLITE_CONSTRAINT : plan_scan(info, &choice);

	if (has(&choice, PLAN_K))
		leave(&choice, PLAN_ROWID);
	if (has(&choice, PLAN_ROWID))
		leave(&choice, PLAN_ROWID_IN);
	if (has(&choice, PLAN_ROWID_IN))
		sqlite3_vtab_in(info, choice.constraint[bit_number(PLAN_ROWID_IN)], 1);
	if (has(&choice, PLAN_BELOW))
		leave(&choice, PLAN_UPTO);

	info->orderByConsumed =
		info->nOrderBy == 1 && info->aOrderBy[0].iColumn == columns->distance && !info->aOrderBy[0].desc;
	if (choice.rest || (info->nOrderBy > 0 && !info->orderByConsumed))
	{
		leave(&choice, PLAN_LIMIT);
		leave(&choice, PLAN_OFFSET);
	}
	hand_out(info, &choice);

	if (has(&choice, PLAN_ROWID))
	{
		info->estimatedCost = COST_ROW;
		info->estimatedRows = 1;
	}
	else
	{
		info->estimatedCost = has(&choice, PLAN_ROWID_IN) ? COST_AMONG
							  : has(&choice, PLAN_K)      ? COST_KNN
														  : COST_STREAM;
		info->estimatedRows = (sqlite3_int64) expected_rows(info, &choice);
	}
	return SQLITE_OK;
}

sqlite3_value *
bridge_plan_value(int plan, int bit, sqlite3_value **argv)
{
	int argument = 0;

	if ((plan & bit) == 0)
		return NULL;
	for (int lower = 1; lower < bit; lower <<= 1)
		argument += (plan & lower) != 0;
	return argv[argument];
}
