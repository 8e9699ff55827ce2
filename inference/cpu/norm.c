#include "simd.h"

#include <math.h>

INLINE float sum_squares(const float *x, long cols, float mean) {
	vf a = {0}, b = {0};
	long j = 0;
	for (; j + 2 * LANES <= cols; j += 2 * LANES) {
		vf u = load(x + j, LANES) - mean, v = load(x + j + LANES, LANES) - mean;
		a += u * u;
		b += v * v;
	}
	float s = sum_lanes(a + b);
	for (; j < cols; j++)
		s += (x[j] - mean) * (x[j] - mean);
	return s;
}

INLINE float sum(const float *x, long cols) {
	vf a = {0};
	for (long j = 0; j < cols; j += LANES)
		a += load(x + j, lanes(cols - j));
	return sum_lanes(a);
}

INLINE void norm(float *y, long ldy, const float *x, long ldx, int layer, float eps, const float *mul, const float *plus, int act, long rows, long cols) {
	for (long i = 0; i < rows; i++, x += ldx, y += ldy) {
		float mean = layer ? sum(x, cols) / (float)cols : 0;
		float inv = 1.0f / sqrtf(sum_squares(x, cols, mean) / (float)cols + eps);
		for (long j = 0; j < cols; j += LANES) {
			long n = lanes(cols - j);
			vf v = (load(x + j, n) - mean) * inv;
			store(y + j, apply(act, v * load(mul + j, n) + load(plus + j, n)), n);
		}
	}
}

// gb_norm computes y = act(norm(x) * mul + plus) row by row; y may be x.
HOT void gb_norm(void *y, long ldy, const void *x, long ldx, int layer, float eps, const void *mul, const void *plus, int act, long rows, long cols) {
	switch (act) {
	case FN_SILU: norm(y, ldy, x, ldx, layer, eps, mul, plus, FN_SILU, rows, cols); break;
	case FN_GELU: norm(y, ldy, x, ldx, layer, eps, mul, plus, FN_GELU, rows, cols); break;
	case FN_CLAMP1: norm(y, ldy, x, ldx, layer, eps, mul, plus, FN_CLAMP1, rows, cols); break;
	case FN_RELU: norm(y, ldy, x, ldx, layer, eps, mul, plus, FN_RELU, rows, cols); break;
	default: norm(y, ldy, x, ldx, layer, eps, mul, plus, FN_IDENTITY, rows, cols);
	}
}

typedef float vhalf __attribute__((vector_size(32)));

// gb_rope turns the pairs of y = x * weight / rms(x); y may be x, weight may be NULL.
HOT void gb_rope(void *yv, long ldy, const void *xv, long ldx, long heads, long d, const void *cosv, long ldc, const void *sinv, long lds, const void *weight, float eps, long rows) {
	for (long i = 0; i < rows; i++) {
		const float *x = (const float *)xv + i * ldx, *w = weight;
		const float *cos = (const float *)cosv + i * ldc, *sin = (const float *)sinv + i * lds;
		float *y = (float *)yv + i * ldy;
		float inv = 1;
		if (w)
			inv = 1.0f / sqrtf(sum_squares(x, heads * d, 0) / (float)(heads * d) + eps);
		for (long h = 0; h < heads; h++, x += d, y += d, w = w ? w + d : w) {
			long j = 0;
			for (; j + LANES <= d; j += LANES) {
				vhalf c, s;
				memcpy(&c, cos + j / 2, sizeof c);
				memcpy(&s, sin + j / 2, sizeof s);
				vf v = load(x + j, LANES) * inv;
				if (w)
					v *= load(w + j, LANES);
				vf swapped = __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
				vf cc = __builtin_shufflevector(c, c, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
				vf ss = __builtin_shufflevector(-s, s, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
				store(y + j, v * cc + swapped * ss, LANES);
			}
			for (; j < d; j += 2) {
				float a = x[j] * inv * (w ? w[j] : 1), b = x[j + 1] * inv * (w ? w[j + 1] : 1);
				y[j] = a * cos[j / 2] - b * sin[j / 2];
				y[j + 1] = a * sin[j / 2] + b * cos[j / 2];
			}
		}
	}
}
