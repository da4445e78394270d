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
 *	  depend on the plan.  rowid IN (list) means the k nearest within it, and
 *	  comparisons of rowid and distance with a constant restrict the search as well.
 *	  But not comparisons with another table's column, for the same reason: that is
 *	  seen when the value comes, which SQLite knows to be bound or not.  So SQLite
 *	  tests all of them once more.
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

/* The constraint that feeds each argument, or -1. */
typedef struct Choice
{
	int constraint[ARG_COUNT];
	bool rest; /* something is left for SQLite to check */
} Choice;

/* Take constraint i for an argument; a second one for the same is left over. */
static void
take(Choice *choice, BridgeArgument argument, int i)
{
	if (choice->constraint[argument] < 0)
		choice->constraint[argument] = i;
	else
		choice->rest = true;
}

static bool
has(const Choice *choice, BridgeArgument argument)
{
	return choice->constraint[argument] >= 0;
}

static void
leave(Choice *choice, BridgeArgument argument)
{
	if (has(choice, argument))
	{
		choice->constraint[argument] = -1;
		choice->rest = true;
	}
}

/* The argument that a column stands for; ARG_COUNT: none. */
static BridgeArgument
column_argument(const BridgeColumns *columns, int column)
{
	if (column < 0)
		return ARG_COUNT;
	if (column == columns->query)
		return ARG_QUERY;
	if (column == columns->k)
		return ARG_K;
	if (column == columns->ef)
		return ARG_EF;
	if (column == columns->table)
		return ARG_TABLE;
	if (column == columns->strategy)
		return ARG_STRATEGY;
	if (column == columns->stats)
		return ARG_STATS;
	return ARG_COUNT;
}

/* The argument that compares the rowid so, or the distance; ARG_COUNT: none. */
static BridgeArgument
comparison_argument(bool rowid, int op)
{
	switch (op)
	{
		case SQLITE_INDEX_CONSTRAINT_GT:
			return rowid ? ARG_ROWID_ABOVE : ARG_ABOVE;
		case SQLITE_INDEX_CONSTRAINT_GE:
			return rowid ? ARG_ROWID_FROM : ARG_FROM;
		case SQLITE_INDEX_CONSTRAINT_LT:
			return rowid ? ARG_ROWID_BELOW : ARG_BELOW;
		case SQLITE_INDEX_CONSTRAINT_LE:
			return rowid ? ARG_ROWID_UPTO : ARG_UPTO;
		default:
			return ARG_COUNT;
	}
}

/* A list of rowids, the first or the second. */
static void
take_list(Choice *choice, int i)
{
	take(choice, has(choice, ARG_ROWID_IN) ? ARG_ROWID_IN_TOO : ARG_ROWID_IN, i);
}

