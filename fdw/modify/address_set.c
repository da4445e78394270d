/*
 * address_set.c
 *		Which rows an UPDATE has changed already.
 *
 * A join may meet a row more than once.  PostgreSQL changes it for the first
 * match and passes over the others, which a table of its own tells by the
 * row's version; rows of SQLite have none, so that they are remembered here.
 *
 * An address is any bytes: of a rowid, or the text of a primary key.
 */
#include "fdw/modify/modify.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

typedef struct AddressEntry
{
	bytea *key; /* in the set's memory */
	uint32 hash;
	char status;
} AddressEntry;

static uint32
address_hash(const bytea *key)
{
	return hash_bytes((const unsigned char *) VARDATA(key), VARSIZE(key) - VARHDRSZ);
}

static bool
address_equal(const bytea *a, const bytea *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(VARDATA(a), VARDATA(b), VARSIZE(a) - VARHDRSZ) == 0;
}

#define SH_PREFIX addresses
#define SH_ELEMENT_TYPE AddressEntry
#define SH_KEY_TYPE bytea *
#define SH_KEY key
#define SH_HASH_KEY(table, k) address_hash(k)
#define SH_EQUAL(table, a, b) address_equal(a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct VssAddressSet
{
	MemoryContext context;
	addresses_hash *table;
};

VssAddressSet *
vssfdw_address_set(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "vss_fdw changed rows", ALLOCSET_DEFAULT_SIZES);
	VssAddressSet *set = MemoryContextAlloc(context, sizeof(VssAddressSet));

	set->context = context;
	set->table = addresses_create(context, 64, NULL);
	return set;
}

bool
vssfdw_address_known(const VssAddressSet *set, const bytea *address)
{
	return addresses_lookup(set->table, unconstify(bytea *, address)) != NULL;
}

bool
vssfdw_address_add(VssAddressSet *set, const bytea *address)
{
	bool found;
	AddressEntry *entry = addresses_insert(set->table, unconstify(bytea *, address), &found);

	if (!found)
	{
		entry->key = MemoryContextAlloc(set->context, VARSIZE(address));
		memcpy(entry->key, address, VARSIZE(address));
	}
	return !found;
}
