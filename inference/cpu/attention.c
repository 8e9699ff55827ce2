#include "simd.h"

#include <math.h>

// gb_softmax_tile goes one tile of keys further in an online softmax: it turns
// the scores s into exp(scale*s + rel + keybias - max), brings max and sum of each
// row up to date and rescales the row of o that was summed under the old max. The
// bias of row i is rel - i, one key further than that of the row before; rel and
// keybias may be NULL.
HOT void gb_softmax_tile(void *sv, long lds, long rows, long cols, float scale, const void *relv, const void *keybias, void *maxv, void *sumv, void *ov, long ldo, long d) {
	float *max = maxv, *sum = sumv;
	const float *kb = keybias;
	for (long i = 0; i < rows; i++) {
		float *s = (float *)sv + i * lds, *o = (float *)ov + i * ldo;
		const float *rel = relv ? (const float *)relv - i : NULL;
		vf top = splat(-INFINITY);
		for (long j = 0; j < cols; j += LANES) {
			long n = lanes(cols - j);
			vf v = load(s + j, n) * scale;
			if (rel)
				v += load(rel + j, n);
			if (kb)
				v += load(kb + j, n);
			store(s + j, v, n);
			if (n < LANES) {
				float last[LANES];
				for (long l = 0; l < LANES; l++)
					last[l] = l < n ? s[j + l] : -INFINITY;
				v = load(last, LANES);
			}
			top = pick(v > top, v, top);
		}
		float m = max_lanes(top);
		if (max[i] > m)
			m = max[i];
		if (m > max[i]) {
			float shrink = vexp(splat(max[i] - m))[0];
			sum[i] *= shrink;
			for (long j = 0; j < d; j += LANES) {
				long n = lanes(d - j);
				store(o + j, load(o + j, n) * shrink, n);
			}
			max[i] = m;
		}
		float from = m == -INFINITY ? 0 : m; // no key counts yet: exp(-inf - 0) = 0
		vf total = {0};
		long j = 0;
		for (; j + LANES <= cols; j += LANES) {
			vf e = vexp(load(s + j, LANES) - from);
			store(s + j, e, LANES);
			total += e;
		}
		float rest = 0;
		if (j < cols) {
			float e[LANES];
			store(e, vexp(load(s + j, cols - j) - from), LANES);
			for (long l = 0; j + l < cols; l++) {
				s[j + l] = e[l];
				rest += e[l];
			}
		}
		sum[i] += sum_lanes(total) + rest;
	}
}

HOT void gb_divide_rows(void *y, long ldy, const void *x, long ldx, const void *sum, long rows, long cols) {
	for (long i = 0; i < rows; i++) {
		float f = 1.0f / ((const float *)sum)[i];
		for (long j = 0; j < cols; j += LANES) {
			long n = lanes(cols - j);
			store((float *)y + i * ldy + j, load((const float *)x + i * ldx + j, n) * f, n);
		}
	}
}
