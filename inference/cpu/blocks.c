#include "simd.h"

// The formats of GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): blocks of
// 32 or 256 values. d and m are the block's scale and offset, float16; codes lie in low
// nibbles first, then in high ones, by halves of what a loop below goes over. Products are
// rounded as gguf-py rounds them: scales first, then values.

typedef const uint8_t *bytes;

INLINE float f16_at(bytes p) {
	uint16_t h;
	memcpy(&h, p, 2);
	return from_f16(h);
}

INLINE uint32_t u32_at(bytes p) {
	uint32_t u;
	memcpy(&u, p, 4);
	return u;
}

INLINE void q4_0(float *restrict y, bytes b) {
	float d = f16_at(b);
	bytes q = b + 2;
	for (int i = 0; i < 16; i++) {
		y[i] = d * (float)((q[i] & 15) - 8);
		y[i + 16] = d * (float)((q[i] >> 4) - 8);
	}
}

INLINE void q4_1(float *restrict y, bytes b) {
	float d = f16_at(b), m = f16_at(b + 2);
	bytes q = b + 4;
	for (int i = 0; i < 16; i++) {
		y[i] = d * (float)(q[i] & 15) + m;
		y[i + 16] = d * (float)(q[i] >> 4) + m;
	}
}

INLINE void q5_0(float *restrict y, bytes b) {
	float d = f16_at(b);
	uint32_t h = u32_at(b + 2);
	bytes q = b + 6;
	for (int i = 0; i < 16; i++) {
		y[i] = d * (float)((int)((q[i] & 15) | (h >> i & 1) << 4) - 16);
		y[i + 16] = d * (float)((int)((uint32_t)q[i] >> 4 | (h >> (i + 16) & 1) << 4) - 16);
	}
}

INLINE void q5_1(float *restrict y, bytes b) {
	float d = f16_at(b), m = f16_at(b + 2);
	uint32_t h = u32_at(b + 4);
	bytes q = b + 8;
	for (int i = 0; i < 16; i++) {
		y[i] = d * (float)(int)((q[i] & 15) | (h >> i & 1) << 4) + m;
		y[i + 16] = d * (float)(int)((uint32_t)q[i] >> 4 | (h >> (i + 16) & 1) << 4) + m;
	}
}

INLINE void q8_0(float *restrict y, bytes b) {
	float d = f16_at(b);
	const int8_t *q = (const int8_t *)b + 2;
	for (int i = 0; i < 32; i++)
		y[i] = d * (float)q[i];
}

INLINE void q2_k(float *restrict y, bytes b) {
	float d = f16_at(b + 80), m = f16_at(b + 82);
	for (int s = 0; s < 16; s++) { // sub-blocks of 16 values
		float dl = d * (float)(b[s] & 15), ml = m * (float)(b[s] >> 4);
		bytes q = b + 16 + 32 * (s / 8) + 16 * (s % 2);
		int shift = s / 2 % 4 * 2;
		for (int i = 0; i < 16; i++)
			y[16 * s + i] = dl * (float)(q[i] >> shift & 3) - ml;
	}
}

INLINE void q3_k(float *restrict y, bytes b) {
	bytes hm = b, qs = b + 32, sc = b + 96;
	float d = f16_at(b + 108);
	for (int s = 0; s < 16; s++) {
		int scale = (s < 8 ? sc[s] & 15 : sc[s - 8] >> 4) | (sc[8 + s % 4] >> s / 4 * 2 & 3) << 4;
		float dl = d * (float)(scale - 32);
		bytes q = qs + 32 * (s / 8) + 16 * (s % 2), h = hm + 16 * (s % 2);
		int shift = s / 2 % 4 * 2, bit = s / 2;
		for (int i = 0; i < 16; i++)
			y[16 * s + i] = dl * (float)((q[i] >> shift & 3) - ((h[i] >> bit & 1) ^ 1) * 4);
	}
}

