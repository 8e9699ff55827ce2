// Linear by matmul2d, of operands that are of the types that it multiplies as they are: X of
// T, and W of T or INT8. It is for GPUs with Neural Accelerators only, see metal4.h.
//
// Reference: torch.nn.functional.linear; MPPTensorOpsMatMul2d.h of Apple's MetalPerformancePrimitives has
// the operation and what it takes, and says that any thread may have any elements of the result. Checked
// against loops in float64 by inference/device/devicetest/linear.go and quantised.go.
//
// Time it: gimbal bench kernel linear 17160x5120x13824
#include "metal4.h"
#include "linear.h"
#include "swizzle.h"

// linear_tile computes the tile of Y that threadgroup number group has.
template <typename T, typename Weight, int rows, int cols, int simds>
inline void linear_tile(constant LinearArgs &a, device const void *x, device const void *w, device const void *scale,
                        device const float *bias, device const float *gate, device const void *add, device void *y, uint group) {
    using Rows = tensor<device T, dextents<int32_t, 2>, tensor_inline>;
    using Columns = tensor<device Weight, dextents<int32_t, 2>, tensor_inline>;
    uint2 tile = tile_of(group, (a.n + cols - 1) / cols, (a.m + rows - 1) / rows, a.band, a.by_columns);
    uint i0 = tile[1] * rows, o0 = tile[0] * cols;
    Rows xs((device T *)x + ulong(i0) * a.ldx, dextents<int32_t, 2>(int(a.k), int(a.m - i0)), array<int32_t, 2>({1, int(a.ldx)}));
    Columns ws((device Weight *)w + ulong(o0) * a.ldw, dextents<int32_t, 2>(int(a.k), int(a.n - o0)), array<int32_t, 2>({1, int(a.ldw)}));
    constexpr auto how = matmul2d_descriptor(rows, cols, static_cast<int>(dynamic_extent), false, true, false, // W is transposed
                                             matmul2d_descriptor::mode::multiply);
    matmul2d<how, execution_simdgroups<simds>> product;
    auto sums = product.template get_destination_cooperative_tensor<Rows, Columns, float>();
    product.run(xs, ws, sums);
    UNROLL for (uint16_t e = 0; e < sums.get_capacity(); e++) {
        if (!sums.is_valid_element(e))
            continue;
        auto at = sums.get_multidimensional_index(e); // the column first
        uint i = i0 + uint(at[1]), o = o0 + uint(at[0]);
        if (i < a.m && o < a.n)
            finish(a, scale, bias, gate, add, y, i, o, sums[e]);
    }
}

// linear_matmul2d multiplies X and W of type T.
template <typename T, int rows, int cols, int simds>
kernel void linear_matmul2d(constant LinearArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *w [[buffer(2)]],
                            device const void *scale [[buffer(3)]], device const float *code [[buffer(4)]],
                            device const float *nested [[buffer(5)]], device const float *nested_code [[buffer(6)]],
                            device const float *bias [[buffer(7)]], device const float *gate [[buffer(8)]],
                            device const void *add [[buffer(9)]], device void *y [[buffer(10)]],
                            uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                            uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    linear_tile<T, T, rows, cols, simds>(a, x, w, scale, bias, gate, add, y, group.x);
}
INSTANCE(linear_matmul2d_f16_64x64x4, linear_matmul2d, half, 64, 64, 4);
INSTANCE(linear_matmul2d_bf16_64x64x4, linear_matmul2d, bfloat, 64, 64, 4);
INSTANCE(linear_matmul2d_f16_64x128x4, linear_matmul2d, half, 64, 128, 4);
INSTANCE(linear_matmul2d_bf16_64x128x4, linear_matmul2d, bfloat, 64, 128, 4);
INSTANCE(linear_matmul2d_f16_128x64x4, linear_matmul2d, half, 128, 64, 4);
INSTANCE(linear_matmul2d_bf16_128x64x4, linear_matmul2d, bfloat, 128, 64, 4);
INSTANCE(linear_matmul2d_f16_128x128x8, linear_matmul2d, half, 128, 128, 8);
INSTANCE(linear_matmul2d_bf16_128x128x8, linear_matmul2d, bfloat, 128, 128, 8);

// linear_matmul2d_int8 multiplies X of type T and W of INT8, whose scales finish brings in.
template <typename T, int rows, int cols, int simds>
kernel void linear_matmul2d_int8(constant LinearArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *w [[buffer(2)]],
                                 device const void *scale [[buffer(3)]], device const float *code [[buffer(4)]],
                                 device const float *nested [[buffer(5)]], device const float *nested_code [[buffer(6)]],
                                 device const float *bias [[buffer(7)]], device const float *gate [[buffer(8)]],
                                 device const void *add [[buffer(9)]], device void *y [[buffer(10)]],
                                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    linear_tile<T, int8_t, rows, cols, simds>(a, x, w, scale, bias, gate, add, y, group.x);
}
INSTANCE(linear_matmul2d_int8_f16_64x64x4, linear_matmul2d_int8, half, 64, 64, 4);
INSTANCE(linear_matmul2d_int8_bf16_64x64x4, linear_matmul2d_int8, bfloat, 64, 64, 4);
INSTANCE(linear_matmul2d_int8_f16_64x128x4, linear_matmul2d_int8, half, 64, 128, 4);
INSTANCE(linear_matmul2d_int8_bf16_64x128x4, linear_matmul2d_int8, bfloat, 64, 128, 4);
INSTANCE(linear_matmul2d_int8_f16_128x64x4, linear_matmul2d_int8, half, 128, 64, 4);
INSTANCE(linear_matmul2d_int8_bf16_128x64x4, linear_matmul2d_int8, bfloat, 128, 64, 4);
INSTANCE(linear_matmul2d_int8_f16_128x128x8, linear_matmul2d_int8, half, 128, 128, 8);
INSTANCE(linear_matmul2d_int8_bf16_128x128x8, linear_matmul2d_int8, bfloat, 128, 128, 8);
