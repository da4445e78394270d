/*
 * kernels_avx2.c
 *		Distance kernels for x86-64 with AVX2 and FMA.
 */
#include "kernels.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx2,fma")))

/* Lanes that take part in a load of the last count (< 8) floats. */
TARGET static inline __m256i
tail_mask(uint32_t count)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int) count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

TARGET static inline float
fold(__m256 v)
{
	__m128 x = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));

	x = _mm_add_ps(x, _mm_movehl_ps(x, x));
	x = _mm_add_ss(x, _mm_movehdup_ps(x));
	return _mm_cvtss_f32(x);
}

TARGET static float
dot(const float *a, const float *b, uint32_t n)
{
	__m256 s0 = _mm256_setzero_ps();
	__m256 s1 = s0;
	__m256 s2 = s0;
	__m256 s3 = s0;
	uint32_t i = 0;

	for (; i + 32 <= n; i += 32)
	{
		s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
		s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
		s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
		s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
	}
	for (; i + 8 <= n; i += 8)
		s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
	if (i < n)
	{
		__m256i mask = tail_mask(n - i);

		s1 = _mm256_fmadd_ps(_mm256_maskload_ps(a + i, mask), _mm256_maskload_ps(b + i, mask), s1);
	}
	return fold(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
}

TARGET static float
l2sq(const float *a, const float *b, uint32_t n)
{
	__m256 s0 = _mm256_setzero_ps();
	__m256 s1 = s0;
	__m256 d;
	uint32_t i = 0;

	for (; i + 16 <= n; i += 16)
	{
		d = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
		s0 = _mm256_fmadd_ps(d, d, s0);
		d = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
		s1 = _mm256_fmadd_ps(d, d, s1);
	}
	for (; i < n; i += 8)
	{
		__m256i mask = tail_mask(n - i);

		d = _mm256_sub_ps(_mm256_maskload_ps(a + i, mask), _mm256_maskload_ps(b + i, mask));
		s0 = _mm256_fmadd_ps(d, d, s0);
	}
	return fold(_mm256_add_ps(s0, s1));
}

/* Four floats from p, widened; those from count on are zero. */
TARGET static inline __m256d
load4(const float *p, int count)
{
	__m128i mask = _mm_cmpgt_epi32(_mm_set1_epi32(count), _mm_setr_epi32(0, 1, 2, 3));

	return _mm256_cvtps_pd(_mm_maskload_ps(p, mask));
}

/* The fixed tree over lanes 0-3, 4-7, 8-11, 12-15. */
TARGET static inline double
fold16(const __m256d s[4])
{
	__m256d x = _mm256_add_pd(_mm256_add_pd(s[0], s[2]), _mm256_add_pd(s[1], s[3]));
	__m128d y = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

	return _mm_cvtsd_f64(_mm_add_sd(y, _mm_unpackhi_pd(y, y)));
}

TARGET static double
exact_dot(const float *a, const float *b, uint32_t n)
{
	__m256d s[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
	uint32_t i = 0;

	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 4; j++)
			s[j] = _mm256_fmadd_pd(_mm256_cvtps_pd(_mm_loadu_ps(a + i + 4 * j)),
								   _mm256_cvtps_pd(_mm_loadu_ps(b + i + 4 * j)), s[j]);
	for (int j = 0; i < n; i += 4, j++)
		s[j] = _mm256_fmadd_pd(load4(a + i, (int) (n - i)), load4(b + i, (int) (n - i)), s[j]);
	return fold16(s);
}

TARGET static double
exact_l2sq(const float *a, const float *b, uint32_t n)
{
	__m256d s[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()};
	__m256d d;
	uint32_t i = 0;

	for (; i + 16 <= n; i += 16)
		for (int j = 0; j < 4; j++)
		{
			d = _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(a + i + 4 * j)),
							  _mm256_cvtps_pd(_mm_loadu_ps(b + i + 4 * j)));
			s[j] = _mm256_add_pd(s[j], _mm256_mul_pd(d, d));
		}
	for (int j = 0; i < n; i += 4, j++)
	{
		d = _mm256_sub_pd(load4(a + i, (int) (n - i)), load4(b + i, (int) (n - i)));
		s[j] = _mm256_add_pd(s[j], _mm256_mul_pd(d, d));
	}
	return fold16(s);
}

