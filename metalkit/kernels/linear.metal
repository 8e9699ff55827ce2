// Linear: Y = Add + Gate * Act(X·Wᵀ + Bias), with weights of any float type, INT8, NF4, FP8 or of
// GGUF's formats.
//
// Reference: torch.nn.functional.linear; the tiles are those of a GEMM of simdgroup
// matrices, as in steel/gemm of MLX; INT8 and NF4 are bitsandbytes' (Dettmers et al., LLM.int8()
// and QLoRA, arXiv 2208.07339 and 2305.14314). Checked against loops in float64 by
// inference/device/devicetest/linear.go and quantised.go.
//
// Time it: gimbal bench kernel linear 17160x5120x13824
#include "blocks.h"
#include "linear.h"
#include "tile.h"

// block_scale is the scale of NF4 weight i of the flattened matrix.
inline float block_scale(constant LinearArgs &a, device const void *scale, device const float *nested,
                         device const float *nested_code, ulong i) {
    bool shift = FLAGS & LINEAR_SHIFT;
    uint b = shift ? uint(i >> a.block) : uint(i / a.block);
    if (TYPE_B == NF4)
        return ((device const float *)scale)[b];
    return nested_code[((device const uchar *)scale)[b]] * nested[shift ? b >> a.nested_block : b / a.nested_block] + a.nested_offset;
}

// weight is W[o, k] but for INT8 and FP8, where the scale of row o is left to finish.
inline float weight(constant LinearArgs &a, device const void *w, device const void *scale, device const float *code,
                    device const float *nested, device const float *nested_code, uint o, uint k) {
    if (TYPE_B == I8)
        return float(((device const char *)w)[ulong(o) * a.ldw + k]);
    if (TYPE_B >= Q4_0)
        return block_weight((device const uchar *)w + ulong(o) * a.ldw, k);
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
    if (TYPE_B >= Q4_0)
        return block_weight4((device const uchar *)w + ulong(o) * a.ldw, k);
    if (TYPE_B != NF4 && TYPE_B != NF4_NESTED)
        return load4(w, TYPE_B, ulong(o) * a.ldw + k);
    ulong i = ulong(o) * a.k + k;
    uint first = ((device const uchar *)w)[i / 2], second = ((device const uchar *)w)[i / 2 + 1];
    float s = block_scale(a, scale, nested, nested_code, i);
    return float4(code[first >> 4] * s, code[first & 15] * s, code[second >> 4] * s, code[second & 15] * s);
}

