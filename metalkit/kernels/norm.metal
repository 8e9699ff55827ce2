// Y = Act((n * Weight + Bias) * (1 + Scale) + Shift), where n is the row of X
// after RMS or layer norm. A threadgroup of 256 a row.
#include "common.h"

struct NormArgs {
    uint cols, ldx, ldy;
    float eps;
};

// FLAGS
enum : uint { NORM_WEIGHT = 1, NORM_BIAS = 2, NORM_SCALE = 4, NORM_SHIFT = 8, NORM_LAYER = 16 };

kernel void norm(constant NormArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const float *weight [[buffer(2)]],
                 device const float *bias [[buffer(3)]], device const float *scale [[buffer(4)]],
                 device const float *shift [[buffer(5)]], device void *y [[buffer(6)]],
                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    SHARED(float, parts, 8);
    ulong from = ulong(group.x) * a.ldx, to = ulong(group.x) * a.ldy;
    float mean = 0;
    if (FLAGS & NORM_LAYER) {
        float sum = 0;
        for (uint j = tid; j < a.cols; j += 256)
            sum += load(x, TYPE_A, from + j);
        mean = sum_all(sum, parts, 8, simd, lane) / a.cols;
    }
    float squares = 0, rest = 0;
    for (uint j = tid; j < a.cols; j += 256) {
        float v = load(x, TYPE_A, from + j) - mean;
        squares += v * v;
        rest += v;
    }
    float variance = sum_all(squares, parts, 8, simd, lane) / a.cols;
    if (FLAGS & NORM_LAYER) { // what rounding left out of a mean far from zero
        rest = sum_all(rest, parts, 8, simd, lane) / a.cols;
        mean += rest;
        variance -= rest * rest;
    }
    float r = precise::rsqrt(variance + a.eps);
    for (uint j = tid; j < a.cols; j += 256) {
        float n = (load(x, TYPE_A, from + j) - mean) * r;
        if (FLAGS & NORM_WEIGHT)
            n *= weight[j];
        if (FLAGS & NORM_BIAS)
            n += bias[j];
        if (FLAGS & NORM_SCALE)
            n *= 1 + scale[j];
        if (FLAGS & NORM_SHIFT)
            n += shift[j];
        store(y, TYPE_Y, to + j, apply(FUNC, n));
    }
}
KERNEL(norm);
