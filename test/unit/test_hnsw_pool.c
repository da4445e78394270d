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
		assert_int_equal((pool->entries[i].marks & HNSW_EXPANDED) != 0, all[i].expanded);
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
		HnswPool pool = {.capacity = capacities[c], .expandable = (capacities[c] + 1) / 2, .limit = INFINITY};
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

/* Keys from the limit on go to the rest, but for the least number of entries. */
static void
keeps_what_is_below_the_limit(void **state)
{
	HnswPoolEntry entries[64];
	HnswHeapEntry left[64];
	HnswPool pool = {.entries = entries, .capacity = 32, .expandable = UINT32_MAX, .limit = 5, .least = 3};
	HnswHeap rest = {.entries = left, .capacity = 64};
	const float keys[] = {9, 7, 8, 6, 4, 5, 1};
	const uint32_t nodes[] = {0, 1, 2, 3, 4, 5, 6};

	for (int i = 0; i < 7; i++)
		hnsw_pool_put(&pool, &keys[i], &nodes[i], 1, &rest);

	/* 9, 7, 8 to have three; 6 is nearer than the third; 4 and 1 are below the limit; 5 is nearer than the third */
	assert_int_equal(pool.count, 7);
	hnsw_pool_put(&pool, &keys[0], &nodes[0], 1, &rest);
	hnsw_pool_put(&pool, &keys[5], &nodes[5], 1, &rest);
	assert_int_equal(pool.count, 7);
	assert_int_equal(rest.count, 2);
	assert_true(rest.entries[0].key == 9 && rest.entries[1].key == 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_the_best),
		cmocka_unit_test(keeps_what_is_below_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
