// GatedAdd: Y = A * (Gate + Plus) + B, element by element; a row of Gate that is the only
// one has ldg 0.
//
// Reference: torch.addcmul; the gates of a DiT's AdaLN (Peebles and Xie, arXiv 2212.09748).
// Checked against loops in float64 by inference/device/devicetest/elementwise.go.
//
// Time it: gimbal bench kernel gated_add 17160x5120
#include "common.h"

struct GatedAddArgs {
    uint rows, cols, lda, ldg, ldb, ldy;
    float plus;
};

kernel void gated_add(constant GatedAddArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *g [[buffer(2)]],
                      device const void *b [[buffer(3)]], device void *y [[buffer(4)]],
                      uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                      uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    for (uint k = 0; k < 4; k++) {
        ulong e = ulong(group.x) * 1024 + k * 256 + tid;
        if (e < ulong(a.rows) * a.cols) {
            ulong i = uint(e) / a.cols, j = uint(e) % a.cols;
            float gate = load(g, TYPE_C, i * a.ldg + j) + a.plus;
            store(y, TYPE_Y, i * a.ldy + j, load(x, TYPE_A, i * a.lda + j) * gate + load(b, TYPE_B, i * a.ldb + j));
        }
    }
}
KERNEL(gated_add);
