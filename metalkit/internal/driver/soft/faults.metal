// Kernels with a mistake, or without: MISTAKE chooses. See soft_test.go.
#include "../../../kernels/common.h"

struct FaultArgs {
    uint at; // an index
};

CONSTANT(uint, MISTAKE, 0);
enum : uint { NONE, NO_BARRIER, RETURN, FEWER, DIVERGENT, DIFFERENT, BEYOND, BEFORE, UNALIGNED, TOO_MUCH };

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
    y[tid] = v + simd_sum(0.0f);
}
KERNEL(fault);
