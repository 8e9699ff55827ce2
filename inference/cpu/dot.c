#include "simd.h"

// gb_dot_rows computes y[i,o] = x[i]·w[o] for a few rows x, reading w once a row of x.
HOT void gb_dot_rows(void *y, long ldy, const void *xv, long ldx, const void *wv, long ldw, long m, long n, long k) {
	for (long o = 0; o < n; o++) {
		const float *w = (const float *)wv + o * ldw;
		for (long i = 0; i < m; i++) {
			const float *x = (const float *)xv + i * ldx;
			vf a = {0}, b = {0}, c = {0}, d = {0};
			long j = 0;
			for (; j + 4 * LANES <= k; j += 4 * LANES) {
				a += load(x + j, LANES) * load(w + j, LANES);
				b += load(x + j + LANES, LANES) * load(w + j + LANES, LANES);
				c += load(x + j + 2 * LANES, LANES) * load(w + j + 2 * LANES, LANES);
				d += load(x + j + 3 * LANES, LANES) * load(w + j + 3 * LANES, LANES);
			}
			for (; j < k; j += LANES)
				a += load(x + j, lanes(k - j)) * load(w + j, lanes(k - j));
			((float *)y)[i * ldy + o] = sum_lanes((a + b) + (c + d));
		}
	}
}
