/*
 * stored_form.c
 *		Which form the vectors of a column have: JSON text, or a BLOB.
 *
 * Its owner writes one of them, and reads what is there with functions for that
 * one.  The declaration decides where it binds SQLite, else most of a sample of
 * the values: one odd row does not decide for the others.
 */
#include "postgres.h"

#include "fdw/remote/remote.h"

/* Values looked at. */
#define SAMPLE_VALUES 200

/* Form of most values; VSS_STORED_NATURAL where there are none, or as many of either. */
static VssStored
sampled_form(VssConnection *conn, const VssTableInfo *info, const char *column)
{
	const char *name = vssfdw_quote_identifier(column);
	VssStatement *statement = vssfdw_prepare(
		conn,
		psprintf("SELECT sum(form = 'blob') - sum(form = 'text') FROM (SELECT typeof(%s) AS form FROM "
				 "\"main\".%s WHERE %s IS NOT NULL LIMIT %d)",
				 name, vssfdw_quote_identifier(info->name), name, SAMPLE_VALUES),
		CurrentMemoryContext);
	int more = vssfdw_step(statement) ? sqlite3_column_int(statement->stmt, 0) : 0;

	vssfdw_done(statement);
	return more > 0 ? VSS_STORED_BLOB : more < 0 ? VSS_STORED_TEXT : VSS_STORED_NATURAL;
}

VssStored
vssfdw_vector_form(VssConnection *conn, const VssTableInfo *info, const VssColumnInfo *column)
{
	/* the catalogue's entry, which is kept as long as the schema */
	VssColumnInfo *kept = (VssColumnInfo *) column;

	if (column->affinity == VSS_AFFINITY_TEXT)
		return VSS_STORED_TEXT;
	if (kept->vector_form == VSS_STORED_NATURAL)
		kept->vector_form = sampled_form(conn, info, column->name);
	if (kept->vector_form != VSS_STORED_NATURAL)
		return kept->vector_form;
	return strcasestr(column->declared, "blob") != NULL ? VSS_STORED_BLOB : VSS_STORED_TEXT;
}
