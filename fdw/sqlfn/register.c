/*
 * register.c
 *		All SQL functions of the wrapper's, registered with a connection.
 *
 * Each file has a table of its own; this is the list of the tables.
 */
#include "fdw/sqlfn/sqlfn.h"

static const VssSqlFunction *const tables[] = {
	vssfdw_readers,           vssfdw_null_functions,       vssfdw_text_functions,  vssfdw_value_functions,
	vssfdw_assign_functions,  vssfdw_try_functions,        vssfdw_bound_functions, vssfdw_sum_functions,
	vssfdw_decimal_functions, vssfdw_decimal_sums,         vssfdw_time_functions,  vssfdw_extract_functions,
	vssfdw_date_functions,    vssfdw_geopackage_functions,
};

int
vssfdw_register_functions(sqlite3 *db)
{
	for (int i = 0; i < lengthof(tables); i++)
	{
		for (const VssSqlFunction *f = tables[i]; f->name != NULL; f++)
		{
			int flags =
				SQLITE_UTF8 | SQLITE_DETERMINISTIC | (f->direct_only ? SQLITE_DIRECTONLY : SQLITE_INNOCUOUS);
			int rc = sqlite3_create_function_v2(db, f->name, f->nargs, flags, (void *) f->data, f->function,
												f->step, f->final, NULL);

			if (rc != SQLITE_OK)
				return rc;
		}
	}
	return SQLITE_OK;
}
