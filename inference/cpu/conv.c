#include "simd.h"

// gb_pack_weights turns rows of [cin, taps] into rows of [taps, cin].
void gb_pack_weights(void *dst, const void *src, long lds, long cin, long taps, long rows) {
	for (long o = 0; o < rows; o++)
		gb_transpose((float *)dst + o * cin * taps, cin, (const float *)src + o * lds, taps, 4, cin, taps);
}

// gb_pack_patches writes the inputs of output pixels first to first+n of a frame,
// for the rows of taps from tap on: row r of a filter is row r%kh of the frame of
// time r/kh. A pixel makes a row of [taps, kw, cin], zeros outside of the picture;
// a NULL frame is black.
void gb_pack_patches(void *dst, const void *f0, const void *f1, const void *f2, const struct gb_patch *p, long tap, long taps, long first, long n) {
	const char *frames[3] = {f0, f1, f2};
	const long pixel = p->cin * p->size, bottom = p->h << p->up, right = p->w << p->up;
	char *d = dst;
	for (long q = first; q < first + n; q++) {
		const long y0 = q / p->wout * p->stride - p->padh, x0 = q % p->wout * p->stride - p->padw;
		const int inside = x0 >= 0 && x0 + p->kw <= right && !p->up;
		for (long r = tap; r < tap + taps; r++, d += p->kw * pixel) {
			const char *frame = frames[r / p->kh];
			const long y = y0 + r % p->kh;
			if (!frame || y < 0 || y >= bottom) {
				memset(d, 0, (size_t)(p->kw * pixel));
				continue;
			}
			const char *row = frame + (y >> p->up) * p->w * pixel;
			if (inside) {
				memcpy(d, row + x0 * pixel, (size_t)(p->kw * pixel));
				continue;
			}
			for (long i = 0; i < p->kw; i++) {
				const long x = x0 + i;
				if (x < 0 || x >= right)
					memset(d + i * pixel, 0, (size_t)pixel);
				else
					memcpy(d + i * pixel, row + (x >> p->up) * pixel, (size_t)pixel);
			}
		}
	}
}
