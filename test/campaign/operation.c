/*
 * operation.c
 *		The operations that are killed and made to fail at each of their calls, and
 *		the database each begins with.
 */
#include "campaign.h"

#define ROWS 120

const Operation operations[] = {
	{"write", true, true, false, STEP_DML, false},
	{"first_merge", false, false, false, STEP_SAVE, false},
	{"merge", true, true, false, STEP_SAVE, false},
	{"merge_again", true, true, false, STEP_SAVE, true},
	{"rebuild", true, true, false, STEP_REBUILD, false},
	{"drop", true, true, false, STEP_DROP, false},
	{"rename", true, true, false, STEP_RENAME, false},
	{"create", true, true, true, STEP_CREATE, false},
	{"read", true, true, false, STEP_READ, false},
};

const int operation_count = sizeof(operations) / sizeof(operations[0]);

bool
operation_prepare(sqlite3 *db, const Operation *o, bool wal, Model *m, Report *r)
{
	Step step;
	int rc = SQLITE_OK;

	if (!set_up(db, wal, campaign_seed, ROWS, o->saved, m, r))
		return false;
	for (int i = 0; rc == SQLITE_OK && o->changed && i < 1 + o->twice; i++)
	{
		if (i > 0)
			rc = step_run(db, &(Step){.kind = STEP_SAVE}, m);
		step_make(&step, STEP_DML, m->number + 1, campaign_seed);
		if (rc == SQLITE_OK)
			rc = step_run(db, &step, m);
		model_apply(m, &step);
	}
	if (rc == SQLITE_OK && o->dropped)
	{
		step_make(&step, STEP_DROP, m->number + 1, campaign_seed);
		rc = step_run(db, &step, m);
		model_apply(m, &step);
	}
	return rc == SQLITE_OK ? true : report(r, "preparing: %s", sqlite3_errmsg(db));
}
