// Y = Add + Gate * Act(X·Wᵀ + Bias), with weights of any float type, INT8 or NF4.
#include "common.h"

// TYPE_A is X, TYPE_B the weights, TYPE_C Add.
struct LinearArgs {
    uint m, n, k, ldx, ldw, ldadd, ldy;
    uint block, nested_block; // NF4: weights a scale, scales a nested scale
    float nested_offset;
};

// FLAGS
enum : uint { LINEAR_BIAS = 1, LINEAR_GATE = 2, LINEAR_ADD = 4 };

// weight is W[o, k] but for INT8, where the scale of row o is left to finish.
inline float weight(constant LinearArgs &a, device const void *w, device const void *scale, device const float *code,
                    device const float *nested, device const float *nested_code, uint o, uint k) {
    if (TYPE_B == I8)
        return float(((device const char *)w)[ulong(o) * a.ldw + k]);
    if (TYPE_B != NF4 && TYPE_B != NF4_NESTED)
        return load(w, TYPE_B, ulong(o) * a.ldw + k);
    ulong i = ulong(o) * a.k + k; // of the flattened matrix; the even element is in the high nibble
    uint byte = ((device const uchar *)w)[i / 2];
    float v = code[i % 2 == 0 ? byte >> 4 : byte & 15];
    uint b = uint(i / a.block);
    if (TYPE_B == NF4)
        return v * ((device const float *)scale)[b];
    return v * (nested_code[((device const uchar *)scale)[b]] * nested[b / a.nested_block] + a.nested_offset);
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

// linear computes tiles of 64 x 64, 32 x 32 in each of four simd-groups, from
// slices of X and W that are converted to T on their way to threadgroup memory.
template <typename T, int depth>
kernel void linear(constant LinearArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *w [[buffer(2)]],
                   device const void *scale [[buffer(3)]], device const float *code [[buffer(4)]],
                   device const float *nested [[buffer(5)]], device const float *nested_code [[buffer(6)]],
                   device const float *bias [[buffer(7)]], device const float *gate [[buffer(8)]],
                   device const void *add [[buffer(9)]], device void *y [[buffer(10)]],
                   uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                   uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint side = 64, threads = 128;
    constexpr uint ld = depth + 16 / sizeof(T); // rows begin in different banks
    SHARED(float, memory, side * side);         // first the slices, then the results
    threadgroup T *xs = (threadgroup T *)memory, *ws = xs + side * ld;
    static_assert(2 * side * ld * sizeof(T) <= side * side * sizeof(float), "the slices do not fit");

    simdgroup_float8x8 sums[4][4];
    for (uint i = 0; i < 4; i++)
        for (uint j = 0; j < 4; j++)
            sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);

    uint i0 = group.y * side, o0 = group.x * side;
    uint row = simd / 2 * 32, col = simd % 2 * 32; // of this simd-group's part
    for (uint k0 = 0; k0 < a.k; k0 += depth) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint e = tid; e < side * depth; e += threads) {
            uint r = e / depth, k = e % depth;
            bool inside = k0 + k < a.k;
            xs[r * ld + k] = T(inside && i0 + r < a.m ? load(x, TYPE_A, ulong(i0 + r) * a.ldx + k0 + k) : 0.0f);
            ws[r * ld + k] = T(inside && o0 + r < a.n ? weight(a, w, scale, code, nested, nested_code, o0 + r, k0 + k) : 0.0f);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        for (uint k = 0; k < depth; k += 8) {
            simdgroup_matrix<T, 8, 8> xm[4], wm[4];
            for (uint i = 0; i < 4; i++) {
                simdgroup_load(xm[i], xs + (row + 8 * i) * ld + k, ld);
                simdgroup_load(wm[i], ws + (col + 8 * i) * ld + k, ld, 0, true);
            }
            for (uint i = 0; i < 4; i++)
                for (uint j = 0; j < 4; j++)
                    simdgroup_multiply_accumulate(sums[i][j], xm[i], wm[j], sums[i][j]);
        }
    }

    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = 0; i < 4; i++)
        for (uint j = 0; j < 4; j++)
            simdgroup_store(sums[i][j], memory + (row + 8 * i) * side + col + 8 * j, side);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = tid; e < side * side; e += threads) {
        uint i = i0 + e / side, o = o0 + e % side;
        if (i < a.m && o < a.n)
            finish(a, scale, bias, gate, add, y, i, o, memory[e]);
    }
}
INSTANCE(linear_f32, linear, float, 16);
INSTANCE(linear_f16, linear, half, 32);
INSTANCE(linear_bf16, linear, bfloat, 32);

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
