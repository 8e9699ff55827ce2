// What the loops for AVX-512 share: PANEL columns of a matrix stand beside each other, and GROUP
// rows by PANEL sums stay in registers, as many as AVX-512 has room for.
#ifndef GIMBAL_CPU_PANEL_H
#define GIMBAL_CPU_PANEL_H

#include "simd.h"

enum { PANEL = 32, HALVES = PANEL / LANES, GROUP = 8 };

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define WIDE __attribute__((target("arch=x86-64-v4")))
#define WIDE_HERE __builtin_cpu_supports("x86-64-v4")
#else
#define WIDE
#define WIDE_HERE 0 // Accelerate's products are faster than these
#endif

typedef vf sums[GROUP][HALVES];

// outer adds rows·panel to a: GROUP rows of so many floats, and a panel [depth, PANEL].
INLINE void outer(sums a, const float *const row[GROUP], const float *panel, long depth) {
	for (long j = 0; j < depth; j++) {
		vf p0 = load(panel + j * PANEL, LANES), p1 = load(panel + j * PANEL + LANES, LANES);
#pragma GCC unroll 8
		for (int r = 0; r < GROUP; r++) {
			a[r][0] += row[r][j] * p0;
			a[r][1] += row[r][j] * p1;
		}
	}
}

#endif
