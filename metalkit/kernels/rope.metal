// Rope: Y = rotate(X * Weight / sqrt(mean(X²) + Eps)), the norm only with a weight. A
// threadgroup of 256 takes a row.
//
// Reference: rope_apply and WanRMSNorm in wan/modules/model.py of Wan 2.1; rotary embeddings
// are of Su et al., arXiv 2104.09864. Checked against loops in float64 by
// inference/device/devicetest/norm.go.
//
// Time it: gimbal bench kernel rope 17160x40x128
#include "common.h"

struct RopeArgs {
    uint cols, half_head, ldx, ldcos, ldsin, ldy; // half_head: pairs of a head
    float eps;
};

// FLAGS
enum : uint { ROPE_WEIGHT = 1 };

kernel void rope(constant RopeArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const float *cosines [[buffer(2)]],
                 device const float *sines [[buffer(3)]], device const float *weight [[buffer(4)]], device void *y [[buffer(5)]],
                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    SHARED(float, parts, 8);
    ulong row = group.x, from = row * a.ldx, to = row * a.ldy;
    float r = 1;
    if (FLAGS & ROPE_WEIGHT) {
        float squares = 0;
        for (uint j = tid; j < a.cols; j += 256) {
            float v = load(x, TYPE_A, from + j);
            squares += v * v;
        }
        r = precise::rsqrt(sum_all(squares, parts, 8, simd, lane) / a.cols + a.eps);
    }
    for (uint p = tid; p < a.cols / 2; p += 256) {
        float u = load(x, TYPE_A, from + 2 * p) * r, v = load(x, TYPE_A, from + 2 * p + 1) * r;
        if (FLAGS & ROPE_WEIGHT) {
            u *= weight[2 * p];
            v *= weight[2 * p + 1];
        }
        uint i = p % a.half_head;
        float c = cosines[row * a.ldcos + i], s = sines[row * a.ldsin + i];
        store(y, TYPE_Y, to + 2 * p, u * c - v * s);
        store(y, TYPE_Y, to + 2 * p + 1, u * s + v * c);
    }
}
KERNEL(rope);
