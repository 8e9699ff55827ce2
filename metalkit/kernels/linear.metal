// Y = Add + Gate * Act(X·Wᵀ + Bias), with weights of any float type, INT8 or NF4.
#include "tile.h"

// TYPE_A is X, TYPE_B the weights, TYPE_C Add.
struct LinearArgs {
    uint m, n, k, ldx, ldw, ldadd, ldy;
    uint block, nested_block; // NF4: weights a scale, scales a nested scale
    float nested_offset;
};

// FLAGS
enum : uint { LINEAR_BIAS = 1, LINEAR_GATE = 2, LINEAR_ADD = 4 };

// block_scale is the scale of NF4 weight i of the flattened matrix.
inline float block_scale(constant LinearArgs &a, device const void *scale, device const float *nested,
                         device const float *nested_code, ulong i) {
    uint b = uint(i / a.block);
    if (TYPE_B == NF4)
        return ((device const float *)scale)[b];
    return nested_code[((device const uchar *)scale)[b]] * nested[b / a.nested_block] + a.nested_offset;
}

// weight is W[o, k] but for INT8, where the scale of row o is left to finish.
inline float weight(constant LinearArgs &a, device const void *w, device const void *scale, device const float *code,
                    device const float *nested, device const float *nested_code, uint o, uint k) {
    if (TYPE_B == I8)
        return float(((device const char *)w)[ulong(o) * a.ldw + k]);
    if (TYPE_B != NF4 && TYPE_B != NF4_NESTED)
        return load(w, TYPE_B, ulong(o) * a.ldw + k);
    ulong i = ulong(o) * a.k + k; // of the flattened matrix; the even element is in the high nibble
    uint byte = ((device const uchar *)w)[i / 2];
    return code[i % 2 == 0 ? byte >> 4 : byte & 15] * block_scale(a, scale, nested, nested_code, i);
}

// weight4 is weights k to k+3 of row o, where a quarter of a row begins at a
// multiple of 4 elements and NF4's blocks do, too.
inline float4 weight4(constant LinearArgs &a, device const void *w, device const void *scale, device const float *code,
                      device const float *nested, device const float *nested_code, uint o, uint k) {
    if (TYPE_B == I8) {
        char4 v = QUAD(char, w, ulong(o) * a.ldw + k);
        return float4(float(v[0]), float(v[1]), float(v[2]), float(v[3]));
    }
    if (TYPE_B != NF4 && TYPE_B != NF4_NESTED)
        return load4(w, TYPE_B, ulong(o) * a.ldw + k);
    ulong i = ulong(o) * a.k + k;
    uint first = ((device const uchar *)w)[i / 2], second = ((device const uchar *)w)[i / 2 + 1];
    float s = block_scale(a, scale, nested, nested_code, i);
    return float4(code[first >> 4] * s, code[first & 15] * s, code[second >> 4] * s, code[second & 15] * s);
}

// finish brings one sum to Y.
inline void finish(constant LinearArgs &a, device const void *scale, device const float *bias, device const float *gate,
                   device const void *add, device void *y, uint i, uint o, float v) {
    if (TYPE_B == I8)
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

// linear computes tiles of Y from slices of X and W that are converted to T on
// their way to threadgroup memory.
template <typename T, int depth, int cols>
kernel void linear(constant LinearArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *w [[buffer(2)]],
                   device const void *scale [[buffer(3)]], device const float *code [[buffer(4)]],
                   device const float *nested [[buffer(5)]], device const float *nested_code [[buffer(6)]],
                   device const float *bias [[buffer(7)]], device const float *gate [[buffer(8)]],
                   device const void *add [[buffer(9)]], device void *y [[buffer(10)]],
                   uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                   uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint ld = tile_ld<T>(depth);
    SHARED(float, memory, tile_memory<T>(depth, cols));
    threadgroup T *xs = (threadgroup T *)memory, *ws = xs + tile_rows * ld;
    simdgroup_float8x8 sums[4][cols / 16];
    tile_clear<cols>(sums);

    uint i0 = group.y * tile_rows, o0 = group.x * cols;
    uint n = ALIGNED ? 4 : 1; // elements that a thread loads at a time
    uint column = tid * n % depth, first = tid * n / depth, step = tile_threads * n / depth;
    for (uint k0 = 0; k0 < a.k; k0 += depth) {
        uint k = k0 + column;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint r = first; r < tile_rows; r += step) {
            bool inside = k < a.k && i0 + r < a.m;
            if (ALIGNED)
                put4(xs + r * ld + column, inside ? load4(x, TYPE_A, ulong(i0 + r) * a.ldx + k) : float4(0.0f));
            else
                xs[r * ld + column] = T(inside ? load(x, TYPE_A, ulong(i0 + r) * a.ldx + k) : 0.0f);
        }
        for (uint r = first; r < cols; r += step) {
            bool inside = k < a.k && o0 + r < a.n;
            if (ALIGNED)
                put4(ws + r * ld + column, inside ? weight4(a, w, scale, code, nested, nested_code, o0 + r, k) : float4(0.0f));
            else
                ws[r * ld + column] = T(inside ? weight(a, w, scale, code, nested, nested_code, o0 + r, k) : 0.0f);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tile_multiply<T, depth, cols>(xs, ws, simd, sums);
    }

    threadgroup_barrier(mem_flags::mem_threadgroup);
    tile_store<cols>(memory, simd, sums);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = tid; e < tile_rows * cols; e += tile_threads) {
        uint i = i0 + e / cols, o = o0 + e % cols;
        if (i < a.m && o < a.n)
            finish(a, scale, bias, gate, add, y, i, o, memory[e]);
    }
}
INSTANCE(linear_f32_64, linear, float, 16, 64);
INSTANCE(linear_f16_64, linear, half, 32, 64);
INSTANCE(linear_bf16_64, linear, bfloat, 32, 64);
INSTANCE(linear_f32_32, linear, float, 16, 32);
INSTANCE(linear_f16_32, linear, half, 32, 32);
INSTANCE(linear_bf16_32, linear, bfloat, 32, 32);

// linear_rows is for up to four rows of X: one simd-group a column of Y, which
// reads the weights once, in f32.
kernel void linear_rows(constant LinearArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *w [[buffer(2)]],
                        device const void *scale [[buffer(3)]], device const float *code [[buffer(4)]],
                        device const float *nested [[buffer(5)]], device const float *nested_code [[buffer(6)]],
                        device const float *bias [[buffer(7)]], device const float *gate [[buffer(8)]],
                        device const void *add [[buffer(9)]], device void *y [[buffer(10)]],
                        uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                        uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    uint o = group.x * 4 + simd;
    if (o >= a.n)
        return; // the whole simd-group; there is no barrier below
    float sums[4] = {0, 0, 0, 0};
    for (uint k = lane; k < a.k; k += 32) {
        float v = weight(a, w, scale, code, nested, nested_code, o, k);
        for (uint i = 0; i < 4; i++)
            if (i < a.m)
                sums[i] += v * load(x, TYPE_A, ulong(i) * a.ldx + k);
    }
    for (uint i = 0; i < 4; i++) {
        float sum = simd_sum(sums[i]);
        if (lane == i && i < a.m)
            finish(a, scale, bias, gate, add, y, i, o, sum);
    }
}
KERNEL(linear_rows);
