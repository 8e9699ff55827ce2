// Norm: Y = Act((n * Weight + Bias) * (1 + Scale) + Shift), where n is the row of X
// after RMS or layer norm.
//
// Reference: torch.nn.functional.layer_norm and rms_norm, and the modulation of a DiT's AdaLN
// (Peebles and Xie, arXiv 2212.09748). Checked against loops in float64 by
// inference/device/devicetest/norm.go.
//
// Time it: gimbal bench kernel norm 17160x5120
#include "common.h"

struct NormArgs {
    uint rows, cols, ldx, ldy;
    float eps;
};

// FLAGS
enum : uint { NORM_WEIGHT = 1, NORM_BIAS = 2, NORM_SCALE = 4, NORM_SHIFT = 8, NORM_LAYER = 16 };

// row_sum adds v over the threads that share a row.
template <bool wide> inline float row_sum(float v, threadgroup float *parts, uint simd, uint lane) {
    return wide ? sum_all(v, parts, 8, simd, lane) : simd_sum(v);
}

// norm_rows gives a row to a threadgroup of 256 if it is wide, and to a simd-group of
// that if not.
template <bool wide>
kernel void norm_rows(constant NormArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const float *weight [[buffer(2)]],
                 device const float *bias [[buffer(3)]], device const float *scale [[buffer(4)]],
                 device const float *shift [[buffer(5)]], device void *y [[buffer(6)]],
                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    SHARED(float, parts, 8);
    ulong row = wide ? group.x : group.x * 8 + simd, from = row * a.ldx, to = row * a.ldy;
    uint first = wide ? tid : lane, step = wide ? 256 : 32;
    if (row >= a.rows)
        return; // the whole simd-group; there is no barrier where rows are narrow
    float mean = 0;
    if (FLAGS & NORM_LAYER) {
        float sum = 0;
        for (uint j = first; j < a.cols; j += step)
            sum += load(x, TYPE_A, from + j);
        mean = row_sum<wide>(sum, parts, simd, lane) / a.cols;
    }
    float squares = 0, rest = 0;
    for (uint j = first; j < a.cols; j += step) {
        float v = load(x, TYPE_A, from + j) - mean;
        squares += v * v;
        rest += v;
    }
    float variance = row_sum<wide>(squares, parts, simd, lane) / a.cols;
    if (FLAGS & NORM_LAYER) { // what rounding left out of a mean far from zero
        rest = row_sum<wide>(rest, parts, simd, lane) / a.cols;
        mean += rest;
        variance -= rest * rest;
    }
    float r = precise::rsqrt(variance + a.eps);
    for (uint j = first; j < a.cols; j += step) {
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
INSTANCE(norm_wide, norm_rows, true);
INSTANCE(norm_narrow, norm_rows, false);
