// Conv: Y = conv3d(X, W) + Bias + Add over channels-last frames, causal in time, as a
// product of gathered inputs and filters (an implicit GEMM): rows are output pixels of one
// frame, columns are output channels, and the sum goes over k = (tap, channel), the channel
// innermost.
//
// Reference: torch.nn.functional.conv3d, with the padding of CausalConv3d in wan/modules/vae.py
// of Wan 2.1. Checked against loops in float64 by inference/device/devicetest/conv.go.
//
// Time it: gimbal bench kernel conv 4x480x832x96x96 --x f32 --weights f32
#include "conv.h"
#include "tile.h"

// conv computes tile group.x of frame group.z; ldw is a filter's elements, brought in
// order by conv_pack.
template <typename T, int rows, int cols, int depth, int down, int across>
kernel void conv(constant ConvArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *prev0 [[buffer(2)]],
                 device const void *prev1 [[buffer(3)]], device const void *w [[buffer(4)]], device const float *bias [[buffer(5)]],
                 device const void *add [[buffer(6)]], device void *y [[buffer(7)]],
                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint ld = tile_ld<T>(depth), threads = 32 * down * across, height = rows / down, wide = cols / across;
    constexpr uint most = rows * depth / threads;
    SHARED(float, memory, tile_memory<T>(rows + cols, depth, down * across, wide));
    threadgroup T *xs = (threadgroup T *)memory, *ws = xs + rows * ld;
    simdgroup_float8x8 sums[height / 8][wide / 8];
    tile_clear(sums);

    uint pixels = a.oh * a.ow;
    uint2 tile = tile_of(group.x, (a.cout + cols - 1) / cols, (pixels + rows - 1) / rows, a.band, false);
    uint pixel0 = tile[1] * rows, o0 = tile[0] * cols;
    uint simd_row = simd / across * height, simd_col = simd % across * wide; // of the tile
    uint n = ALIGNED ? 4 : 1; // elements that a thread loads at a time
    uint column = tid * n % depth, first = tid * n / depth, step = threads * n / depth;
    int h = int(a.h << a.up), width = int(a.w << a.up);
    int row_of[most], column_of[most]; // of this thread's inputs for tap 0
    for (uint p = 0; p < most / n; p++) {
        uint pixel = pixel0 + first + p * step;
        row_of[p] = pixel < pixels ? int(pixel / a.ow * a.stride) - int(a.pad_h) : h;
        column_of[p] = int(pixel % a.ow * a.stride) - int(a.pad_w);
    }
    uint area = a.kh * a.kw, depth_all = a.kt * area * a.cin;
    int t0 = int(group.z * a.stride_t) - int(a.kt - 1);

    for (uint k0 = skipped_frames(t0) * area * a.cin; k0 < depth_all; k0 += depth) {
        uint k = k0 + column, tap = k / a.cin, c = k % a.cin;
        int t = t0 + int(tap / area), di = int(tap / a.kw % a.kh), dj = int(tap % a.kw);
        bool inside = k < depth_all && !black(t);
        device const void *frame = t == -2 ? prev0 : t == -1 ? prev1 : x;
        ulong start = (t > 0 ? ulong(t) * a.frame : 0) + c;
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (ALIGNED) { // everything is under way before the first element is stored
            constexpr uint by = threads * 4 / depth; // rows that the threadgroup loads at a time
            static_assert(rows % by == 0 && cols % by == 0, "a slice is no whole number of loads");
            float4 xv[rows / by], wv[cols / by];
            UNROLL for (uint p = 0; p < rows / by; p++) {
                int i = row_of[p] + di, j = column_of[p] + dj;
                bool there = inside && i >= 0 && j >= 0 && i < h && j < width;
                xv[p] = there ? load4(frame, TYPE_A, start + (ulong(i >> a.up) * a.w + (j >> a.up)) * a.cin) : float4(0.0f);
            }
            UNROLL for (uint p = 0; p < cols / by; p++) {
                uint o = o0 + first + p * by;
                wv[p] = k < depth_all && o < a.cout ? load4(w, TYPE_B, ulong(o) * a.ldw + k) : float4(0.0f);
            }
            UNROLL for (uint p = 0; p < rows / by; p++)
                put4(xs + (first + p * by) * ld + column, xv[p]);
            UNROLL for (uint p = 0; p < cols / by; p++)
                put4(ws + (first + p * by) * ld + column, wv[p]);
        } else {
            for (uint p = 0; p < most; p++) {
                int i = row_of[p] + di, j = column_of[p] + dj;
                bool there = inside && i >= 0 && j >= 0 && i < h && j < width;
                ulong at = start + (ulong(i >> a.up) * a.w + (j >> a.up)) * a.cin;
                xs[(first + p * step) * ld + column] = T(there ? load(frame, TYPE_A, at) : 0.0f);
            }
            for (uint r = first; r < cols; r += step) {
                bool there = k < depth_all && o0 + r < a.cout;
                ws[r * ld + column] = T(there ? load(w, TYPE_B, ulong(o0 + r) * a.ldw + k) : 0.0f);
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        tile_multiply<T, depth>((threadgroup const T *)(xs + simd_row * ld), ld, height, (threadgroup const T *)(ws + simd_col * ld), ld,
                                wide, depth, sums);
    }

    threadgroup_barrier(mem_flags::mem_threadgroup); // the slices have been used
    threadgroup float *strip = memory + simd * 8 * strip_ld(wide);
    UNROLL for (uint r = 0; r < height / 8; r++) {
        tile_strip(strip, sums[r]);
        for (uint e = lane; e < 8 * wide; e += 32) {
            uint pixel = pixel0 + simd_row + 8 * r + e / wide, o = o0 + simd_col + e % wide;
            if (pixel < pixels && o < a.cout)
                conv_finish(a, bias, add, y, group.z, pixel, o, strip[e / wide * strip_ld(wide) + e % wide]);
        }
    }
}
INSTANCE(conv_f32_64x64x16x4, conv, float, 64, 64, 16, 2, 2);
INSTANCE(conv_f16_64x64x32x4, conv, half, 64, 64, 32, 2, 2);
INSTANCE(conv_bf16_64x64x32x4, conv, bfloat, 64, 64, 32, 2, 2);
INSTANCE(conv_f32_64x32x16x4, conv, float, 64, 32, 16, 2, 2);
INSTANCE(conv_f16_64x32x32x4, conv, half, 64, 32, 32, 2, 2);
INSTANCE(conv_bf16_64x32x32x4, conv, bfloat, 64, 32, 32, 2, 2);
INSTANCE(conv_f32_64x96x16x4, conv, float, 64, 96, 16, 2, 2);
INSTANCE(conv_f16_64x96x32x4, conv, half, 64, 96, 32, 2, 2);
INSTANCE(conv_bf16_64x96x32x4, conv, bfloat, 64, 96, 32, 2, 2);
INSTANCE(conv_f32_128x32x16x4, conv, float, 128, 32, 16, 4, 1);
INSTANCE(conv_f16_128x32x32x4, conv, half, 128, 32, 32, 4, 1);
INSTANCE(conv_bf16_128x32x32x4, conv, bfloat, 128, 32, 32, 4, 1);
INSTANCE(conv_f32_128x64x16x8, conv, float, 128, 64, 16, 4, 2);
INSTANCE(conv_f16_128x64x32x8, conv, half, 128, 64, 32, 4, 2);
INSTANCE(conv_bf16_128x64x32x8, conv, bfloat, 128, 64, 32, 4, 2);
INSTANCE(conv_f32_32x32x16x4, conv, float, 32, 32, 16, 2, 2);
INSTANCE(conv_f16_32x32x32x4, conv, half, 32, 32, 32, 2, 2);
INSTANCE(conv_bf16_32x32x32x4, conv, bfloat, 32, 32, 32, 2, 2);

struct ConvPackArgs {
    uint cout, cin, taps, ldw;
};

// conv_pack brings filters from (channel, tap) to (tap, channel).
template <typename T>
kernel void conv_pack(constant ConvPackArgs &a [[buffer(0)]], device const T *w [[buffer(1)]], device T *packed [[buffer(2)]],
                      uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                      uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    for (uint n = 0; n < 4; n++) {
        ulong e = ulong(group.x) * 1024 + n * 256 + tid, k = ulong(a.cin) * a.taps;
        if (e < a.cout * k) {
            ulong o = e / k, tap = e % k / a.cin, c = e % a.cin;
            packed[e] = w[o * a.ldw + c * a.taps + tap];
        }
    }
}
INSTANCE(conv_pack_1, conv_pack, uchar);
INSTANCE(conv_pack_2, conv_pack, ushort);
INSTANCE(conv_pack_4, conv_pack, uint);
