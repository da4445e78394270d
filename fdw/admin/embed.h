/*
 * embed.h
 *		What the embedding functions share: vss_embed (embed.c) and
 *		vss_embed_table (embed_table.c).
 */
#ifndef VSS_FDW_EMBED_H
#define VSS_FDW_EMBED_H

#include "fdw/fdw.h"

#include "catalog/pg_foreign_server.h"
#include "utils/acl.h"

/* The server of this name, or the only usable one for NULL; checks USAGE. */
ForeignServer *vssfdw_embed_server(const char *name);

/* The server's embed_* options and the current user's key; strings live as long as server. */
void vssfdw_embed_options(ForeignServer *server, BridgeEmbedOptions *options);

/*
 * Ask for count texts (UTF-8).  out gets palloc'd vectors.  False, with error
 * filled, when that failed; ERROR only when memory is short.
 */
bool vssfdw_embed_texts(const BridgeEmbedOptions *options, int count, const char *const *texts,
						const size_t *lengths, VssVector **out, BridgeEmbedError *error);

int vssfdw_embed_sqlstate(const BridgeEmbedError *error);
pg_noreturn void vssfdw_embed_report(const BridgeEmbedError *error);

static inline AclResult
vssfdw_server_aclcheck(Oid serverid, Oid userid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, serverid, userid, ACL_USAGE);
#else
	return pg_foreign_server_aclcheck(serverid, userid, ACL_USAGE);
#endif
}

#endif /* VSS_FDW_EMBED_H */
