/*
 * compat.h
 *		What differs between the server's versions, and how a function is told
 *		to SQL.  The ground of fdw/: every room's header includes it.
 *
 * Most are macros, which need their headers only where they are used.
 */
#ifndef VSS_COMPAT_H
#define VSS_COMPAT_H

#include "postgres.h"

#include "fmgr.h"
#if PG_VERSION_NUM >= 160000
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "nodes/miscnodes.h"
#include "varatt.h"
#endif

/*
 * Declare a function that SQL calls.  Symbols are hidden unless exported, and
 * before PostgreSQL 16 PG_FUNCTION_INFO_V1 exports the record but not the
 * function itself.
 */
#define VSS_SQL_FUNCTION(name)                                                                               \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS);                                                         \
	PG_FUNCTION_INFO_V1(name)

/* ---------- 16 ---------- */

#if PG_VERSION_NUM >= 160000

/* Where an input function leaves an error instead of raising it. */
#define VSS_SOFT_CONTEXT(fcinfo) ((fcinfo)->context)

#define VSS_OWNS_TABLE(relid, userid) object_ownercheck(RelationRelationId, relid, userid)
#define VSS_OWNS_SERVER(serverid, userid) object_ownercheck(ForeignServerRelationId, serverid, userid)
#define VSS_SERVER_USAGE(serverid, userid)                                                                   \
	object_aclcheck(ForeignServerRelationId, serverid, userid, ACL_USAGE)

#define VSS_ROUND_TIMESTAMP(timestamp, typmod) AdjustTimestampForTypmod(timestamp, typmod, NULL)

/* Whether COPY hands over many rows at once. */
#define VSS_COPY_COLLECTS true

#define VSS_ALL_RELS(root) ((root)->all_query_rels)
#define VSS_OUTER_JOINS(root) ((root)->outer_join_rels)
#define VSS_DISTINCT_CLAUSE(root) ((root)->processed_distinctClause)
/* What make_foreignscan leaves to its caller of a scan in place of join. */
#define VSS_SET_SCAN_RELS(scan, root, join)                                                                  \
	((scan)->checkAsUser = (join)->userid,                                                                   \
	 (scan)->fs_base_relids = bms_difference((join)->relids, (root)->outer_join_rels))

#else

#define VSS_SOFT_CONTEXT(fcinfo) NULL
#define ereturn(context, value, ...)                                                                         \
	do                                                                                                       \
	{                                                                                                        \
		(void) (context);                                                                                    \
		ereport(ERROR, __VA_ARGS__);                                                                         \
	} while (0)

#define VSS_OWNS_TABLE(relid, userid) pg_class_ownercheck(relid, userid)
#define VSS_OWNS_SERVER(serverid, userid) pg_foreign_server_ownercheck(serverid, userid)
#define VSS_SERVER_USAGE(serverid, userid) pg_foreign_server_aclcheck(serverid, userid, ACL_USAGE)

#define VSS_ROUND_TIMESTAMP(timestamp, typmod) AdjustTimestampForTypmod(timestamp, typmod)

#define VSS_COPY_COLLECTS false

#define VSS_ALL_RELS(root) ((root)->all_baserels)
#define VSS_OUTER_JOINS(root) NULL
#define VSS_DISTINCT_CLAUSE(root) ((root)->parse->distinctClause)
#define VSS_SET_SCAN_RELS(scan, root, join) ((void) 0)

#endif

/* ---------- 17 ---------- */

#if PG_VERSION_NUM >= 170000

#define VSS_MY_LXID (MyProc->vxid.lxid)
#define VSS_TRANSACTION_TIMEOUT TransactionTimeoutPending
/* An argument of the functions that make a foreign path; its comma is in it. */
#define VSS_RESTRICTINFO(clauses) (clauses),

#else

#define VSS_MY_LXID (MyProc->lxid)
#define VSS_TRANSACTION_TIMEOUT false
#define VSS_RESTRICTINFO(clauses)

#endif

/* ---------- 18 ---------- */

#if PG_VERSION_NUM >= 180000

#define VSS_EXPLAIN_FORMAT_H "commands/explain_format.h"
#define VSS_EXPLAIN_STATE_H "commands/explain_state.h"

