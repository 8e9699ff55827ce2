// What the kernels of Linear have in common: their arguments, and what comes after the product.
#pragma once
#include "common.h"

// TYPE_A is X, TYPE_B the weights, TYPE_C Add.
struct LinearArgs {
    uint m, n, k, ldx, ldw, ldadd, ldy;
    uint block, nested_block; // NF4: weights per scale, scales per nested scale; with SHIFT their logarithms
    float nested_offset;
    uint band, by_columns; // the swizzle, see tile_of
};

// FLAGS
enum : uint { LINEAR_BIAS = 1, LINEAR_GATE = 2, LINEAR_ADD = 4, LINEAR_SCALE = 8 }; // SCALE: INT8's and FP8's, of each row
enum : uint { LINEAR_SHIFT = 16, LINEAR_RAW_X = 32, LINEAR_RAW_W = 64, LINEAR_WHOLE = 128 }; // WHOLE: k is a multiple of 32
enum : uint { LINEAR_OCTS = 256 }; // X and W are raw, k is whole, and rows begin at multiples of 8 elements

// finish brings one sum to Y.
inline void finish(constant LinearArgs &a, device const void *scale, device const float *bias, device const float *gate,
                   device const void *add, device void *y, uint i, uint o, float v) {
    if (FLAGS & LINEAR_SCALE)
        v *= ((device const float *)scale)[o];
    if (FLAGS & LINEAR_BIAS)
        v += bias[o];
    v = apply(FUNC, v);
    if (FLAGS & LINEAR_GATE)
        v *= gate[o];
    if (FLAGS & LINEAR_ADD)
        v += load(add, TYPE_C, ulong(i) * a.ldadd + o);
    store(y, TYPE_Y, ulong(i) * a.ldy + o, v);
}
