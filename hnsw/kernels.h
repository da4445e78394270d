/*
 * kernels.h
 *		The sets of distance kernels, one per instruction set.
 *
 * Private to kernels*.c.  A set that this build or this processor does not
 * have is NULL.
 *
 * The exact kernels share one definition, so that all sets return the same
 * bits: element i is added to lane i mod 16, in order of i, in double
 * precision, and the lanes are folded 16 -> 8 -> 4 -> 2 -> 1, each lane of the
 * lower half taking its partner of the upper half.  The product of two floats
 * is exact in double, so fused multiply-add cannot change a dot product; in a
 * squared difference the square is rounded before it is added, which is why
 * everything is compiled with -ffp-contract=off (a unit test notices if not).
 */
#ifndef HNSW_KERNELS_H
#define HNSW_KERNELS_H

#include "internal.h"

extern const HnswKernels hnsw_kernels_portable;

const HnswKernels *hnsw_kernels_avx2(void);
const HnswKernels *hnsw_kernels_avx512(void);
const HnswKernels *hnsw_kernels_neon(void);

#endif /* HNSW_KERNELS_H */