#define VSS_GENERATED_VIRTUAL ATTRIBUTE_GENERATED_VIRTUAL
#define VSS_CTYPE_IS_C(collation) (pg_newlocale_from_collation(collation)->ctype_is_c)
#define VSS_COLLATE_IS_C(collation) (pg_newlocale_from_collation(collation)->collate_is_c)

/* Likewise, and of cost_sort(). */
#define VSS_DISABLED_NODES(count) (count),
#define VSS_PATHKEY_DESCENDS(pathkey) ((pathkey)->pk_cmptype == COMPARE_GT)

/* For each member of an equivalence class, those of child relations in relids included. */
#define VSS_FOREACH_MEMBER(member, ec, relids)                                                               \
	for (EquivalenceMemberIterator vss_iterator,                                                             \
		 *vss_members = (setup_eclass_member_iterator(&vss_iterator, ec, relids), &vss_iterator);            \
		 ((member) = eclass_member_iterator_next(vss_members)) != NULL;)

#else

#define VSS_EXPLAIN_FORMAT_H "commands/explain.h"
#define VSS_EXPLAIN_STATE_H "commands/explain.h"

/* The word must come first in a declaration. */
#define pg_noreturn pg_attribute_noreturn()

#define VSS_GENERATED_VIRTUAL 'v' /* no column is */
#define VSS_CTYPE_IS_C(collation) lc_ctype_is_c(collation)
#define VSS_COLLATE_IS_C(collation) lc_collate_is_c(collation)

/* Its name before reverse(bytea) was added. */
#define F_REVERSE_TEXT F_REVERSE

#define VSS_DISABLED_NODES(count)
#define VSS_PATHKEY_DESCENDS(pathkey) ((pathkey)->pk_strategy == BTGreaterStrategyNumber)

#define VSS_FOREACH_MEMBER(member, ec, relids)                                                               \
	for (int vss_next = 0; vss_next < list_length((ec)->ec_members) &&                                       \
						   ((member) = list_nth((ec)->ec_members, vss_next), true);                          \
		 vss_next++)

#endif

/* ---------- 19 ---------- */

/*
 * Casts between times that do not raise: *overflow becomes -1 or 1 where the
 * result is less or more than its type holds.  From 19 on they take an error
 * context, which does not tell the side: it is that of the value, counted from
 * the year 2000.
 */
#if PG_VERSION_NUM >= 190000

#define VSS_CAST_TIME(cast, value, overflow)                                                                 \
	({                                                                                                       \
		ErrorSaveContext vss_errors = {T_ErrorSaveContext};                                                  \
		int64 vss_result = cast##_safe(value, (Node *) &vss_errors);                                         \
		*(overflow) = !vss_errors.error_occurred ? 0 : (value) < 0 ? -1 : 1;                                 \
		vss_result;                                                                                          \
	})

/* The last argument of ExecAllocTableSlot(); its comma is in it. */
#define VSS_SLOT_FLAGS(flags) , (flags)

/* Of what GetNamedDSMSegment() calls, and its own last argument. */
#define VSS_SEGMENT_INIT_PARAMETERS void *memory, void *arg
#define VSS_SEGMENT_INIT_ARGUMENT , NULL

/* Of a planner hook. */
#define VSS_PLANNER_PARAMETERS                                                                               \
	Query *parse, const char *query_string, int options, ParamListInfo params, struct ExplainState *es
#define VSS_PLANNER_ARGUMENTS parse, query_string, options, params, es

/* The state of DO UPDATE.  From 19 on it is that of DO SELECT, too. */
#define VSS_CONFLICT_STATE OnConflictActionState
#define VSS_CONFLICT_SELECTS(action) ((action) == ONCONFLICT_SELECT)

#else

#define VSS_CAST_TIME(cast, value, overflow) cast##_opt_overflow(value, overflow)
#define VSS_SLOT_FLAGS(flags)

#define VSS_SEGMENT_INIT_PARAMETERS void *memory
#define VSS_SEGMENT_INIT_ARGUMENT

#define VSS_PLANNER_PARAMETERS Query *parse, const char *query_string, int options, ParamListInfo params
#define VSS_PLANNER_ARGUMENTS parse, query_string, options, params

#define VSS_CONFLICT_STATE OnConflictSetState
#define VSS_CONFLICT_SELECTS(action) false

#endif

#endif /* VSS_COMPAT_H */
