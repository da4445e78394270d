/*
 * values.h
 *		Values between SQLite and PostgreSQL, the type vss_vector, and what a
 *		foreign table's definition says of its columns.
 */
#ifndef VSS_VALUES_H
#define VSS_VALUES_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

#include "fdw/remote/remote.h"

/* ---------- types.c ---------- */

/* What is needed to convert one column; built once a scan. */
typedef struct VssColumn
{
	char *name; /* in SQLite */
	AttrNumber attnum;
	Oid type;
	int32 typmod;
	VssStored stored;
	VssTimeUnit unit; /* of a time's numbers */
	char *form;       /* of a time's or a boolean's text, or NULL */
	char *null_value; /* what is stored for NULL, in UTF-8; or NULL */
	FmgrInfo input;
	Oid ioparam;
	FmgrInfo output;

	/* private to types.c and bind.c */
	Oid base; /* type, or what the domain is over */
	int32 base_typmod;
	Oid relid;      /* of the foreign table, InvalidOid for an expression */
	Oid element;    /* of an array type, else InvalidOid */
	int kind;       /* ValueKind: which conversion */
	bool is_stored; /* values are bound to be stored in a column of this affinity: */
	VssAffinity affinity;
	void **domain_cache; /* domain_check()'s, or NULL without a domain */
	bool hidden;         /* the user may not read the column: errors do not show its values */
} VssColumn;

/*
 * Whether no column of SQLite stands behind an attribute: a dropped one, or one
 * that PostgreSQL computes whenever it is read.
 */
static inline bool
vssfdw_is_absent(Form_pg_attribute attribute)
{
	return attribute->attisdropped || attribute->attgenerated == VSS_GENERATED_VIRTUAL;
}

/* The same for a value that is no table column (an expression of a known type). */
void vssfdw_column_init_type(VssColumn *column, Oid type, int32 typmod);

/*
 * The value in result column i of the current row.  A value that does not fit
 * is an error naming server, table, column, rowid where known, the value's
 * SQLite type and a hint.
 */
Datum vssfdw_column_datum(const VssColumn *column, VssStatement *statement, int i, const char *tablename,
						  bool *isnull);

/* Whether it is vss_vector or pgvector's vector (types.c). */
bool vssfdw_is_vector(Oid type);

/* ---------- bind.c ---------- */

/* A value as it is bound; bytes of TEXT are UTF-8.  Not copied: they live as long as the value does. */
typedef struct VssBound
{
	int form; /* SQLITE_INTEGER, ... */
	int64 integer;
	double real;
	const char *bytes; /* TEXT, BLOB */
	size_t length;
} VssBound;

/*
 * Bind a PostgreSQL value to parameter i (1-based) in the form the column
 * stores.  Nothing is copied: the value and the current memory context must
 * live until the statement has been stepped.  Where column->is_stored, a value
 * that would not come back the same is an error.
 */
void vssfdw_bind(VssStatement *statement, int i, const VssColumn *column, Datum value, bool isnull);

/* Whether what is stored so is the column's null_value. */
bool vssfdw_stands_for_null(const VssColumn *column, const VssBound *stored);

/* ---------- affinity.c ---------- */

/* Whether text that looks like a number becomes one. */
bool vssfdw_makes_numbers(VssAffinity affinity);

/* An error unless the value (isnull: NULL), bound so, is the same when the column is read again. */
void vssfdw_check_kept(VssStatement *statement, const VssColumn *column, Datum value, bool isnull,
					   const VssBound *bound);

/* ---------- arrays.c ---------- */

/* False for text that is JSON but no array of the column's kind; not JSON at all is an error. */
bool vssfdw_array_from_json(const VssColumn *column, const char *text, Datum *result);
char *vssfdw_array_to_json(Datum array);

/* ---------- table_cache.c: what DDL says of a foreign table, kept ---------- */

/* The server's values being the defaults.  Valid until the transaction ends. */
const VssTableOptions *vssfdw_table_options(Oid foreigntableid);

/* How the column is converted.  Its name is valid until the transaction ends. */
void vssfdw_column_init(VssColumn *column, Relation rel, AttrNumber attnum);

/* ---------- rowid.c: a row's address as PostgreSQL carries it ---------- */

/*
 * SQLite's rowids have 64 bits, the ctid that the executor carries for every
 * row has 48.  The usual rowids fit; for the others a table of the
 * connection's, kept until the transaction ends, gives a number that does.
 */
void vssfdw_rowid_to_tid(VssConnection *conn, int64 rowid, ItemPointer tid);
int64 vssfdw_tid_to_rowid(VssConnection *conn, ItemPointer tid);

/* ---------- index_lookup.c: from what a user names to the hnsw index meant ---------- */

/* An hnsw index reached through a foreign table. */
typedef struct VssTarget
{
	Oid relid; /* the foreign table it was named by */
	Oid serverid;
	char *index; /* its name in SQLite */
} VssTarget;

/* Names of indexes (VssIndexInfo) as "a", "b", "c". */
char *vssfdw_list_indexes(List *indexes);

/*
 * The index behind a foreign table: the table itself where it is an imported
 * hnsw table, else the one index that the table feeds.  Errors say which
 * there are.  The caller has locked the relation and checked privileges.
 */
VssTarget *vssfdw_relation_target(Oid relid);

/*
 * The foreign table of ours that a name means, as regclass reads names.  Locks
 * it for the transaction; demands SELECT on it; refuses where row-level
 * security applies to the user.
 */
Oid vssfdw_named_table(text *name);

/*
 * The only index that the user can name without a schema and may read.
 * Imported index tables count first; where there are none, the tables that
 * feed an index.  None, or several, are errors; several are listed.
 */
VssTarget *vssfdw_only_target(void);

/*
 * For work that SQLite must do outside of any transaction, in the name of
 * function: the connection of the foreign table's server, idle.  An error
 * where the transaction uses the server already, and where relid is no foreign
 * table of ours.
 */
VssConnection *vssfdw_idle_connection(Oid relid, const char *function);

/* ---------- vector.c: the type vss_vector ---------- */

/* Binary-compatible with pgvector's vector. */
typedef struct VssVector
{
	int32 vl_len_;
	int16 dim;
	int16 unused; /* zero */
	float x[FLEXIBLE_ARRAY_MEMBER];
} VssVector;

#define VSS_VECTOR_SIZE(dim) (offsetof(VssVector, x) + sizeof(float) * (dim))
#define DatumGetVssVector(d) ((VssVector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VSSVECTOR_P(n) DatumGetVssVector(PG_GETARG_DATUM(n))

VssVector *vssfdw_vector_make(int dim);

/* Raise an error unless 1 <= dim <= BRIDGE_MAX_DIM. */
void vssfdw_vector_check_dim(int64 dim);

/* Raise an error that names both numbers unless they are equal. */
void vssfdw_vector_check_same_dim(const VssVector *a, const VssVector *b);

/* Raise an error unless the column's declared size (typmod, -1 is any) is dim. */
void vssfdw_vector_check_typmod(int dim, int32 typmod);

/* Raise an error for NaN and infinity; position is that in the vector, from 1. */
void vssfdw_vector_check_element(float x, int position);

/* Raise an error for infinity that a computation gave; position likewise. */
void vssfdw_vector_check_range(float x, int position);

/* ---------- vector_ops.c ---------- */

/* Element by element, then by length; the order of the btree operator class. */
int vssfdw_vector_compare(const VssVector *a, const VssVector *b);

#endif /* VSS_VALUES_H */
