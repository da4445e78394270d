/*
 * verify.c
 *		Block checksums: what is read from a graph file is what was written.
 *
 * A block is summed when this process touches it for the first time and never
 * again, so opening stays O(1) and a warm search pays one bit test a record.
 * Threads may meet at one block; then both sum it, which is harmless.
 *
 * This guards against flipped bits, torn writes and foreign bytes, not against
 * an attacker who fits the sums: for him every value is bounds-checked where
 * it is used.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "hnsw/internal.h"

uint64_t
hnsw_block_sum(const void *block, uint64_t number)
{
	return XXH3_64bits_withSeed(block, HNSW_BLOCK, number);
}

uint64_t
hnsw_header_sum(const void *header, size_t bytes)
{
	return XXH3_64bits(header, bytes);
}

uint64_t
hnsw_vector_hash(const float *vector, uint32_t dim)
{
	return XXH3_64bits(vector, dim * sizeof *vector);
}

void
hnsw_set_corrupt(const HnswSnapshot *snapshot)
{
	/* The object itself is never const: hnsw_snapshot_map allocated it. */
	HnswSnapshot *s = (HnswSnapshot *) snapshot;

	atomic_store_explicit(&s->corrupt, true, memory_order_release);
}

bool
hnsw_verify_blocks(const HnswSnapshot *snapshot, size_t first, size_t last)
{
	const HnswSnapshot *s = snapshot;
	const uint64_t *sums = (const uint64_t *) s->section[HNSW_SUMS];
	size_t end = s->header.section_offset[HNSW_SUMS] / HNSW_BLOCK;

	/* Header and sums are not sections of data; asking for them is our bug. */
	if (first < 1 || last >= end)
	{
		hnsw_set_corrupt(s);
		return false;
	}
	for (size_t b = first; b <= last; b++)
	{
		uint64_t bit = UINT64_C(1) << (b % 64);

		if (atomic_load_explicit(&s->verified[b / 64], memory_order_relaxed) & bit)
			continue;
		if (hnsw_block_sum(s->base + b * HNSW_BLOCK, b) != sums[b - 1])
		{
			hnsw_set_corrupt(s);
			return false;
		}
		atomic_fetch_or_explicit(&s->verified[b / 64], bit, memory_order_relaxed);
	}
	return true;
}

/*
 * Beside the flag, two places show that the file was changed under the map
 * after its blocks were verified: the magic at the very end goes when the file
 * is cut anywhere, even inside a page that stays mapped, and the header's
 * checksum differs when another graph was copied over it.
 */
bool
hnsw_snapshot_is_corrupt(const HnswSnapshot *snapshot)
{
	const HnswSnapshot *s = snapshot;
	const volatile uint64_t *tail = (const volatile uint64_t *) (s->base + s->size - sizeof(uint64_t));
	const volatile uint64_t *sum = (const volatile uint64_t *) (s->base + offsetof(HnswHeader, checksum));
	union
	{
		char text[8];
		uint64_t word;
	} magic;

	memcpy(magic.text, HNSW_MAGIC, sizeof(magic.text));
	/* What the caller has read so far comes before the flag. */
	atomic_thread_fence(memory_order_acquire);
	if (*tail != magic.word || *sum != s->header.checksum)
		hnsw_set_corrupt(s);
	atomic_signal_fence(memory_order_seq_cst);
	return atomic_load_explicit(&s->corrupt, memory_order_acquire);
}
