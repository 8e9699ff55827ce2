// A product of rows by cols in a threadgroup of down by across simd-groups, from
// slices of depth of both factors: what linear and conv have in common. Every
// simd-group takes rows/down by cols/across of it, in matrices of 8 x 8 that stay in
// registers. All tiles add the same products in the same order, so that their
// results have the same bits.
#pragma once
#include "swizzle.h"

// tile_ld is the step from row to row of a slice; rows begin in different banks.
template <typename T> constexpr uint tile_ld(uint depth) { return depth + 16 / sizeof(T); }

// strip_ld is the step from row to row of a strip, 8 rows of a simd-group's results.
constexpr uint strip_ld(uint width) { return width + 4; }

// tile_memory is how many floats hold slices of so many rows in all, and after them
// a strip of each simd-group.
template <typename T> constexpr uint tile_memory(uint rows, uint depth, uint simds, uint width) {
    uint slices = rows * tile_ld<T>(depth) * sizeof(T) / sizeof(float), strips = simds * 8 * strip_ld(width);
    return slices > strips ? slices : strips;
}

template <int down, int across> inline void tile_clear(thread simdgroup_float8x8 (&sums)[down][across]) {
    UNROLL for (uint i = 0; i < down; i++)
        UNROLL for (uint j = 0; j < across; j++)
            sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
}

// tile_multiply adds the product of a slice of X, 8*down rows a step of ldx apart,
// and one of W, 8*across rows, transposed; both lie in threadgroup or in device
// memory. Of a slice that has fewer rows the last 8 are taken again, from row lastx
// or lastw; k is how much of depth there is.
template <typename T, int depth, int down, int across, typename X, typename W>
inline void tile_multiply(X xs, uint ldx, uint lastx, W ws, uint ldw, uint lastw, uint k,
                          thread simdgroup_float8x8 (&sums)[down][across]) {
    if (!HOLDS_MATRIX)
        return;
    UNROLL for (uint c = 0; c < depth; c += 8) {
        if (c >= k)
            continue;
        simdgroup_matrix<T, 8, 8> xm[down], wm[across];
        UNROLL for (uint i = 0; i < down; i++)
            simdgroup_load(xm[i], xs + ulong(min(8 * i, lastx)) * ldx + c, ldx);
        UNROLL for (uint j = 0; j < across; j++)
            simdgroup_load(wm[j], ws + ulong(min(8 * j, lastw)) * ldw + c, ldw, 0, true);
        UNROLL for (uint i = 0; i < down; i++)
            UNROLL for (uint j = 0; j < across; j++)
                simdgroup_multiply_accumulate(sums[i][j], xm[i], wm[j], sums[i][j]);
    }
}

// tile_strip brings 8 rows of results to the simd-group's own memory.
template <int across>
inline void tile_strip(threadgroup float *strip, thread simdgroup_float8x8 (&sums)[across]) {
    simdgroup_barrier(mem_flags::mem_threadgroup); // the strip before has been read
    UNROLL for (uint j = 0; j < across; j++)
        simdgroup_store(sums[j], strip + 8 * j, strip_ld(8 * across));
    simdgroup_barrier(mem_flags::mem_threadgroup);
}
