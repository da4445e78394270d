/*
 * kernels_neon.c
 *		Distance kernels for 64-bit ARM, where NEON is always there.
 */
#include "kernels.h"

#ifdef __aarch64__

#include <arm_neon.h>

static float
dot(const float *a, const float *b, uint32_t n)
{
	float32x4_t s0 = vdupq_n_f32(0);
	float32x4_t s1 = s0;
	uint32_t i = 0;
	float sum;

	for (; i + 8 <= n; i += 8)
	{
		s0 = vfmaq_f32(s0, vld1q_f32(a + i), vld1q_f32(b + i));
		s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
	}
	sum = vaddvq_f32(vaddq_f32(s0, s1));
	for (; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static float
l2sq(const float *a, const float *b, uint32_t n)
{
	float32x4_t s0 = vdupq_n_f32(0);
	float32x4_t s1 = s0;
	float32x4_t d;
	uint32_t i = 0;
	float sum;

	for (; i + 8 <= n; i += 8)
	{
		d = vsubq_f32(vld1q_f32(a + i), vld1q_f32(b + i));
		s0 = vfmaq_f32(s0, d, d);
		d = vsubq_f32(vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
		s1 = vfmaq_f32(s1, d, d);
	}
	sum = vaddvq_f32(vaddq_f32(s0, s1));
	for (; i < n; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

/* Lanes 2j and 2j + 1 are s[j]; the tail goes through an array of 16. */
static double
fold16(float64x2_t s[8])
{
	for (int width = 4; width > 0; width /= 2)
		for (int j = 0; j < width; j++)
			s[j] = vaddq_f64(s[j], s[j + width]);
	return vgetq_lane_f64(s[0], 0) + vgetq_lane_f64(s[0], 1);
}

static double
exact_dot(const float *a, const float *b, uint32_t n)
{
	float64x2_t s[8];
	float x[16] = {0};
	float y[16] = {0};

	for (int j = 0; j < 8; j++)
		s[j] = vdupq_n_f64(0);
	for (uint32_t i = 0; i < n; i += 16)
	{
		const float *p = a + i;
		const float *q = b + i;

		if (n - i < 16)
		{
			for (uint32_t j = 0; j < n - i; j++)
			{
				x[j] = p[j];
				y[j] = q[j];
			}
			p = x;
			q = y;
		}
		for (int j = 0; j < 8; j++)
			s[j] = vfmaq_f64(s[j], vcvt_f64_f32(vld1_f32(p + 2 * j)), vcvt_f64_f32(vld1_f32(q + 2 * j)));
	}
	return fold16(s);
}

static double
exact_l2sq(const float *a, const float *b, uint32_t n)
{
	float64x2_t s[8];
	float x[16] = {0};
	float y[16] = {0};

	for (int j = 0; j < 8; j++)
		s[j] = vdupq_n_f64(0);
	for (uint32_t i = 0; i < n; i += 16)
	{
		const float *p = a + i;
		const float *q = b + i;

		if (n - i < 16)
		{
			for (uint32_t j = 0; j < n - i; j++)
			{
				x[j] = p[j];
				y[j] = q[j];
			}
			p = x;
			q = y;
		}
		for (int j = 0; j < 8; j++)
		{
			float64x2_t d = vsubq_f64(vcvt_f64_f32(vld1_f32(p + 2 * j)), vcvt_f64_f32(vld1_f32(q + 2 * j)));

			s[j] = vaddq_f64(s[j], vmulq_f64(d, d));
		}
	}
	return fold16(s);
}

static int32_t
code_dot(const int16_t *q, const int8_t *c, uint32_t n)
{
	int32x4_t s0 = vdupq_n_s32(0);
	int32x4_t s1 = s0;
	uint32_t i = 0;
	int32_t sum;

	for (; i + 8 <= n; i += 8)
	{
		int16x8_t x = vmovl_s8(vld1_s8(c + i));
		int16x8_t y = vld1q_s16(q + i);

		s0 = vmlal_s16(s0, vget_low_s16(x), vget_low_s16(y));
		s1 = vmlal_high_s16(s1, x, y);
	}
	sum = vaddvq_s32(vaddq_s32(s0, s1));
	for (; i < n; i++)
		sum += (int32_t) q[i] * c[i];
	return sum;
}

static int32_t
code_pair(const int8_t *a, const int8_t *b, uint32_t n)
{
	int32x4_t s = vdupq_n_s32(0);
	uint32_t i = 0;
	int32_t sum;

	for (; i + 8 <= n; i += 8)
		s = vpadalq_s16(s, vmull_s8(vld1_s8(a + i), vld1_s8(b + i)));
	sum = vaddvq_s32(s);
	for (; i < n; i++)
		sum += (int32_t) a[i] * b[i];
	return sum;
}

static int32_t
sketch_dot(const int8_t *q, const uint8_t *c, uint32_t blocks)
{
	const uint8x16_t half = vdupq_n_u8(15);
	int32x4_t s = vdupq_n_s32(0);

	for (; blocks > 0; blocks--, q += 128, c += 64)
		for (int i = 0; i < 64; i += 16)
		{
			uint8x16_t v = vld1q_u8(c + i);
			int8x16_t low = vreinterpretq_s8_u8(vandq_u8(v, half));
			int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(v, 4));
			int8x16_t x = vld1q_s8(q + i);
			int8x16_t y = vld1q_s8(q + 64 + i);

			s = vpadalq_s16(
				s, vmlal_s8(vmull_s8(vget_low_s8(low), vget_low_s8(x)), vget_low_s8(high), vget_low_s8(y)));
			s = vpadalq_s16(s, vmlal_high_s8(vmull_high_s8(low, x), high, y));
		}
	return vaddvq_s32(s);
}

static void
sketch_dot4(const int8_t *q, const uint8_t *const c[4], uint32_t blocks, int32_t sums[4])
{
	for (int i = 0; i < 4; i++)
		sums[i] = sketch_dot(q, c[i], blocks);
}

static const HnswKernels neon = {"neon",   dot,       l2sq,       exact_dot,  exact_l2sq,
								 code_dot, code_pair, sketch_dot, sketch_dot4};

const HnswKernels *
hnsw_kernels_neon(void)
{
	return &neon;
}

#else

const HnswKernels *
hnsw_kernels_neon(void)
{
	return NULL;
}

#endif