// scale_min reads scale and minimum i of eight, of 6 bits each in 12 bytes.
INLINE void scale_min(bytes s, int i, int *scale, int *min) {
	*scale = i < 4 ? s[i] & 63 : (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
	*min = i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | s[i] >> 6 << 4;
}

INLINE void q4_k(float *restrict y, bytes b) {
	float d = f16_at(b), m = f16_at(b + 2);
	for (int s = 0; s < 8; s++) {
		int scale, min, shift = s % 2 * 4;
		scale_min(b + 4, s, &scale, &min);
		float dl = d * (float)scale, ml = m * (float)min;
		bytes q = b + 16 + 32 * (s / 2);
		for (int i = 0; i < 32; i++)
			y[32 * s + i] = dl * (float)(q[i] >> shift & 15) - ml;
	}
}

INLINE void q5_k(float *restrict y, bytes b) {
	float d = f16_at(b), m = f16_at(b + 2);
	bytes h = b + 16;
	for (int s = 0; s < 8; s++) {
		int scale, min, shift = s % 2 * 4;
		scale_min(b + 4, s, &scale, &min);
		float dl = d * (float)scale, ml = m * (float)min;
		bytes q = b + 48 + 32 * (s / 2);
		for (int i = 0; i < 32; i++)
			y[32 * s + i] = dl * (float)((q[i] >> shift & 15) + (h[i] >> s & 1) * 16) - ml;
	}
}

INLINE void q6_k(float *restrict y, bytes b) {
	const int8_t *sc = (const int8_t *)b + 192;
	float d = f16_at(b + 208);
	for (int s = 0; s < 16; s++) {
		float dl = d * (float)sc[s];
		int quarter = s / 2 % 4, at = 16 * (s % 2);
		bytes ql = b + 64 * (s / 8) + 32 * (quarter % 2) + at, qh = b + 128 + 32 * (s / 8) + at;
		int low = quarter / 2 * 4, high = quarter * 2;
		for (int i = 0; i < 16; i++)
			y[16 * s + i] = dl * (float)((int)((ql[i] >> low & 15) | (qh[i] >> high & 3) << 4) - 32);
	}
}

static const float iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

INLINE void iq4_half(float *restrict y, float d, bytes q) {
	for (int i = 0; i < 16; i++) {
		y[i] = d * iq4[q[i] & 15];
		y[i + 16] = d * iq4[q[i] >> 4];
	}
}

INLINE void iq4_nl(float *restrict y, bytes b) { iq4_half(y, f16_at(b), b + 2); }

INLINE void iq4_xs(float *restrict y, bytes b) {
	float d = f16_at(b);
	uint32_t sh = b[2] | (uint32_t)b[3] << 8;
	for (int s = 0; s < 8; s++) {
		int scale = (int)((b[4 + s / 2] >> s % 2 * 4 & 15) | (sh >> 2 * s & 3) << 4) - 32;
		iq4_half(y + 32 * s, d * (float)scale, b + 8 + 16 * s);
	}
}

#define BLOCKS(decode, values, size)                                          \
	for (long i = 0; i < rows; i++) {                                         \
		float *y = (float *)dst + i * ldd;                                    \
		bytes b = (bytes)src + i * lds;                                       \
		for (long j = 0; j < cols; j += values, b += size)                    \
			decode(y + j, b);                                                 \
	}                                                                         \
	break;

// gb_widen_blocks widens rows of blocks, lds bytes apart, cols values of each.
HOT void gb_widen_blocks(void *dst, long ldd, const void *src, long lds, int format, long rows, long cols) {
	switch (format) {
	case W_Q4_0: BLOCKS(q4_0, 32, 18)
	case W_Q4_1: BLOCKS(q4_1, 32, 20)
	case W_Q5_0: BLOCKS(q5_0, 32, 22)
	case W_Q5_1: BLOCKS(q5_1, 32, 24)
	case W_Q8_0: BLOCKS(q8_0, 32, 34)
	case W_Q2_K: BLOCKS(q2_k, 256, 84)
	case W_Q3_K: BLOCKS(q3_k, 256, 110)
	case W_Q4_K: BLOCKS(q4_k, 256, 144)
	case W_Q5_K: BLOCKS(q5_k, 256, 176)
	case W_Q6_K: BLOCKS(q6_k, 256, 210)
	case W_IQ4_NL: BLOCKS(iq4_nl, 32, 18)
	case W_IQ4_XS: BLOCKS(iq4_xs, 256, 136)
	}
}
