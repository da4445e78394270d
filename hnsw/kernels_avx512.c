/*
 * kernels_avx512.c
 *		Distance kernels for x86-64 with AVX-512 F, BW, VL and VNNI.
 */
#include "kernels.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,bmi2")))

TARGET static inline __mmask16
tail_mask(uint32_t count)
{
	return count >= 16 ? (__mmask16) 0xffff : (__mmask16) ((1u << count) - 1);
}

TARGET static float
dot(const float *a, const float *b, uint32_t n)
{
	__m512 s0 = _mm512_setzero_ps();
	__m512 s1 = s0;
	__m512 s2 = s0;
	__m512 s3 = s0;
	uint32_t i = 0;

	for (; i + 64 <= n; i += 64)
	{
		s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
		s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
		s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
		s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
	}
	for (; i < n; i += 16)
	{
		__mmask16 mask = tail_mask(n - i);

		s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i), s0);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

TARGET static float
l2sq(const float *a, const float *b, uint32_t n)
{
	__m512 s0 = _mm512_setzero_ps();
	__m512 s1 = s0;
	__m512 d;
	uint32_t i = 0;

	for (; i + 32 <= n; i += 32)
	{
		d = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
		s0 = _mm512_fmadd_ps(d, d, s0);
		d = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
		s1 = _mm512_fmadd_ps(d, d, s1);
	}
	for (; i < n; i += 16)
	{
		__mmask16 mask = tail_mask(n - i);

		d = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i));
		s0 = _mm512_fmadd_ps(d, d, s0);
	}
	return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

/* The fixed tree over lanes 0-7 and 8-15. */
TARGET static inline double
fold16(__m512d s0, __m512d s1)
{
	__m512d s = _mm512_add_pd(s0, s1);
	__m256d x = _mm256_add_pd(_mm512_castpd512_pd256(s), _mm512_extractf64x4_pd(s, 1));
	__m128d y = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

	return _mm_cvtsd_f64(_mm_add_sd(y, _mm_unpackhi_pd(y, y)));
}

TARGET static double
exact_dot(const float *a, const float *b, uint32_t n)
{
	__m512d s0 = _mm512_setzero_pd();
	__m512d s1 = s0;

	for (uint32_t i = 0; i < n; i += 16)
	{
		__mmask16 mask = tail_mask(n - i);
		__m512 x = _mm512_maskz_loadu_ps(mask, a + i);
		__m512 y = _mm512_maskz_loadu_ps(mask, b + i);

		s0 = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)),
							 _mm512_cvtps_pd(_mm512_castps512_ps256(y)), s0);
		s1 = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)),
							 _mm512_cvtps_pd(_mm512_extractf32x8_ps(y, 1)), s1);
	}
	return fold16(s0, s1);
}

TARGET static double
exact_l2sq(const float *a, const float *b, uint32_t n)
{
	__m512d s0 = _mm512_setzero_pd();
	__m512d s1 = s0;
	__m512d d;

	for (uint32_t i = 0; i < n; i += 16)
	{
		__mmask16 mask = tail_mask(n - i);
		__m512 x = _mm512_maskz_loadu_ps(mask, a + i);
		__m512 y = _mm512_maskz_loadu_ps(mask, b + i);

		d = _mm512_sub_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)),
						  _mm512_cvtps_pd(_mm512_castps512_ps256(y)));
		s0 = _mm512_add_pd(s0, _mm512_mul_pd(d, d));
		d = _mm512_sub_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)),
						  _mm512_cvtps_pd(_mm512_extractf32x8_ps(y, 1)));
		s1 = _mm512_add_pd(s1, _mm512_mul_pd(d, d));
	}
	return fold16(s0, s1);
}

TARGET static inline __mmask32
tail_mask32(uint32_t count)
{
	return count >= 32 ? 0xffffffffu : (1u << count) - 1;
}

TARGET static inline __m512i
widen(const int8_t *p)
{
	return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *) p));
}

