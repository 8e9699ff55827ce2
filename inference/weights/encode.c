#include "encode.h"

#include <math.h>
#include <string.h>

// HOT marks a function that is compiled once for each generation of x86-64 and
// chosen when the program starts, as in package cpu.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define HOT __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define HOT
#endif

#define INLINE static inline __attribute__((always_inline))

// Vectors of sixteen, which the compiler splits into as many registers as it needs.
enum { LANES = 16 };
typedef float vf __attribute__((vector_size(4 * LANES)));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * LANES)));
typedef uint8_t vb __attribute__((vector_size(LANES)));
typedef uint16_t pairs __attribute__((vector_size(LANES)));
typedef uint8_t packed __attribute__((vector_size(LANES / 2)));

// load reads n weights from number i on; the other lanes are 0.
INLINE vf load(const void *w, int bf16, long i, long n) {
	if (bf16) {
		vh h = {0};
		memcpy(&h, (const char *)w + 2 * i, n == LANES ? sizeof h : 2 * (size_t)n);
		return (vf)(__builtin_convertvector(h, vi) << 16);
	}
	vf v = {0};
	memcpy(&v, (const char *)w + 4 * i, n == LANES ? sizeof v : 4 * (size_t)n);
	return v;
}

INLINE long lanes(long left) { return left < LANES ? left : LANES; }

// largest returns the largest magnitude; NaN if there is one. The bits of
// magnitudes are ordered as the magnitudes are, NaN last.
INLINE float largest(const void *w, int bf16, long from, long to) {
	vi most = {0};
	for (long i = from; i < to; i += LANES) {
		vi v = (vi)load(w, bf16, i, lanes(to - i)) & 0x7fffffff;
		vi more = v > most;
		most = (v & more) | (most & ~more);
	}
	int32_t bits = 0;
	for (int i = 0; i < LANES; i++)
		bits = most[i] > bits ? most[i] : bits;
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

// The least scale: a value divided by a smaller one could be out of range. Weights
// that small count as zeros.
static const float smallest_normal = 0x1p-126f;

enum { NF4_ZERO = 7 }; // the code of 0

// nf4_block codes weights from to to-1; the code nearest to a value, the lower one
// of two, is the number of middles below the value.
INLINE void nf4_block(uint8_t *codes, const void *w, int bf16, long from, long to, float absmax, const float *middle) {
	for (long i = from; i < to; i += LANES) {
		long n = lanes(to - i);
		vf x = load(w, bf16, i, n) / absmax;
		vi code = {0};
		for (int m = 0; m < 15; m++)
			code -= x > middle[m];
		vb bytes = __builtin_convertvector(code, vb);
		pairs two;
		memcpy(&two, &bytes, sizeof two);
		packed p = __builtin_convertvector((two << 4 & 0xf0) | two >> 8, packed);
		memcpy(codes + i / 2, &p, n == LANES ? sizeof p : (size_t)(n + 1) / 2);
	}
}

INLINE void nf4(uint8_t *codes, float *absmax, const void *w, int bf16, long n, long block, const float *middle) {
	for (long from = 0; from < n; from += block, absmax++) {
		long to = n - from < block ? n : from + block;
		*absmax = largest(w, bf16, from, to);
		if (*absmax >= smallest_normal && *absmax < INFINITY)
			nf4_block(codes, w, bf16, from, to, *absmax, middle);
		else
			memset(codes + from / 2, NF4_ZERO << 4 | NF4_ZERO, (size_t)(to - from + 1) / 2);
	}
}

HOT void gq_nf4(uint8_t *codes, float *absmax, const void *w, int bf16, long n, long block, const float *middle) {
	if (bf16)
		nf4(codes, absmax, w, 1, n, block, middle);
	else
		nf4(codes, absmax, w, 0, n, block, middle);
}

// int8_row rounds half to even: the sum with 1.5 * 2^23 has the whole part of a value
// of at most 2^22 in its lowest bits.
INLINE void int8_row(uint8_t *codes, const void *w, int bf16, long from, long to, float scale) {
	for (long i = from; i < to; i += LANES) {
		long n = lanes(to - i);
		vi v = (vi)(load(w, bf16, i, n) / scale + 12582912.0f);
		vb bytes = __builtin_convertvector(v, vb);
		memcpy(codes + i, &bytes, n == LANES ? sizeof bytes : (size_t)n);
	}
}

INLINE void int8(uint8_t *codes, float *absmax, const void *w, int bf16, long rows, long cols) {
	for (long r = 0; r < rows; r++) {
		float most = largest(w, bf16, r * cols, (r + 1) * cols);
		float scale = most / 127;
		if (scale >= smallest_normal && scale < INFINITY)
			int8_row(codes, w, bf16, r * cols, (r + 1) * cols, scale);
		else
			memset(codes + r * cols, 0, (size_t)cols);
		absmax[r] = most < INFINITY ? most : NAN;
	}
}

HOT void gq_int8(uint8_t *codes, float *absmax, const void *w, int bf16, long rows, long cols) {
	if (bf16)
		int8(codes, absmax, w, 1, rows, cols);
	else
		int8(codes, absmax, w, 0, rows, cols);
}
