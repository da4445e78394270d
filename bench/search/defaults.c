/*
 * defaults.c
 *		What a user gets who sets nothing, as the product itself defines it.
 */
#include "sqlite_bridge/bridge_int.h"

uint32_t bench_default_ef(uint64_t count);

uint32_t
bench_default_ef(uint64_t count)
{
	(void) count; /* the same for every size */
	return BRIDGE_DEFAULT_EF_SEARCH;
}
