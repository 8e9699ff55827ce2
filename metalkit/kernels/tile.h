// A product of 64 rows by 32 or 64 columns in a threadgroup of 128, from slices of
// both factors in threadgroup memory: what linear and conv have in common. Two by
// two simd-groups take 32 rows and half of the columns each.
#pragma once
#include "common.h"

constexpr constant uint tile_rows = 64, tile_threads = 128;

// tile_ld is the step from row to row of a slice; rows begin in different banks.
template <typename T> constexpr uint tile_ld(uint depth) { return depth + 16 / sizeof(T); }

// tile_memory is how many floats hold both slices, and after them the results.
template <typename T> constexpr uint tile_memory(uint depth, uint cols) {
    uint slices = (tile_rows + cols) * tile_ld<T>(depth) * sizeof(T) / sizeof(float), results = tile_rows * cols;
    return slices > results ? slices : results;
}

template <int cols> inline void tile_clear(thread simdgroup_float8x8 (&sums)[4][cols / 16]) {
    UNROLL for (uint i = 0; i < 4; i++)
        UNROLL for (uint j = 0; j < cols / 16; j++)
            sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
}

// tile_multiply adds the product of slice xs, [64, depth], and slice ws, [cols,
// depth], transposed.
template <typename T, int depth, int cols>
inline void tile_multiply(threadgroup const T *xs, threadgroup const T *ws, uint simd,
                          thread simdgroup_float8x8 (&sums)[4][cols / 16]) {
    if (!HOLDS_MATRIX)
        return;
    constexpr uint ld = tile_ld<T>(depth);
    xs += simd / 2 * 32 * ld;
    ws += simd % 2 * (cols / 2) * ld;
    UNROLL for (uint k = 0; k < depth; k += 8) {
        simdgroup_matrix<T, 8, 8> xm[4], wm[cols / 16];
        UNROLL for (uint i = 0; i < 4; i++)
            simdgroup_load(xm[i], xs + 8 * i * ld + k, ld);
        UNROLL for (uint j = 0; j < cols / 16; j++)
            simdgroup_load(wm[j], ws + 8 * j * ld + k, ld, 0, true);
        UNROLL for (uint i = 0; i < 4; i++)
            UNROLL for (uint j = 0; j < cols / 16; j++)
                simdgroup_multiply_accumulate(sums[i][j], xm[i], wm[j], sums[i][j]);
    }
}

// tile_store brings the results to memory, [64, cols].
template <int cols>
inline void tile_store(threadgroup float *memory, uint simd, thread simdgroup_float8x8 (&sums)[4][cols / 16]) {
    memory += simd / 2 * 32 * cols + simd % 2 * (cols / 2);
    UNROLL for (uint i = 0; i < 4; i++)
        UNROLL for (uint j = 0; j < cols / 16; j++)
            simdgroup_store(sums[i][j], memory + 8 * i * cols + 8 * j, cols);
}
