/*
 * bind.c
 *		Values from PostgreSQL to SQLite: parameters of statements.
 *
 * The form is the one types.c reads back, and that the column stores: see
 * VssStored.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "fdw/types.h"

static void
check_bind(VssStatement *statement, int rc)
{
	if (rc != SQLITE_OK)
		vssfdw_report(ERROR, rc, statement->conn->db, statement->conn->servername, statement->sql);
}

/* length in bytes, the server's encoding; SQLite takes a copy. */
static int
bind_text(VssStatement *statement, int i, const char *text, int length)
{
	char *utf8 = pg_server_to_any(text, length, PG_UTF8);

	if (utf8 != text)
		length = (int) strlen(utf8);
	return sqlite3_bind_text64(statement->stmt, i, utf8, length, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static int
bind_float(VssStatement *statement, int i, double value)
{
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_DATA_TYPE), errmsg("SQLite cannot store the number NaN"),
				 errhint("Use NULL, or store the column as text with the option column_type 'TEXT'.")));
	return sqlite3_bind_double(statement->stmt, i, value);
}

static int
bind_output(VssStatement *statement, int i, const VssColumn *column, Datum value)
{
	char *text = OutputFunctionCall((FmgrInfo *) &column->output, value);

	return bind_text(statement, i, text, (int) strlen(text));
}

void
vssfdw_bind(VssStatement *statement, int i, const VssColumn *column, Datum value, bool isnull)
{
	sqlite3_stmt *stmt = statement->stmt;
	int rc;

	if (isnull)
	{
		check_bind(statement, sqlite3_bind_null(stmt, i));
		return;
	}
	if (column->stored == VSS_STORED_TEXT && column->kind < VALUE_TEXT)
	{
		check_bind(statement, bind_output(statement, i, column, value));
		return;
	}

	switch ((ValueKind) column->kind)
	{
		case VALUE_BOOL:
			rc = sqlite3_bind_int(stmt, i, DatumGetBool(value));
			break;
		case VALUE_INT2:
			rc = sqlite3_bind_int(stmt, i, DatumGetInt16(value));
			break;
		case VALUE_INT4:
			rc = sqlite3_bind_int(stmt, i, DatumGetInt32(value));
			break;
		case VALUE_INT8:
			rc = sqlite3_bind_int64(stmt, i, DatumGetInt64(value));
			break;
		case VALUE_FLOAT4:
			rc = bind_float(statement, i, DatumGetFloat4(value));
			break;
		case VALUE_FLOAT8:
			rc = bind_float(statement, i, DatumGetFloat8(value));
			break;
		case VALUE_TEXT:
		{
			text *packed = DatumGetTextPP(value);

			rc = bind_text(statement, i, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
			break;
		}
		case VALUE_BYTEA:
		{
			bytea *packed = DatumGetByteaPP(value);

			rc = sqlite3_bind_blob64(stmt, i, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed),
									 SQLITE_TRANSIENT);
			break;
		}
		case VALUE_UUID:
			if (column->stored == VSS_STORED_BLOB)
				rc = sqlite3_bind_blob(stmt, i, DatumGetUUIDP(value)->data, UUID_LEN, SQLITE_TRANSIENT);
			else
				rc = bind_output(statement, i, column, value);
			break;
		case VALUE_VECTOR:
			if (column->stored == VSS_STORED_BLOB)
			{
				VssVector *vector = DatumGetVssVector(value);

				rc = sqlite3_bind_blob(stmt, i, vector->x, sizeof(float) * vector->dim, SQLITE_TRANSIENT);
			}
			else
				rc = bind_output(statement, i, column, value);
			break;
		default:
			rc = bind_output(statement, i, column, value);
			break;
	}
	check_bind(statement, rc);
}
