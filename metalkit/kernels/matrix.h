// The elements of simdgroup matrices, two of which each lane has: columns matrix_column and the next of
// row matrix_row. The lanes of a row find each other by simd_shuffle_xor with MATRIX_MATE and then
// MATRIX_OTHER_MATE.
//
// Where they lie is the same on every Apple GPU (steel/gemm/mma.h of MLX), though Apple's documents do
// not say so: the check of each kernel at its first use would find another place. The software driver
// has them there, too; on an NVIDIA GPU, whose header stands for this one, they lie as mma has them.
#pragma once
#include "common.h"

#ifndef MATRIX_MATE
#define MATRIX_MATE 1
#define MATRIX_OTHER_MATE 8

inline uint matrix_row(uint lane) { return lane / 16 * 4 + lane / 2 % 4; }
inline uint matrix_column(uint lane) { return lane / 8 % 2 * 4 + lane % 2 * 2; }

template <typename T, int n> inline void matrix_get(thread float (&pairs)[n][2], thread simdgroup_matrix<T, 8, 8> (&m)[n]) {
    UNROLL for (uint i = 0; i < n; i++)
        UNROLL for (uint e = 0; e < 2; e++)
            pairs[i][e] = float(ELEMENT(T, m[i], e));
}

template <typename T, int n> inline void matrix_put(thread simdgroup_matrix<T, 8, 8> (&m)[n], thread float (&pairs)[n][2]) {
    UNROLL for (uint i = 0; i < n; i++)
        UNROLL for (uint e = 0; e < 2; e++)
            ELEMENT(T, m[i], e) = T(pairs[i][e]);
}

template <int n> inline void matrix_times(thread simdgroup_float8x8 (&m)[n], float factor) {
    UNROLL for (uint i = 0; i < n; i++)
        UNROLL for (uint e = 0; e < 2; e++)
            ELEMENT(float, m[i], e) *= factor;
}

// matrix_read brings each lane's elements of some matrices to pairs.
template <typename T, int n> inline void matrix_read(thread float (&pairs)[n][2], thread simdgroup_matrix<T, 8, 8> (&m)[n]) {
    matrix_get(pairs, WHERE_ELEMENTS_ARE(m));
    ELEMENTS_ARE_DONE;
}

// matrix_write makes matrices, which are left factors, of each lane's pairs.
template <typename T, int n> inline void matrix_write(thread simdgroup_matrix<T, 8, 8> (&m)[n], thread float (&pairs)[n][2]) {
    matrix_put(WHERE_ELEMENTS_ARE(m), pairs);
    ELEMENTS_ARE_DONE;
}

// matrix_scale multiplies each lane's elements of sums by its factor.
template <int n> inline void matrix_scale(thread simdgroup_float8x8 (&m)[n], float factor) {
    matrix_times(WHERE_ELEMENTS_ARE(m), factor);
    ELEMENTS_ARE_DONE;
}
#endif