// linear computes tiles of Y from slices of X and W that are converted to T on
// their way to threadgroup memory. The first direct of W and X are of type T as they
// are: their matrices come from device memory. Then W (and X) has a multiple of 8
// rows, and so have k and the rows' length.
template <typename T, int rows, int cols, int depth, int down, int across, int direct>
kernel void linear(constant LinearArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *w [[buffer(2)]],
                   device const void *scale [[buffer(3)]], device const float *code [[buffer(4)]],
                   device const float *nested [[buffer(5)]], device const float *nested_code [[buffer(6)]],
                   device const float *bias [[buffer(7)]], device const float *gate [[buffer(8)]],
                   device const void *add [[buffer(9)]], device void *y [[buffer(10)]],
                   uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                   uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint ld = tile_ld<T>(depth), threads = 32 * down * across, height = rows / down, width = cols / across;
    constexpr uint slices = (direct < 2 ? rows : 0) + (direct < 1 ? cols : 0);
    SHARED(float, memory, tile_memory<T>(slices, depth, down * across, width));
    threadgroup T *xs = (threadgroup T *)memory, *ws = xs + rows * ld;
    simdgroup_float8x8 sums[height / 8][width / 8];
    tile_clear(sums);

    uint2 tile = tile_of(group.x, (a.n + cols - 1) / cols, (a.m + rows - 1) / rows, a.band, a.by_columns);
    uint i0 = tile[1] * rows, o0 = tile[0] * cols;
    uint simd_row = simd / across * height, simd_col = simd % across * width; // of the tile
    uint i1 = min(i0 + simd_row, a.m - min(a.m, 8u)), o1 = min(o0 + simd_col, a.n - min(a.n, 8u));
    constexpr uint step = threads * 4 / depth; // rows that the threadgroup loads at a time, four elements per thread
    static_assert(rows % step == 0 && cols % step == 0, "a slice is no whole number of loads");
    // Where this thread's quads are. The last row stands in for those after it, whose results
    // nobody stores. What is of type T as it is, of 16 bits, is copied raw.
    bool raw_x = sizeof(T) == 2 && (FLAGS & LINEAR_RAW_X), raw_w = sizeof(T) == 2 && (FLAGS & LINEAR_RAW_W);
    bool octs = sizeof(T) == 2 && (FLAGS & LINEAR_OCTS);
    constexpr uint step8 = sizeof(T) == 2 ? threads * 8 / depth : step;
    static_assert(rows % step8 == 0 && cols % step8 == 0, "a slice is no whole number of loads");
    uint column8 = tid * 8 % depth, first8 = tid * 8 / depth;
    ulong x8_at[rows / step8], w8_at[cols / step8];
    UNROLL for (uint r = 0; r < rows / step8; r++)
        x8_at[r] = ulong(min(i0 + first8 + r * step8, a.m - 1)) * a.ldx + column8;
    UNROLL for (uint r = 0; r < cols / step8; r++)
        w8_at[r] = ulong(min(o0 + first8 + r * step8, a.n - 1)) * a.ldw + column8;
    uint column = tid * 4 % depth, first = tid * 4 / depth;
    uint o_of[cols / step];
    ulong x_at[rows / step], w_at[cols / step];
    UNROLL for (uint r = 0; r < rows / step; r++)
        x_at[r] = ulong(min(i0 + first + r * step, a.m - 1)) * a.ldx + column;
    UNROLL for (uint r = 0; r < cols / step; r++) {
        o_of[r] = min(o0 + first + r * step, a.n - 1);
        w_at[r] = ulong(o_of[r]) * a.ldw + column;
    }
    for (uint k0 = 0; k0 < a.k; k0 += depth) {
        if (direct < 2)
            threadgroup_barrier(mem_flags::mem_threadgroup);
        if (ALIGNED && direct < 2 && octs) { // everything is under way before the first element is stored
            uint4 xv[rows / step8], wv[cols / step8];
            UNROLL for (uint r = 0; r < rows / step8; r++)
                xv[r] = OCT(x, x8_at[r] + k0);
            UNROLL for (uint r = 0; r < (direct < 1 ? cols / step8 : 0); r++)
                wv[r] = OCT(w, w8_at[r] + k0);
            UNROLL for (uint r = 0; r < rows / step8; r++)
                put_oct(xs + (first8 + r * step8) * ld + column8, xv[r]);
            UNROLL for (uint r = 0; r < (direct < 1 ? cols / step8 : 0); r++)
                put_oct(ws + (first8 + r * step8) * ld + column8, wv[r]);
        } else if (ALIGNED && direct < 2) {
            bool inside = (FLAGS & LINEAR_WHOLE) || k0 + column < a.k;
            float4 xv[rows / step], wv[cols / step];
            ushort4 xr[rows / step], wr[cols / step];
            UNROLL for (uint r = 0; r < rows / step; r++) {
                if (raw_x)
                    xr[r] = inside ? QUAD(ushort, x, x_at[r] + k0) : ushort4(0);
                else
                    xv[r] = inside ? load4(x, TYPE_A, x_at[r] + k0) : float4(0.0f);
            }
            UNROLL for (uint r = 0; r < (direct < 1 ? cols / step : 0); r++) {
                if (raw_w)
                    wr[r] = inside ? QUAD(ushort, w, w_at[r] + k0) : ushort4(0);
                else
                    wv[r] = inside ? weight4(a, w, scale, code, nested, nested_code, o_of[r], k0 + column) : float4(0.0f);
            }
            UNROLL for (uint r = 0; r < rows / step; r++) {
                if (raw_x)
                    put_raw(xs + (first + r * step) * ld + column, xr[r]);
                else
                    put4(xs + (first + r * step) * ld + column, xv[r]);
            }
            UNROLL for (uint r = 0; r < (direct < 1 ? cols / step : 0); r++) {
                if (raw_w)
                    put_raw(ws + (first + r * step) * ld + column, wr[r]);
                else
                    put4(ws + (first + r * step) * ld + column, wv[r]);
            }
        } else if (direct < 2) {
            uint c = tid % depth, k = k0 + c;
            for (uint r = tid / depth; r < rows; r += threads / depth)
                xs[r * ld + c] = T(k < a.k && i0 + r < a.m ? load(x, TYPE_A, ulong(i0 + r) * a.ldx + k) : 0.0f);
            for (uint r = tid / depth; r < cols && direct < 1; r += threads / depth)
                ws[r * ld + c] =
                    T(k < a.k && o0 + r < a.n ? weight(a, w, scale, code, nested, nested_code, o0 + r, k) : 0.0f);
        }
        if (direct < 2)
            threadgroup_barrier(mem_flags::mem_threadgroup);
        threadgroup const T *xt = xs + simd_row * ld, *wt = ws + simd_col * ld;
        device const T *xd = (device const T *)x + ulong(i1) * a.ldx + k0, *wd = (device const T *)w + ulong(o1) * a.ldw + k0;
        if (direct == 0)
            tile_multiply<T, depth>(xt, ld, height, wt, ld, width, depth, sums);
        else if (direct == 1)
            tile_multiply<T, depth>(xt, ld, height, wd, a.ldw, a.n - 8 - o1, a.k - k0, sums);
        else
            tile_multiply<T, depth>(xd, a.ldx, a.m - 8 - i1, wd, a.ldw, a.n - 8 - o1, a.k - k0, sums);
    }

    threadgroup_barrier(mem_flags::mem_threadgroup); // the slices have been used
    threadgroup float *strip = memory + simd * 8 * strip_ld(width);
    UNROLL for (uint s = 0; s < height / 8; s++) {
        tile_strip(strip, sums[s]);
        for (uint e = lane; e < 8 * width; e += 32) {
            uint i = i0 + simd_row + 8 * s + e / width, o = o0 + simd_col + e % width;
            if (i < a.m && o < a.n)
                finish(a, scale, bias, gate, add, y, i, o, strip[e / width * strip_ld(width) + e % width]);
        }
    }
}
INSTANCE(linear_f32_64x64x16x4, linear, float, 64, 64, 16, 2, 2, 0);
INSTANCE(linear_f16_64x64x32x4, linear, half, 64, 64, 32, 2, 2, 0);
INSTANCE(linear_bf16_64x64x32x4, linear, bfloat, 64, 64, 32, 2, 2, 0);
INSTANCE(linear_f32_64x32x16x4, linear, float, 64, 32, 16, 2, 2, 0);
INSTANCE(linear_f16_64x32x32x4, linear, half, 64, 32, 32, 2, 2, 0);
INSTANCE(linear_bf16_64x32x32x4, linear, bfloat, 64, 32, 32, 2, 2, 0);
INSTANCE(linear_f32_32x32x16x4, linear, float, 32, 32, 16, 2, 2, 0);
INSTANCE(linear_f16_32x32x32x4, linear, half, 32, 32, 32, 2, 2, 0);
INSTANCE(linear_bf16_32x32x32x4, linear, bfloat, 32, 32, 32, 2, 2, 0);
INSTANCE(linear_f32_64x64x8x4, linear, float, 64, 64, 8, 2, 2, 0);
INSTANCE(linear_f16_64x64x16x4, linear, half, 64, 64, 16, 2, 2, 0);
INSTANCE(linear_bf16_64x64x16x4, linear, bfloat, 64, 64, 16, 2, 2, 0);
INSTANCE(linear_f32_128x64x16x8, linear, float, 128, 64, 16, 4, 2, 0);
INSTANCE(linear_f16_128x64x32x8, linear, half, 128, 64, 32, 4, 2, 0);
INSTANCE(linear_bf16_128x64x32x8, linear, bfloat, 128, 64, 32, 4, 2, 0);
INSTANCE(linear_f32_128x64x16x4, linear, float, 128, 64, 16, 2, 2, 0);
INSTANCE(linear_f16_128x64x32x4, linear, half, 128, 64, 32, 2, 2, 0);
INSTANCE(linear_bf16_128x64x32x4, linear, bfloat, 128, 64, 32, 2, 2, 0);
INSTANCE(linear_f32_64x64x8x2, linear, float, 64, 64, 8, 1, 2, 0);
INSTANCE(linear_f16_64x64x16x2, linear, half, 64, 64, 16, 1, 2, 0);
INSTANCE(linear_bf16_64x64x16x2, linear, bfloat, 64, 64, 16, 1, 2, 0);
INSTANCE(linear_f32_64x64x16x2, linear, float, 64, 64, 16, 1, 2, 0);
INSTANCE(linear_f16_64x64x32x2, linear, half, 64, 64, 32, 1, 2, 0);
INSTANCE(linear_bf16_64x64x32x2, linear, bfloat, 64, 64, 32, 1, 2, 0);
INSTANCE(linear_f32_64x64x16x4_w, linear, float, 64, 64, 16, 2, 2, 1);
INSTANCE(linear_f16_64x64x32x4_w, linear, half, 64, 64, 32, 2, 2, 1);
INSTANCE(linear_bf16_64x64x32x4_w, linear, bfloat, 64, 64, 32, 2, 2, 1);
INSTANCE(linear_f32_128x64x16x8_w, linear, float, 128, 64, 16, 4, 2, 1);
INSTANCE(linear_f16_128x64x32x8_w, linear, half, 128, 64, 32, 4, 2, 1);
INSTANCE(linear_bf16_128x64x32x8_w, linear, bfloat, 128, 64, 32, 4, 2, 1);
INSTANCE(linear_f32_32x32x16x1_xw, linear, float, 32, 32, 16, 1, 1, 2);
INSTANCE(linear_f16_32x32x32x1_xw, linear, half, 32, 32, 32, 1, 1, 2);
INSTANCE(linear_bf16_32x32x32x1_xw, linear, bfloat, 32, 32, 32, 1, 1, 2);
INSTANCE(linear_f32_64x64x16x4_xw, linear, float, 64, 64, 16, 2, 2, 2);
INSTANCE(linear_f16_64x64x32x4_xw, linear, half, 64, 64, 32, 2, 2, 2);
INSTANCE(linear_bf16_64x64x32x4_xw, linear, bfloat, 64, 64, 32, 2, 2, 2);

// linear_rows is for up to four rows of X: one simd-group per column of Y, which
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

// linear_expand brings quantised weights to T, [n, k] in Y; the scales of INT8 and FP8 are
// left to finish.
template <typename T>
kernel void linear_expand(constant LinearArgs &a [[buffer(0)]], device const void *w [[buffer(1)]],
                          device const void *scale [[buffer(2)]], device const float *code [[buffer(3)]],
                          device const float *nested [[buffer(4)]], device const float *nested_code [[buffer(5)]],
                          device T *y [[buffer(6)]], uint3 group [[threadgroup_position_in_grid]],
                          uint tid [[thread_index_in_threadgroup]], uint simd [[simdgroup_index_in_threadgroup]],
                          uint lane [[thread_index_in_simdgroup]]) {
    uint o = group.y;
    for (uint c = 0; c < 4; c++) {
        uint k = group.x * 1024 + c * 256 + tid;
        if (k < a.k)
            y[ulong(o) * a.k + k] = T(weight(a, w, scale, code, nested, nested_code, o, k));
    }
}
INSTANCE(linear_expand_f32, linear_expand, float);
INSTANCE(linear_expand_f16, linear_expand, half);
INSTANCE(linear_expand_bf16, linear_expand, bfloat);
