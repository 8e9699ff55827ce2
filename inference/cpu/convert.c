#include "simd.h"

typedef uint16_t u16 __attribute__((aligned(1), may_alias));

INLINE float from_f8(uint8_t b) {
	float f = as_float((uint32_t)(b & 0x7f) << 20) * 0x1p120f;
	uint32_t nan = (b & 0x7f) == 0x7f ? 0x7fc00000u : 0;
	return as_float(as_bits(f) | nan | (uint32_t)(b & 0x80) << 24);
}

// to_bf16 and to_f16 round to nearest even.
INLINE uint16_t to_bf16(float f) {
	uint32_t u = as_bits(f);
	uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16;
	return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : rounded);
}

INLINE uint16_t to_f16(float f) {
	uint32_t u = as_bits(f), sign = u >> 16 & 0x8000;
	u &= 0x7fffffff;
	uint32_t normal = (u - (112u << 23) + 0xfff + (u >> 13 & 1)) >> 13;
	uint32_t small = as_bits(as_float(u) + 0.5f) - as_bits(0.5f); // the addition shifts and rounds
	uint32_t h = u < 113u << 23 ? small : normal;
	h = u >= 0x477ff000 ? 0x7c00 : h;
	h = u > 0x7f800000 ? 0x7e00 : h;
	return (uint16_t)(h | sign);
}

INLINE void widen(float *restrict d, const void *restrict src, int dt, long n) {
	const u16 *h = src;
	const uint8_t *b = src;
	switch (dt) {
	case DT_F32: memcpy(d, src, (size_t)n * 4); break;
	case DT_F16: for (long i = 0; i < n; i++) d[i] = from_f16(h[i]); break;
	case DT_BF16: for (long i = 0; i < n; i++) d[i] = as_float((uint32_t)h[i] << 16); break;
	case DT_F8E4M3: for (long i = 0; i < n; i++) d[i] = from_f8(b[i]); break;
	case DT_F8E5M2: for (long i = 0; i < n; i++) d[i] = from_f16((uint16_t)(b[i] << 8)); break;
	}
}

INLINE void narrow(void *restrict dst, int dt, const float *restrict s, long n) {
	uint16_t *h = dst;
	switch (dt) {
	case DT_F32: memcpy(dst, s, (size_t)n * 4); break;
	case DT_F16: for (long i = 0; i < n; i++) h[i] = to_f16(s[i]); break;
	case DT_BF16: for (long i = 0; i < n; i++) h[i] = to_bf16(s[i]); break;
	}
}

static const int sizes[] = {0, 4, 2, 2, 1, 1, 1, 4, 8, 1};

// gb_convert copies elements and converts them: equal types of any kind, or float
// types to F32, F16 or BF16. dst may be src where the types are equal.
HOT void gb_convert(void *dst, long ldd, int ddt, const void *src, long lds, int sdt, long rows, long cols) {
	enum { CHUNK = 1024 };
	float tmp[CHUNK];
	for (long i = 0; i < rows; i++) {
		char *d = (char *)dst + i * ldd * sizes[ddt];
		const char *s = (const char *)src + i * lds * sizes[sdt];
		if (ddt == sdt) {
			memmove(d, s, (size_t)cols * sizes[ddt]);
		} else if (ddt == DT_F32) {
			widen((float *)d, s, sdt, cols);
		} else if (sdt == DT_F32 && (uintptr_t)s % 4 == 0) {
			narrow(d, ddt, (const float *)s, cols);
		} else {
			for (long j = 0; j < cols; j += CHUNK) {
				long n = cols - j < CHUNK ? cols - j : CHUNK;
				widen(tmp, s + j * sizes[sdt], sdt, n);
				narrow(d + j * sizes[ddt], ddt, tmp, n);
			}
		}
	}
}

#define TRANSPOSE(T)                                                          \
	for (long i0 = 0; i0 < rows; i0 += 16)                                    \
		for (long j = 0; j < cols; j++)                                       \
			for (long i = i0; i < rows && i < i0 + 16; i++)                   \
				memcpy((T *)dst + j * ldd + i, (const T *)src + i * lds + j, sizeof(T));

// gb_transpose writes dst[j,i] = src[i,j], elements of size bytes.
HOT void gb_transpose(void *dst, long ldd, const void *src, long lds, int size, long rows, long cols) {
	switch (size) {
	case 1: TRANSPOSE(uint8_t) break;
	case 2: TRANSPOSE(uint16_t) break;
	case 4: TRANSPOSE(uint32_t) break;
	case 8: TRANSPOSE(uint64_t) break;
	}
}

HOT void gb_widen_i8(void *dst, long ldd, const void *src, long lds, const void *scale, long rows, long cols) {
	for (long i = 0; i < rows; i++) {
		float *restrict d = (float *)dst + i * ldd;
		const int8_t *restrict s = (const int8_t *)src + i * lds;
		float f = ((const float *)scale)[i];
		for (long j = 0; j < cols; j++)
			d[j] = (float)s[j] * f;
	}
}

// gb_scale_rows multiplies each row by its scale.
HOT void gb_scale_rows(void *dst, long ldd, const void *scale, long rows, long cols) {
	for (long i = 0; i < rows; i++) {
		float *restrict d = (float *)dst + i * ldd;
		float f = ((const float *)scale)[i];
		for (long j = 0; j < cols; j++)
			d[j] *= f;
	}
}

// widen_nf4 widens elements e to end of a flattened matrix; a byte's two codes
// are looked up at once.
INLINE void widen_nf4(float *d, const uint8_t *src, long e, long end, long block, float (*pairs)[2], const float *scale) {
	while (e < end) {
		float f = scale[e / block];
		long stop = (e / block + 1) * block;
		if (stop > end)
			stop = end;
		if (e % 2 != 0) {
			*d++ = pairs[src[e / 2]][1] * f;
			e++;
		}
		for (; e + 1 < stop; e += 2, d += 2) {
			const float *p = pairs[src[e / 2]];
			d[0] = p[0] * f;
			d[1] = p[1] * f;
		}
		if (e < stop) {
			*d++ = pairs[src[e / 2]][0] * f;
			e++;
		}
	}
}

// gb_widen_nf4 widens part of a matrix whose rows are lds elements, one after the
// other: rows x cols elements from element first on.
HOT void gb_widen_nf4(void *dst, long ldd, const void *src, long first, long lds, long block, const void *codev, const void *scale, long rows, long cols) {
	const float *code = codev;
	float pairs[256][2];
	for (int b = 0; b < 256; b++) {
		pairs[b][0] = code[b >> 4];
		pairs[b][1] = code[b & 15];
	}
	for (long i = 0; i < rows; i++) {
		long e = first + i * lds;
		widen_nf4((float *)dst + i * ldd, src, e, e + cols, block, pairs, scale);
	}
}

// gb_nested_scales computes scales first to first+n from their 8-bit codes.
HOT void gb_nested_scales(void *dst, const void *src, long first, long n, long block, const void *code, const void *nested, float offset) {
	for (long i = 0; i < n; i++)
		((float *)dst)[i] = ((const float *)code)[((const uint8_t *)src)[first + i]] * ((const float *)nested)[(first + i) / block] + offset;
}
