/*
 * column_class.c
 *		What a type or a column is to SQLite's comparisons.
 *
 * A column has a class (VssClass) when every value that PostgreSQL would accept
 * from it compares, with values of the same class, as PostgreSQL compares them.
 * Its type, its stored form and its affinity decide.  Two ways lead there:
 *
 * - The bare column does: a bigint column with INTEGER affinity cannot hold the
 *   text '5'.  A value that PostgreSQL would refuse (text in a bigint column)
 *   has no local counterpart: it is an error when it is fetched, and a
 *   condition in SQLite sees it as what it is, equal to no value of the class.
 *
 * - A reader does: a function of ours (readers.c) that turns whatever is stored
 *   into a value that compares, by the conversion that fetching takes, and fails
 *   where that fails.  A date may be stored as text in several spellings, as a
 *   Julian day or as Unix seconds; its reader gives the day's number.
 *
 * Indexes and keys of SQLite are of bare columns and know nothing of readers.
 */
#include "postgres.h"

#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#include "fdw/ship/ship.h"

/* B-tree families that PostgreSQL's headers give no symbol. */
#define DATETIME_BTREE_FAM 434
#define TIME_BTREE_FAM 1996
#define UUID_BTREE_FAM 2968
#define NUMERIC_BTREE_FAM 1988

VssClass
vssfdw_type_class(Oid type)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return VSS_CLASS_INTEGER;
		case FLOAT4OID:
		case FLOAT8OID:
			return VSS_CLASS_FLOAT;
		case BOOLOID:
			return VSS_CLASS_BOOLEAN;
		case TEXTOID:
		case VARCHAROID:
			return VSS_CLASS_TEXT;
		case BPCHAROID:
			return VSS_CLASS_BPCHAR;
		case BYTEAOID:
			return VSS_CLASS_BYTES;
		case DATEOID:
			return VSS_CLASS_DATE;
		case TIMESTAMPOID:
			return VSS_CLASS_TIMESTAMP;
		case TIMESTAMPTZOID:
			return VSS_CLASS_TIMESTAMPTZ;
		case TIMEOID:
			return VSS_CLASS_TIME;
		case NUMERICOID:
			return VSS_CLASS_NUMERIC;
		case UUIDOID:
			return VSS_CLASS_UUID;
		default:
			return VSS_CLASS_NONE;
	}
}

Oid
vssfdw_class_family(VssClass class)
{
	switch (class)
	{
		case VSS_CLASS_INTEGER:
			return INTEGER_BTREE_FAM_OID;
		case VSS_CLASS_FLOAT:
			return VSS_FLOAT_BTREE_FAM;
		case VSS_CLASS_BOOLEAN:
			return BOOL_BTREE_FAM_OID;
		case VSS_CLASS_TEXT:
			return TEXT_BTREE_FAM_OID;
		case VSS_CLASS_BPCHAR:
			return BPCHAR_BTREE_FAM_OID;
		case VSS_CLASS_BYTES:
			return BYTEA_BTREE_FAM_OID;
		case VSS_CLASS_DATE:
		case VSS_CLASS_TIMESTAMP:
		case VSS_CLASS_TIMESTAMPTZ:
			return DATETIME_BTREE_FAM;
		case VSS_CLASS_TIME:
			return TIME_BTREE_FAM;
		case VSS_CLASS_NUMERIC:
			return NUMERIC_BTREE_FAM;
		case VSS_CLASS_UUID:
			return UUID_BTREE_FAM;
		case VSS_CLASS_NONE:
			break;
	}
	return InvalidOid;
}

bool
vssfdw_class_is_text(VssClass class)
{
	return class == VSS_CLASS_TEXT || class == VSS_CLASS_BPCHAR;
}

/* The class of a bare column of this kind, or VSS_CLASS_NONE; sure: it holds values of its affinity alone. */
static VssClass
bare_class(const VssColumn *column, VssAffinity affinity, bool sure)
{
	VssStored stored = column->stored;

	switch (column->base)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case BOOLOID:
			/* types.c accepts numbers alone, but TEXT affinity would turn the other operand into text */
			if ((stored == VSS_STORED_NATURAL || stored == VSS_STORED_INTEGER) &&
				affinity != VSS_AFFINITY_TEXT)
				return column->base == BOOLOID ? VSS_CLASS_BOOLEAN : VSS_CLASS_INTEGER;
			break;
		case FLOAT8OID:
			/*
			 * Only REAL affinity turns integers into doubles; elsewhere 2^53+1
			 * would compare exactly in SQLite and rounded in PostgreSQL.
			 */
			if ((stored == VSS_STORED_NATURAL || stored == VSS_STORED_REAL) &&
				affinity == VSS_AFFINITY_REAL && sure)
				return VSS_CLASS_FLOAT;
			break;
		case VARCHAROID:
		case TEXTOID:
			/* TEXT affinity leaves no number that PostgreSQL would see as text; varchar(n) drops blanks */
			if ((stored == VSS_STORED_NATURAL || stored == VSS_STORED_TEXT) &&
				affinity == VSS_AFFINITY_TEXT && sure && (column->base == TEXTOID || column->base_typmod < 0))
				return VSS_CLASS_TEXT;
			break;
		case BYTEAOID:
			if (stored == VSS_STORED_NATURAL && affinity != VSS_AFFINITY_TEXT)
				return VSS_CLASS_BYTES;
			break;
	}
	return VSS_CLASS_NONE;
}

