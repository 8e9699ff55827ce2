// What the kernels of attention begin with: their arguments, and how rows come to threadgroup memory.
#pragma once
#include "common.h"

// TYPE_A is Q, TYPE_B K, TYPE_C V.
struct AttentionArgs {
    uint nq, nk, d, ldq, ldk, ldv, ldo, ldrel;
    float scale;
};

// FLAGS
enum : uint { ATTENTION_REL = 1, ATTENTION_KEY = 2 };
enum : uint { ATTENTION_RAW_Q = 4, ATTENTION_RAW_K = 8, ATTENTION_RAW_V = 16, ATTENTION_WHOLE = 32 }; // WHOLE: d is a multiple of width
enum : uint { ATTENTION_OCTS = 64 }; // all three are raw, d is whole, and rows begin at multiples of 8 elements

// load_rows brings columns column to column+width-1 of rows row0 to row0+count-1
// of one head to threadgroup memory. Columns that are not there are 0; the last row stands in
// for those after it, whose scores nobody counts. What is of type T as it is, of 16 bits, is
// copied raw.
template <typename T, int width, int count, int threads>
inline void load_rows(threadgroup T *to, device const void *from, uint type, bool of_t, uint ld_from, uint rows, uint row0, uint head,
                      uint columns, uint column, uint tid) {
    constexpr uint ld = width + 16 / sizeof(T);
    if (ALIGNED && sizeof(T) == 2 && (FLAGS & ATTENTION_OCTS)) {
        constexpr uint parts = sizeof(T) == 2 ? count * width / (threads * 8) : 1;
        static_assert(sizeof(T) != 2 || parts * threads * 8 == count * width, "a tile is no whole number of loads");
        uint4 v[parts];
        UNROLL for (uint p = 0; p < parts; p++) {
            uint e = (p * threads + tid) * 8;
            v[p] = OCT(from, ulong(min(row0 + e / width, rows - 1)) * ld_from + head + column + e % width);
        }
        UNROLL for (uint p = 0; p < parts; p++) {
            uint e = (p * threads + tid) * 8;
            put_oct(to + e / width * ld + e % width, v[p]);
        }
        return;
    }
    if (ALIGNED) { // everything is under way before the first element is stored
        constexpr uint parts = count * width / (threads * 4);
        static_assert(parts * threads * 4 == count * width, "a tile is no whole number of loads");
        bool raw = sizeof(T) == 2 && of_t;
        float4 v[parts];
        ushort4 u[parts];
        UNROLL for (uint p = 0; p < parts; p++) {
            uint e = (p * threads + tid) * 4, c = e % width;
            bool inside = (FLAGS & ATTENTION_WHOLE) || column + c < columns;
            ulong at = ulong(min(row0 + e / width, rows - 1)) * ld_from + head + column + c;
            if (raw)
                u[p] = inside ? QUAD(ushort, from, at) : ushort4(0);
            else
                v[p] = inside ? load4(from, type, at) : float4(0.0f);
        }
        UNROLL for (uint p = 0; p < parts; p++) {
            uint e = (p * threads + tid) * 4;
            if (raw)
                put_raw(to + e / width * ld + e % width, u[p]);
            else
                put4(to + e / width * ld + e % width, v[p]);
        }
        return;
    }
    for (uint e = tid; e < count * width; e += threads) {
        uint r = row0 + e / width, c = e % width;
        bool inside = r < rows && column + c < columns;
        to[e / width * ld + c] = T(inside ? load(from, type, ulong(r) * ld_from + head + column + c) : 0.0f);
    }
}
