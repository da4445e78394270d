/*
 * kernels.c
 *		Chooses the distance kernels at run time.
 *
 * The choice is made once, on first use, and is a single atomic pointer from
 * then on.  Two threads that race make the same choice.
 */
#include "kernels.h"

#include <stdlib.h>
#include <string.h>

static _Atomic(const HnswKernels *) chosen;

static const struct
{
	HnswKernel kernel;
	const char *name;
} kernel_names[] = {{HNSW_KERNEL_AUTO, "auto"},
					{HNSW_KERNEL_PORTABLE, "portable"},
					{HNSW_KERNEL_AVX2, "avx2"},
					{HNSW_KERNEL_AVX512, "avx512"},
					{HNSW_KERNEL_NEON, "neon"}};

#define KERNEL_NAMES (sizeof(kernel_names) / sizeof(kernel_names[0]))

/* The set of a kernel, or NULL where it cannot run. */
static const HnswKernels *
kernels_of(HnswKernel kernel)
{
	const HnswKernels *k = NULL;

	switch (kernel)
	{
		case HNSW_KERNEL_AUTO:
			if ((k = hnsw_kernels_avx512()) == NULL && (k = hnsw_kernels_avx2()) == NULL &&
				(k = hnsw_kernels_neon()) == NULL)
				k = &hnsw_kernels_portable;
			break;
		case HNSW_KERNEL_PORTABLE:
			k = &hnsw_kernels_portable;
			break;
		case HNSW_KERNEL_AVX2:
			k = hnsw_kernels_avx2();
			break;
		case HNSW_KERNEL_AVX512:
			k = hnsw_kernels_avx512();
			break;
		case HNSW_KERNEL_NEON:
			k = hnsw_kernels_neon();
			break;
	}
	return k;
}

const HnswKernels *
hnsw_kernels(void)
{
	const HnswKernels *k = atomic_load_explicit(&chosen, memory_order_acquire);

	if (k == NULL)
	{
		const char *wish = getenv("HNSW_KERNEL");

		for (size_t i = 0; wish != NULL && k == NULL && i < KERNEL_NAMES; i++)
			if (strcmp(wish, kernel_names[i].name) == 0)
				k = kernels_of(kernel_names[i].kernel);
		if (k == NULL)
			k = kernels_of(HNSW_KERNEL_AUTO);
		atomic_store_explicit(&chosen, k, memory_order_release);
	}
	return k;
}

HnswStatus
hnsw_set_kernel(HnswKernel kernel)
{
	const HnswKernels *k = kernels_of(kernel);

	if (k == NULL)
		return HNSW_INVALID;
	atomic_store_explicit(&chosen, k, memory_order_release);
	return HNSW_OK;
}

const char *
hnsw_kernel_name(void)
{
	return hnsw_kernels()->name;
}