/* ", n", or nothing where n is not given. */
static const char *
argument(int n)
{
	return n >= 0 ? psprintf(", %d", n) : "";
}

/* The arguments of a reader of times: precision and unit, where there are any. */
static const char *
time_arguments(int precision, VssTimeUnit unit)
{
	return unit == VSS_TIME_ANY ? argument(precision) : psprintf(", %d, %d", precision, (int) unit);
}

/* The precision and scale of numeric(p, s), as arguments. */
static const char *
numeric_arguments(int32 typmod)
{
	return typmod >= (int32) VARHDRSZ
			   ? psprintf(", %d, %d", vssfdw_numeric_precision(typmod), vssfdw_numeric_scale(typmod))
			   : "";
}

/* The reader of a column that has no class when it stands bare; false without. */
static bool
set_reader(VssPlanColumn *out, const VssColumn *column)
{
	int32 typmod = column->base_typmod;
	int length = -1;

	out->reader_args = "";
	switch (column->base)
	{
		case FLOAT4OID:
		case FLOAT8OID:
			if (column->stored == VSS_STORED_TEXT)
				return false;
			out->reader = column->base == FLOAT4OID ? "vss_float4" : "vss_float8";
			return true;
		case NUMERICOID:
			out->reader = "vss_numeric";
			out->reader_args = numeric_arguments(typmod);
			return true;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			if (typmod >= (int32) VARHDRSZ)
				length = typmod - (int32) VARHDRSZ;
			out->reader = column->base == BPCHAROID ? "vss_char" : length < 0 ? "vss_text" : "vss_varchar";
			out->reader_args = argument(length);
			/* the reader counts characters of UTF-8 */
			return length < 0 || GetDatabaseEncoding() == PG_UTF8;
		case DATEOID:
			out->reader = "vss_date";
			out->reader_args = time_arguments(-1, column->unit);
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			out->reader = "vss_timestamp";
			out->reader_args = time_arguments(typmod < MAX_TIMESTAMP_PRECISION ? typmod : -1, column->unit);
			return true;
		case TIMEOID:
			out->reader = "vss_time";
			out->reader_args = time_arguments(typmod < MAX_TIME_PRECISION ? typmod : -1, column->unit);
			return true;
		case UUIDOID:
			out->reader = "vss_uuid";
			return true;
		default:
			return false;
	}
}

/* As PostgreSQL keeps them in the type's modifier. */
int
vssfdw_numeric_precision(int32 typmod)
{
	return ((typmod - VARHDRSZ) >> 16) & 0xffff;
}

int
vssfdw_numeric_scale(int32 typmod)
{
	return (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
}

void
vssfdw_classify(VssPlanColumn *out, const VssColumn *column, const VssColumnInfo *info, bool keeps_affinity)
{
	VssAffinity affinity = info != NULL ? info->affinity : VSS_AFFINITY_BLOB;

	out->reader = NULL;
	out->as_blob = column->stored == VSS_STORED_BLOB;
	/* a column of numeric affinity keeps a number in one form, as INTEGER if it can be */
	out->one_form = column->base != NUMERICOID || column->base_typmod >= (int32) VARHDRSZ ||
					(keeps_affinity && affinity != VSS_AFFINITY_TEXT && affinity != VSS_AFFINITY_BLOB);
	out->unit = column->unit;
	out->rounds = affinity == VSS_AFFINITY_REAL;
	out->text_only = keeps_affinity && affinity == VSS_AFFINITY_TEXT;
	out->class = bare_class(column, affinity, keeps_affinity);
	if (out->class == VSS_CLASS_NONE && set_reader(out, column))
		out->class = vssfdw_type_class(column->base);
	else
		out->reader = NULL;
	if (column->null_value == NULL)
		return;
	out->null_value = vssfdw_from_utf8(column->null_value);
	/* "" is the reader that gives what it is given: the bare column has values that stand for NULL */
	if (out->reader == NULL)
	{
		out->reader = "";
		out->reader_args = "";
	}
}
