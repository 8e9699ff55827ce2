#include "panel.h"

#include <math.h>

// Attention of heads of HEAD channels, with the scores of a panel of PANEL queries by STEP
// keys in the first-level cache. The lanes are queries while scores are computed, so that
// the softmax needs no sum across lanes and keys are read as they are, and channels of the
// values afterwards. GROUP keys, or queries, are computed at a time.
enum { HEAD = 128, STEP = 128 };

int gb_attention_heads(void) { return WIDE_HERE ? HEAD : 0; }

// scores writes scale * q·k + bias of a panel of queries for up to GROUP keys to s, and
// raises top to the largest of each query.
INLINE void scores(float *s, const float *q, const float *k, long keys, float scale, const float *bias, vf *top) {
	const float *key[GROUP];
	for (long r = 0; r < GROUP; r++)
		key[r] = k + (r < keys ? r : keys - 1) * HEAD;
	sums a = {0};
	outer(a, key, q, HEAD);
#pragma GCC unroll 8
	for (int r = 0; r < GROUP; r++)
		if (r < keys)
			for (int h = 0; h < HALVES; h++) {
				vf v = a[r][h] * scale + (bias ? bias[r] : 0);
				store(s + r * PANEL + h * LANES, v, LANES);
				top[h] = pick(v > top[h], v, top[h]);
			}
}

// softmax turns the scores s of so many keys into exp(s - max), and brings max and sum of
// each query up to date. shrink is what sums under the old max are to be multiplied by.
INLINE void softmax(float *s, long keys, const vf *top, float *max, float *sum, float *shrink) {
	for (int h = 0; h < HALVES; h++, s += LANES, max += LANES, sum += LANES, shrink += LANES) {
		vf was = load(max, LANES), m = top[h];
		vf by = pick(m > was, vexp(was - m), splat(1));
		store(max, m, LANES);
		store(shrink, by, LANES);
		m = pick(m == -INFINITY, splat(0), m); // no key counts yet: exp(-inf - 0) = 0
		vf total = load(sum, LANES) * by;
		for (long j = 0; j < keys; j++) {
			vf e = vexp(load(s + j * PANEL, LANES) - m);
			store(s + j * PANEL, e, LANES);
			total += e;
		}
		store(sum, total, LANES);
	}
}

// weigh computes o = o * shrink + pᵀ·v of GROUP queries and PANEL channels.
INLINE void weigh(float *o, const float *p, const float *v, long keys, const float *shrink) {
	sums a = {0};
	for (long j = 0; j < keys; j++) {
		vf v0 = load(v + j * PANEL, LANES), v1 = load(v + j * PANEL + LANES, LANES);
#pragma GCC unroll 8
		for (int r = 0; r < GROUP; r++) {
			a[r][0] += p[j * PANEL + r] * v0;
			a[r][1] += p[j * PANEL + r] * v1;
		}
	}
#pragma GCC unroll 8
	for (int r = 0; r < GROUP; r++)
		for (int h = 0; h < HALVES; h++) {
			float *to = o + r * HEAD + h * LANES;
			store(to, load(to, LANES) * shrink[r] + a[r][h], LANES);
		}
}

// gb_attention_begin brings queries to panels, [HEAD, PANEL] each, the last filled up with
// zeros, and starts their sums.
WIDE void gb_attention_begin(void *panels, void *max, void *sum, void *o, const void *q, long ldq, long rows) {
	long padded = (rows + PANEL - 1) / PANEL * PANEL;
	for (long i = 0; i < padded; i++) {
		float *to = (float *)panels + i / PANEL * PANEL * HEAD + i % PANEL;
		const float *row = (const float *)q + i * ldq;
		for (long j = 0; j < HEAD; j++)
			to[j * PANEL] = i < rows ? row[j] : 0;
		((float *)max)[i] = -INFINITY;
		((float *)sum)[i] = 0;
	}
	memset(o, 0, (size_t)(padded * HEAD) * sizeof(float));
}

// gb_attention_keys goes on to more keys, [keys, HEAD]. Their values are panels too,
// [keys, PANEL] each.
WIDE void gb_attention_keys(const void *qv, void *maxv, void *sumv, void *ov, const void *kv, const void *vv, const void *biasv, float scale, long rows, long keys) {
	const float *q = qv, *k = kv, *v = vv, *bias = biasv;
	float *max = maxv, *sum = sumv, *o = ov;
	float s[STEP * PANEL] __attribute__((aligned(64))), shrink[PANEL];
	for (long i = 0; i < rows; i += PANEL, q += PANEL * HEAD, o += PANEL * HEAD, max += PANEL, sum += PANEL)
		for (long j = 0; j < keys; j += STEP) {
			long n = keys - j < STEP ? keys - j : STEP;
			vf top[HALVES];
			for (int h = 0; h < HALVES; h++)
				top[h] = load(max + h * LANES, LANES);
			for (long g = 0; g < n; g += GROUP)
				scores(s + g * PANEL, q, k + (j + g) * HEAD, n - g, scale, bias ? bias + j + g : NULL, top);
			softmax(s, n, top, max, sum, shrink);
			for (long c = 0; c < HEAD; c += PANEL)
				for (int r = 0; r < PANEL; r += GROUP)
					weigh(o + r * HEAD + c, s + r, v + c * keys + j * PANEL, n, shrink + r);
		}
}
