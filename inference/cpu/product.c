#include "panel.h"

// Products of many rows: rows of x are read as they are, and weights are packed to panels, once
// for all rows of a tile. A panel comes from the second-level cache while GROUP rows of x stay
// in the first.

int gb_wide_products(void) { return WIDE_HERE; }

// INTERLEAVE exchanges, of all pairs of vectors that are W apart in r, the odd groups of W lanes
// of the first with the even ones of the second.
#define INTERLEAVE(W, FIRST, SECOND)                                          \
	_Pragma("GCC unroll 16") for (int i = 0; i < LANES; i++) if (!(i & W)) {  \
		vf a = r[i], b = r[i + W];                                            \
		r[i] = __builtin_shufflevector(a, b, FIRST);                          \
		r[i + W] = __builtin_shufflevector(a, b, SECOND);                     \
	}
#define LIST(...) __VA_ARGS__

INLINE void transpose(vf r[LANES]) {
	INTERLEAVE(8, LIST(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), LIST(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
	INTERLEAVE(4, LIST(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27), LIST(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
	INTERLEAVE(2, LIST(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29), LIST(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
	INTERLEAVE(1, LIST(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30), LIST(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
}

// pack writes up to PANEL rows of weights as a panel [depth, PANEL], filled up with zeros.
INLINE void pack(float *dst, const float *src, long lds, long rows, long depth) {
	for (long o = 0; o < PANEL; o += LANES)
		for (long j = 0; j < depth; j += LANES) {
			long n = lanes(depth - j);
			vf r[LANES];
#pragma GCC unroll 16
			for (int i = 0; i < LANES; i++)
				r[i] = o + i < rows ? load(src + (o + i) * lds + j, n) : (vf){0};
			transpose(r);
#pragma GCC unroll 16
			for (int i = 0; i < LANES; i++)
				if (i < n)
					store(dst + (j + i) * PANEL + o, r[i], LANES);
		}
}

// gb_pack_panels writes rows of weights as panels, one after the other.
WIDE void gb_pack_panels(void *dst, const void *src, long lds, long rows, long depth) {
	for (long i = 0; i < rows; i += PANEL)
		pack((float *)dst + i * depth, (const float *)src + i * lds, lds, rows - i < PANEL ? rows - i : PANEL, depth);
}

// block computes y = x·panel, or adds it to y, of up to GROUP rows and PANEL columns.
INLINE void block(float *y, long ldy, const float *const row[GROUP], const float *panel, long rows, long cols, long depth, int add) {
	for (long r = 0; r < rows; r++)
		for (long j = 0; j < PANEL; j += LANES)
			__builtin_prefetch(y + r * ldy + j, 1); // long before it is written
	sums a = {0};
	outer(a, row, panel, depth);
#pragma GCC unroll 8
	for (int r = 0; r < GROUP; r++)
		for (int h = 0; h < HALVES; h++)
			if (r < rows && h * LANES < cols) {
				float *to = y + r * ldy + h * LANES;
				long n = lanes(cols - h * LANES);
				store(to, add ? load(to, n) + a[r][h] : a[r][h], n);
			}
}

// gb_multiply_panels computes y = x·panels, or adds it to y, for x [rows, depth] and cols columns
// in panels.
WIDE void gb_multiply_panels(void *yv, long ldy, const void *xv, long ldx, const void *panels, long rows, long cols, long depth, int add) {
	for (long i = 0; i < rows; i += GROUP) {
		long left = rows - i < GROUP ? rows - i : GROUP;
		const float *row[GROUP];
		for (int r = 0; r < GROUP; r++)
			row[r] = (const float *)xv + (i + (r < left ? r : left - 1)) * ldx;
		float *y = (float *)yv + i * ldy;
		for (long j = 0; j < cols; j += PANEL) {
			const float *panel = (const float *)panels + j * depth;
			if (left == GROUP && cols - j >= PANEL)
				block(y + j, ldy, row, panel, GROUP, PANEL, depth, add);
			else
				block(y + j, ldy, row, panel, left, cols - j, depth, add);
		}
	}
}