TARGET static int32_t
code_dot(const int16_t *q, const int8_t *c, uint32_t n)
{
	__m512i s0 = _mm512_setzero_si512();
	__m512i s1 = s0;
	uint32_t i = 0;

	for (; i + 64 <= n; i += 64)
	{
		s0 = _mm512_dpwssd_epi32(s0, widen(c + i), _mm512_loadu_si512(q + i));
		s1 = _mm512_dpwssd_epi32(s1, widen(c + i + 32), _mm512_loadu_si512(q + i + 32));
	}
	for (; i < n; i += 32)
	{
		__mmask32 mask = tail_mask32(n - i);

		s0 = _mm512_dpwssd_epi32(s0, _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, c + i)),
								 _mm512_maskz_loadu_epi16(mask, q + i));
	}
	return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

/* The instruction wants one side without sign: a b = (a + 128) b - 128 b. */
TARGET static int32_t
code_pair(const int8_t *a, const int8_t *b, uint32_t n)
{
	const __m512i offset = _mm512_set1_epi8(-128);
	__m512i sum = _mm512_setzero_si512();
	__m512i over = sum;

	for (uint32_t i = 0; i < n; i += 64)
	{
		__mmask64 mask = n - i >= 64 ? ~(__mmask64) 0 : ((__mmask64) 1 << (n - i)) - 1;
		__m512i x = _mm512_maskz_loadu_epi8(mask, a + i);
		__m512i y = _mm512_maskz_loadu_epi8(mask, b + i);

		sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(x, offset), y);
		over = _mm512_dpbusd_epi32(over, offset, y);
	}
	return _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, over));
}

TARGET static int32_t
sketch_dot(const int8_t *q, const uint8_t *c, uint32_t blocks)
{
	const __m512i half = _mm512_set1_epi8(15);
	__m512i s0 = _mm512_setzero_si512();
	__m512i s1 = s0;

	for (; blocks > 0; blocks--, q += 128, c += 64)
	{
		__m512i v = _mm512_loadu_si512(c);

		s0 = _mm512_dpbusd_epi32(s0, _mm512_and_si512(v, half), _mm512_loadu_si512(q));
		v = _mm512_and_si512(_mm512_srli_epi16(v, 4), half);
		s1 = _mm512_dpbusd_epi32(s1, v, _mm512_loadu_si512(q + 64));
	}
	return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

/* The sums of the lanes of four registers. */
TARGET static inline __m128i
fold4(const __m512i s[4])
{
	__m256i x[4];
	__m256i y;

	for (int i = 0; i < 4; i++)
		x[i] = _mm256_add_epi32(_mm512_castsi512_si256(s[i]), _mm512_extracti64x4_epi64(s[i], 1));
	y = _mm256_hadd_epi32(_mm256_hadd_epi32(x[0], x[1]), _mm256_hadd_epi32(x[2], x[3]));
	return _mm_add_epi32(_mm256_castsi256_si128(y), _mm256_extracti128_si256(y, 1));
}

TARGET static void
sketch_dot4(const int8_t *q, const uint8_t *const c[4], uint32_t blocks, int32_t sums[4])
{
	const __m512i half = _mm512_set1_epi8(15);
	__m512i s[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
					_mm512_setzero_si512()};

	for (size_t at = 0; blocks > 0; blocks--, q += 128, at += 64)
	{
		__m512i low = _mm512_loadu_si512(q);
		__m512i high = _mm512_loadu_si512(q + 64);

		for (int i = 0; i < 4; i++)
		{
			__m512i v = _mm512_loadu_si512(c[i] + at);

			s[i] = _mm512_dpbusd_epi32(s[i], _mm512_and_si512(v, half), low);
			v = _mm512_and_si512(_mm512_srli_epi16(v, 4), half);
			s[i] = _mm512_dpbusd_epi32(s[i], v, high);
		}
	}
	_mm_storeu_si128((__m128i *) sums, fold4(s));
}

static const HnswKernels avx512 = {"avx512", dot,       l2sq,       exact_dot,  exact_l2sq,
								   code_dot, code_pair, sketch_dot, sketch_dot4};

const HnswKernels *
hnsw_kernels_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
				   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
				   __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("bmi2")
			   ? &avx512
			   : NULL;
}

#else

const HnswKernels *
hnsw_kernels_avx512(void)
{
	return NULL;
}

#endif
