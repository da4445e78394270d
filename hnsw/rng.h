/*
 * rng.h
 *		Levels: a pure function of seed, label and m.
 */
#ifndef HNSW_RNG_H
#define HNSW_RNG_H

#include "internal.h"

/* The finalizer of splitmix64: each output bit depends on each input bit. */
static inline uint64_t
hnsw_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/*
 * The top layer of a label.  A node is on layer l with probability m^-l, which
 * is the paper's floor(-ln(u) / ln(m)); here in integers, so that it comes out
 * the same on every machine.
 */
static inline uint32_t
hnsw_level(uint64_t seed, int64_t label, uint32_t m)
{
	uint64_t u = hnsw_mix(hnsw_mix(seed) ^ (uint64_t) label);
	uint64_t bound = UINT64_MAX / m;
	uint32_t level = 0;

	while (u < bound && level < HNSW_MAX_LAYERS - 1)
	{
		level++;
		bound /= m;
	}
	return level;
}

#endif /* HNSW_RNG_H */
