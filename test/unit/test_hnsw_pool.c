/*
 * test_hnsw_pool.c
 *		The pool of a search against a sorted list of everything put in.
 */
#include "support.h"
#include "hnsw/pool.h"
#include "hnsw/rng.h"

#include <stdlib.h>

enum
{
	AT_ONCE = 40,
	ROUNDS = 60
};

typedef struct Put
{
	float key;
	uint32_t node; /* rises with time */
	bool expanded;
} Put;

static int
compare(const void *a, const void *b)
{
	const Put *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* The best capacity of all, in order; the others in the rest; next the first that is not expanded. */
static void
check(const HnswPool *pool, Put *all, uint32_t n, const HnswHeap *rest)
{
	uint32_t kept = n < pool->capacity ? n : pool->capacity;
	uint32_t next = kept;
	bool *left = calloc(n, sizeof *left);

	qsort(all, n, sizeof *all, compare);
	assert_int_equal(pool->count, kept);
	assert_int_equal(rest->count, n - kept);
	for (uint32_t i = kept; i-- > 0;)
	{
		assert_int_equal(pool->entries[i].node, all[i].node);
		assert_true(pool->entries[i].key == all[i].key);
		assert_int_equal(pool->entries[i].expanded, all[i].expanded);
		if (!all[i].expanded)
			next = i;
	}
	assert_true(pool->next <= next);
	for (uint32_t i = 0; i < rest->count; i++)
	{
		uint32_t at = kept;

		while (at < n && all[at].node != rest->entries[i].node)
			at++;
		assert_true(at < n && !left[at]);
		assert_true(rest->entries[i].key == all[at].key);
		left[at] = true;
	}
	free(left);
}

static void
keeps_the_best(void **state)
{
	static const uint32_t capacities[] = {1, 2, 7, 64, 300};
	const uint64_t random = 7;
	uint64_t step = 0;

	for (size_t c = 0; c < sizeof capacities / sizeof *capacities; c++)
	{
		HnswPool pool = {.capacity = capacities[c], .expandable = (capacities[c] + 1) / 2};
		HnswHeap rest = {0};
		Put all[ROUNDS * AT_ONCE];
		uint32_t n = 0;

		pool.entries = malloc((pool.capacity + AT_ONCE) * sizeof *pool.entries);
		for (int round = 0; round < ROUNDS; round++)
		{
			float keys[AT_ONCE];
			uint32_t nodes[AT_ONCE];
			uint32_t count = (uint32_t) (hnsw_mix(random + step++) % (AT_ONCE + 1));
			HnswCandidate best;
			uint32_t next = pool.next < pool.count ? pool.entries[pool.next].node : UINT32_MAX;
			bool another;

			/* few different keys, so that many are equal; falling, so that some get in */
			for (uint32_t i = 0; i < count; i++)
			{
				keys[i] = (float) (hnsw_mix(random + step++) % 50) - (float) round;
				nodes[i] = n;
				all[n++] = (Put){keys[i], nodes[i], false};
			}
			assert_true(hnsw_heap_reserve(&rest, count));
			another = hnsw_pool_put(&pool, keys, nodes, count, &rest);
			assert_int_equal(another, pool.next < pool.count && pool.entries[pool.next].node != next);
			check(&pool, all, n, &rest);
			if (hnsw_pool_pop(&pool, &best))
				for (uint32_t i = 0; i < n; i++)
					if (all[i].node == best.node)
					{
						assert_false(all[i].expanded);
						all[i].expanded = true;
						for (uint32_t j = 0; j < i; j++)
							assert_true(all[j].expanded);
					}
			check(&pool, all, n, &rest);
		}
		free(pool.entries);
		free(rest.entries);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_the_best)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
