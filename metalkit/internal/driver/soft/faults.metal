// Kernels with a mistake, or without: MISTAKE chooses. See soft_test.go.
#include "../../../kernels/metal4.h"
#include "../../../kernels/common.h"

struct FaultArgs {
    uint at; // an index
};

CONSTANT(uint, MISTAKE, 0);
enum : uint { NONE, NO_BARRIER, RETURN, FEWER, DIVERGENT, DIFFERENT, BEYOND, BEFORE, UNALIGNED, TOO_MUCH, ALONE, OTHERS, TOO_FAR, TOO_FEW };

// product multiplies 16 rows of X by themselves, which lie step elements apart, by a number of simd-groups.
template <int simds> inline float product(device const float *x, int step) {
    typedef tensor<device float, dextents<int32_t, 2>, tensor_inline> Rows;
    Rows rows((device float *)x, dextents<int32_t, 2>(1, 1), array<int32_t, 2>({1, step}));
    constexpr auto how = matmul2d_descriptor(32, 32, static_cast<int>(dynamic_extent), false, true);
    matmul2d<how, execution_simdgroups<simds>> op;
    auto sums = op.template get_destination_cooperative_tensor<Rows, Rows, float>();
    op.run(rows, rows, sums);
    return sums[1];
}

// short_product multiplies, by a number for k, fewer rows than it reads.
inline float short_product(device const float *x) {
    typedef tensor<device float, dextents<int32_t, 2>, tensor_inline> Rows;
    Rows rows((device float *)x, dextents<int32_t, 2>(16, 15), array<int32_t, 2>({1, 0}));
    constexpr auto how = matmul2d_descriptor(16, 16, 16, false, true);
    matmul2d<how, execution_simdgroup> op;
    auto sums = op.template get_destination_cooperative_tensor<Rows, Rows, float>();
    op.run(rows, rows, sums);
    return sums[1];
}

// fault turns 64 elements of X around, by way of threadgroup memory, and adds a sum of zeros.
kernel void fault(constant FaultArgs &a [[buffer(0)]], device const float *x [[buffer(1)]], device float *y [[buffer(2)]],
                  uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                  uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    if (MISTAKE == TOO_MUCH)
        SHARED(float, large, 8192 - 32);
    SHARED(float, tile, 64);
    SHARED(float, other, 1);
    if (MISTAKE == RETURN && tid == a.at)
        return;
    tile[tid] = x[tid];
    if (MISTAKE == BEYOND)
        tile[a.at] = 0;
    if (MISTAKE == BEFORE)
        other[-int(a.at)] = 0;
    if (MISTAKE == FEWER && simd == 0)
        return;
    if (MISTAKE != NO_BARRIER)
        threadgroup_barrier(mem_flags::mem_threadgroup);
    float v = tile[63 - tid];
    if (MISTAKE == UNALIGNED)
        v += load4(x, F32, a.at)[0] * 0;
    if (MISTAKE == DIVERGENT && lane < a.at)
        v += simd_sum(0.0f);
    if (MISTAKE == DIFFERENT) {
        if (lane < a.at)
            v += simd_sum(0.0f);
        else
            v += simd_shuffle_xor(0.0f, 1);
    }
    if (MISTAKE == ALONE && simd == 0)
        v += product<2>(x, 1) * 0;
    if (MISTAKE == OTHERS)
        v += product<4>(x, 1) * 0;
    if (MISTAKE == TOO_FAR)
        v += product<2>(x, 1 << 14) * 0;
    if (MISTAKE == TOO_FEW)
        v += short_product(x) * 0;
    y[tid] = v + simd_sum(0.0f);
}
KERNEL(fault);