/* SQLITE_CONSTRAINT: this plan lacks a parameter. */
static int
choose(const BridgeColumns *columns, sqlite3_index_info *info, Choice *choice)
{
	for (int i = 0; i < ARG_COUNT; i++)
		choice->constraint[i] = -1;
	choice->rest = false;

	for (int i = 0; i < info->nConstraint; i++)
	{
		int column = info->aConstraint[i].iColumn;
		int op = info->aConstraint[i].op;
		bool usable = info->aConstraint[i].usable;
		BridgeArgument parameter = column_argument(columns, column);

		if (op == SQLITE_INDEX_CONSTRAINT_LIMIT || op == SQLITE_INDEX_CONSTRAINT_OFFSET)
		{
			if (usable)
				take(choice, op == SQLITE_INDEX_CONSTRAINT_LIMIT ? ARG_LIMIT : ARG_OFFSET, i);
			else
				choice->rest = true;
		}
		else if (op == SQLITE_INDEX_CONSTRAINT_EQ && parameter != ARG_COUNT)
		{
			if (!usable)
				return SQLITE_CONSTRAINT;
			take(choice, parameter, i);
		}
		else if (usable && column < 0 && op == SQLITE_INDEX_CONSTRAINT_EQ)
		{
			if (sqlite3_vtab_in(info, i, -1))
				take_list(choice, i);
			else
				take(choice, ARG_ROWID, i);
		}
		else if (usable && (column < 0 || column == columns->distance) &&
				 comparison_argument(column < 0, op) != ARG_COUNT)
			take(choice, comparison_argument(column < 0, op), i);
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

	if (has(choice, ARG_K))
	{
		sqlite3_value *value = NULL;
		int64_t k;

		rows = 10;
		if (sqlite3_vtab_rhs_value(info, choice->constraint[ARG_K], &value) == SQLITE_OK &&
			bridge_whole_number(value, &k) && k > 0)
			rows = (double) k;
	}
	return rows;
}

/* Arguments whose value may be another table's; the bit of idxNum that says it is not. */
#define LITERAL(argument) (1 << (ARG_COUNT + (argument) -ARG_ROWID_ABOVE))

static bool
may_vary(int argument)
{
	return argument >= ARG_ROWID_ABOVE && argument <= ARG_FROM;
}

static bool
is_literal(sqlite3_index_info *info, int constraint)
{
	sqlite3_value *value = NULL;

	return sqlite3_vtab_rhs_value(info, constraint, &value) == SQLITE_OK && value != NULL;
}

static void
hand_out(sqlite3_index_info *info, const Choice *choice)
{
	int given = 0;

	info->idxNum = 0;
	for (int argument = 0; argument < ARG_COUNT; argument++)
	{
		int i = choice->constraint[argument];

		if (i < 0)
			continue;
		info->aConstraintUsage[i].argvIndex = ++given;
		info->aConstraintUsage[i].omit =
			argument != ARG_LIMIT && argument != ARG_OFFSET && !may_vary(argument);
		info->idxNum |= 1 << argument;
		if (may_vary(argument) && is_literal(info, i))
			info->idxNum |= LITERAL(argument);
	}
}

/* No query vector: the rows of the truth by rowid. */
static int
plan_scan(sqlite3_index_info *info, Choice *choice)
{
	/* "k = 5" alone means nothing, but must not be ignored either. */
	for (int argument = 0; argument < ARG_COUNT; argument++)
		if (argument != ARG_ROWID && argument != ARG_ROWID_IN)
			leave(choice, argument);
	if (has(choice, ARG_ROWID))
		leave(choice, ARG_ROWID_IN);
	else if (has(choice, ARG_ROWID_IN))
	{
		/* Without sqlite3_vtab_in(), xFilter is called for each value. */
		choice->constraint[ARG_ROWID] = choice->constraint[ARG_ROWID_IN];
		choice->constraint[ARG_ROWID_IN] = -1;
	}
	hand_out(info, choice);
	if (has(choice, ARG_ROWID))
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
	if (!has(&choice, ARG_QUERY))
		return columns->table >= 0 ? SQLITE_CONSTRAINT : plan_scan(info, &choice);

	if (has(&choice, ARG_K))
		leave(&choice, ARG_ROWID);
	for (int argument = ARG_ROWID_IN; has(&choice, ARG_ROWID) && argument <= ARG_ROWID_IN_TOO; argument++)
		leave(&choice, argument);
	for (int argument = ARG_ROWID_IN; argument <= ARG_ROWID_IN_TOO; argument++)
		if (has(&choice, argument))
			sqlite3_vtab_in(info, choice.constraint[argument], 1);
	if (has(&choice, ARG_BELOW))
		leave(&choice, ARG_UPTO);
	if (has(&choice, ARG_ABOVE))
		leave(&choice, ARG_FROM);

	info->orderByConsumed =
		info->nOrderBy == 1 && info->aOrderBy[0].iColumn == columns->distance && !info->aOrderBy[0].desc;
	if (choice.rest || (info->nOrderBy > 0 && !info->orderByConsumed))
	{
		leave(&choice, ARG_LIMIT);
		leave(&choice, ARG_OFFSET);
	}
	hand_out(info, &choice);

	if (has(&choice, ARG_ROWID))
	{
		info->estimatedCost = COST_ROW;
		info->estimatedRows = 1;
	}
	else
	{
		info->estimatedCost = has(&choice, ARG_ROWID_IN) ? COST_AMONG
							  : has(&choice, ARG_K)      ? COST_KNN
														 : COST_STREAM;
		info->estimatedRows = (sqlite3_int64) expected_rows(info, &choice);
	}
	return SQLITE_OK;
}

BridgeArguments
bridge_plan_arguments(int plan, sqlite3_value **argv)
{
	BridgeArguments asked = {0};

	for (int argument = 0; argument < ARG_COUNT; argument++)
		if (plan & (1 << argument))
			asked.value[argument] = *argv++;
	for (int argument = 0; argument < ARG_COUNT; argument++)
	{
		if (!may_vary(argument) || asked.value[argument] == NULL || (plan & LITERAL(argument)) != 0 ||
			sqlite3_value_frombind(asked.value[argument]))
			continue;
		/* SQLite tests it, and rows may be left out */
		asked.value[argument] = NULL;
		asked.value[ARG_LIMIT] = NULL;
		asked.value[ARG_OFFSET] = NULL;
	}
	return asked;
}