TARGET static inline __m256i
widen(const int8_t *p)
{
	return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) p));
}

TARGET static inline int32_t
fold_i32(__m256i v)
{
	__m128i x = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));

	x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4e));
	x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0xb1));
	return _mm_cvtsi128_si32(x);
}

TARGET static int32_t
code_dot(const int16_t *q, const int8_t *c, uint32_t n)
{
	__m256i s0 = _mm256_setzero_si256();
	__m256i s1 = s0;
	uint32_t i = 0;
	int32_t sum;

	for (; i + 32 <= n; i += 32)
	{
		s0 = _mm256_add_epi32(s0,
							  _mm256_madd_epi16(widen(c + i), _mm256_loadu_si256((const __m256i *) (q + i))));
		s1 = _mm256_add_epi32(
			s1, _mm256_madd_epi16(widen(c + i + 16), _mm256_loadu_si256((const __m256i *) (q + i + 16))));
	}
	sum = fold_i32(_mm256_add_epi32(s0, s1));
	for (; i < n; i++)
		sum += (int32_t) q[i] * c[i];
	return sum;
}

TARGET static int32_t
code_pair(const int8_t *a, const int8_t *b, uint32_t n)
{
	__m256i s0 = _mm256_setzero_si256();
	__m256i s1 = s0;
	uint32_t i = 0;
	int32_t sum;

	for (; i + 32 <= n; i += 32)
	{
		s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(widen(a + i), widen(b + i)));
		s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(widen(a + i + 16), widen(b + i + 16)));
	}
	sum = fold_i32(_mm256_add_epi32(s0, s1));
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

/* Two products of at most 15 * 127, twice over: far from what sixteen bits hold. */
TARGET static int32_t
sketch_dot(const int8_t *q, const uint8_t *c, uint32_t blocks)
{
	const __m256i half = _mm256_set1_epi8(15);
	const __m256i ones = _mm256_set1_epi16(1);
	__m256i s0 = _mm256_setzero_si256();
	__m256i s1 = s0;

	for (; blocks > 0; blocks--, q += 128, c += 64)
	{
		__m256i v0 = _mm256_loadu_si256((const __m256i *) c);
		__m256i v1 = _mm256_loadu_si256((const __m256i *) (c + 32));
		__m256i x0 =
			_mm256_maddubs_epi16(_mm256_and_si256(v0, half), _mm256_loadu_si256((const __m256i *) q));
		__m256i x1 =
			_mm256_maddubs_epi16(_mm256_and_si256(v1, half), _mm256_loadu_si256((const __m256i *) (q + 32)));

		v0 = _mm256_and_si256(_mm256_srli_epi16(v0, 4), half);
		v1 = _mm256_and_si256(_mm256_srli_epi16(v1, 4), half);
		x0 = _mm256_add_epi16(x0, _mm256_maddubs_epi16(v0, _mm256_loadu_si256((const __m256i *) (q + 64))));
		x1 = _mm256_add_epi16(x1, _mm256_maddubs_epi16(v1, _mm256_loadu_si256((const __m256i *) (q + 96))));
		s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(x0, ones));
		s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(x1, ones));
	}
	return fold_i32(_mm256_add_epi32(s0, s1));
}

TARGET static void
sketch_dot4(const int8_t *q, const uint8_t *const c[4], uint32_t blocks, int32_t sums[4])
{
	for (int i = 0; i < 4; i++)
		sums[i] = sketch_dot(q, c[i], blocks);
}

static const HnswKernels avx2 = {"avx2",   dot,       l2sq,       exact_dot,  exact_l2sq,
								 code_dot, code_pair, sketch_dot, sketch_dot4};

const HnswKernels *
hnsw_kernels_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2 : NULL;
}

#else

const HnswKernels *
hnsw_kernels_avx2(void)
{
	return NULL;
}

#endif
