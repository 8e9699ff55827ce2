// Conv by matmul2d, of slices that are gathered and brought to T as conv.metal does it: channels, and the
// rows of filters, begin at multiples of four elements. It is for GPUs with Neural Accelerators only, see metal4.h.
//
// Reference: torch.nn.functional.conv3d, with the padding of CausalConv3d in wan/modules/vae.py
// of Wan 2.1. Checked against loops in float64 by inference/device/devicetest/conv.go.
//
// Time it: gimbal bench kernel conv 4x480x832x96x96 --x f32 --weights f32
#include "metal4.h"
#include "conv.h"
#include "swizzle.h"

// conv_matmul2d computes tile group.x of frame group.z; ldw is a filter's elements, brought in
// order by conv_pack.
template <typename T, int rows, int cols, int depth, int simds>
kernel void conv_matmul2d(constant ConvArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *prev0 [[buffer(2)]],
                          device const void *prev1 [[buffer(3)]], device const void *w [[buffer(4)]], device const float *bias [[buffer(5)]],
                          device const void *add [[buffer(6)]], device void *y [[buffer(7)]],
                          uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                          uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint ld = depth + 8, threads = 32 * simds, by = threads * 4 / depth; // by rows at a time, four elements per thread
    static_assert(rows % by == 0 && cols % by == 0, "a slice is no whole number of loads");
    SHARED(T, xs, rows * ld);
    SHARED(T, ws, cols * ld);
    using Slice = tensor<threadgroup T, dextents<int32_t, 2>, tensor_inline>;
    Slice left(xs, dextents<int32_t, 2>(depth, rows), array<int32_t, 2>({1, int(ld)}));
    Slice right(ws, dextents<int32_t, 2>(depth, cols), array<int32_t, 2>({1, int(ld)}));
    constexpr auto how = matmul2d_descriptor(rows, cols, static_cast<int>(dynamic_extent), false, true, false,
                                             matmul2d_descriptor::mode::multiply_accumulate);
    matmul2d<how, execution_simdgroups<simds>> product;
    auto sums = product.template get_destination_cooperative_tensor<Slice, Slice, float>();
    UNROLL for (uint16_t e = 0; e < sums.get_capacity(); e++) {
        if (sums.is_valid_element(e))
            sums[e] = 0.0f;
    }

    uint pixels = a.oh * a.ow;
    uint2 tile = tile_of(group.x, (a.cout + cols - 1) / cols, (pixels + rows - 1) / rows, a.band, false);
    uint pixel0 = tile[1] * rows, o0 = tile[0] * cols, column = tid * 4 % depth, first = tid * 4 / depth;
    int h = int(a.h << a.up), width = int(a.w << a.up);
    int row_of[rows / by], column_of[rows / by]; // of this thread's inputs for tap 0
    UNROLL for (uint p = 0; p < rows / by; p++) {
        uint pixel = pixel0 + first + p * by;
        row_of[p] = pixel < pixels ? int(pixel / a.ow * a.stride) - int(a.pad_h) : h;
        column_of[p] = int(pixel % a.ow * a.stride) - int(a.pad_w);
    }
    uint area = a.kh * a.kw, depth_all = a.kt * area * a.cin;
    int t0 = int(group.z * a.stride_t) - int(a.kt - 1);
    for (uint k0 = skipped_frames(t0) * area * a.cin; k0 < depth_all; k0 += depth) {
        uint k = k0 + column, tap = k / a.cin;
        int t = t0 + int(tap / area), di = int(tap / a.kw % a.kh), dj = int(tap % a.kw);
        bool inside = k < depth_all && !black(t);
        device const void *frame = t == -2 ? prev0 : t == -1 ? prev1 : x;
        ulong start = (t > 0 ? ulong(t) * a.frame : 0) + k % a.cin;
        float4 xv[rows / by], wv[cols / by]; // everything is under way before the first element is stored
        UNROLL for (uint p = 0; p < rows / by; p++) {
            int i = row_of[p] + di, j = column_of[p] + dj;
            bool there = inside && i >= 0 && j >= 0 && i < h && j < width;
            xv[p] = there ? load4(frame, TYPE_A, start + (ulong(i >> a.up) * a.w + (j >> a.up)) * a.cin) : float4(0.0f);
        }
        UNROLL for (uint p = 0; p < cols / by; p++) {
            uint o = o0 + first + p * by;
            wv[p] = k < depth_all && o < a.cout ? load4(w, TYPE_B, ulong(o) * a.ldw + k) : float4(0.0f);
        }
        threadgroup_barrier(mem_flags::mem_threadgroup); // the slice before has been used
        UNROLL for (uint p = 0; p < rows / by; p++)
            put4(xs + (first + p * by) * ld + column, xv[p]);
        UNROLL for (uint p = 0; p < cols / by; p++)
            put4(ws + (first + p * by) * ld + column, wv[p]);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        product.run(left, right, sums);
    }

    UNROLL for (uint16_t e = 0; e < sums.get_capacity(); e++) {
        if (!sums.is_valid_element(e))
            continue;
        auto at = sums.get_multidimensional_index(e); // the column first
        uint pixel = pixel0 + uint(at[1]), o = o0 + uint(at[0]);
        if (pixel < pixels && o < a.cout)
            conv_finish(a, bias, add, y, group.z, pixel, o, sums[e]);
    }
}
INSTANCE(conv_matmul2d_f16_64x64x32x4, conv_matmul2d, half, 64, 64, 32, 4);
INSTANCE(conv_matmul2d_bf16_64x64x32x4, conv_matmul2d, bfloat, 64, 64, 32, 4);
INSTANCE(conv_matmul2d_f16_128x32x32x4, conv_matmul2d, half, 128, 32, 32, 4);
INSTANCE(conv_matmul2d_bf16_128x32x32x4, conv_matmul2d, bfloat, 128, 32, 32, 4);
INSTANCE(conv_matmul2d_f16_128x64x32x4, conv_matmul2d, half, 128, 64, 32, 4);
INSTANCE(conv_matmul2d_bf16_128x64x32x4, conv_matmul2d, bfloat, 128, 64, 32, 4);
