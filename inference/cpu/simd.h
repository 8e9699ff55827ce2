// Vectors of sixteen floats in the notation that gcc and clang share: each target
// splits them into as many registers as it needs. NaN and infinities are kept.
#ifndef GIMBAL_CPU_SIMD_H
#define GIMBAL_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#include "kernels.h"

// HOT marks a function that is compiled once for each generation of x86-64 and
// chosen when the program starts.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define HOT __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HOT
#endif

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef float vf __attribute__((vector_size(64)));
typedef int32_t vi __attribute__((vector_size(64)));

INLINE float as_float(uint32_t u) {
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

INLINE uint32_t as_bits(float f) {
	uint32_t u;
	memcpy(&u, &f, sizeof u);
	return u;
}

INLINE float from_f16(uint16_t h) {
	float f = as_float((uint32_t)(h & 0x7fff) << 13) * 0x1p112f;
	uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
	return as_float(as_bits(f) | special | (uint32_t)(h & 0x8000) << 16);
}

INLINE long lanes(long left) { return left < LANES ? left : LANES; }

// load reads the first n lanes and fills the rest with zeros.
INLINE vf load(const float *p, long n) {
	vf v = {0};
	if (n == LANES)
		memcpy(&v, p, sizeof v);
	else
		memcpy(&v, p, (size_t)n * sizeof(float));
	return v;
}

INLINE void store(float *p, vf v, long n) {
	if (n == LANES)
		memcpy(p, &v, sizeof v);
	else
		memcpy(p, &v, (size_t)n * sizeof(float));
}

INLINE vf splat(float x) { return x - (vf){0}; }
INLINE vf bits_to_float(vi v) { return (vf)v; }
INLINE vf pick(vi mask, vf yes, vf no) { return (vf)(((vi)yes & mask) | ((vi)no & ~mask)); }

INLINE float sum_lanes(vf v) {
	float a[LANES];
	memcpy(a, &v, sizeof v);
	for (int w = LANES / 2; w > 0; w /= 2)
		for (int i = 0; i < w; i++)
			a[i] += a[i + w];
	return a[0];
}

INLINE float max_lanes(vf v) {
	float a[LANES];
	memcpy(a, &v, sizeof v);
	for (int w = LANES / 2; w > 0; w /= 2)
		for (int i = 0; i < w; i++)
			a[i] = a[i + w] > a[i] ? a[i + w] : a[i];
	return a[0];
}

// vexp is exp within 2 ulp: 2^n times a polynomial on [-ln2/2, ln2/2] (Cephes' expf).
INLINE vf vexp(vf x) {
	x = pick(x > 89.0f, splat(89.0f), x);
	x = pick(x < -105.0f, splat(-105.0f), x);
	const float shifter = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
	vf t = x * 1.44269504088896341f + shifter;
	vi n = (vi)t - 0x4B400000;
	vf k = t - shifter;
	vf r = x - k * 0.693359375f;
	r = r - k * -2.12194440e-4f;
	vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	p = p * r * r + r + 1.0f;
	vi half = n >> 1; // two steps, so that the ends of the range round and overflow as they should
	return p * bits_to_float((half + 127) << 23) * bits_to_float((n - half + 127) << 23);
}

// apply is device.Func.
INLINE vf apply(int f, vf x) {
	switch (f) {
	case FN_SILU:
		return x / (1.0f + vexp(-x));
	case FN_GELU: // x/2 (1 + tanh u) = x / (1 + exp(-2u))
		return x / (1.0f + vexp(x * (-1.5957691216057308f - 0.0713548162726f * x * x)));
	case FN_CLAMP1:
		x = pick(x > 1.0f, splat(1.0f), x);
		return pick(x < -1.0f, splat(-1.0f), x);
	case FN_RELU:
		return pick(x < 0.0f, splat(0.0f), x);
	}
	return x;
}

#endif
