// Unary: Y = F(X), element by element.
//
// Reference: torch.nn.functional.silu and gelu (approximate="tanh"), torch.clamp. Checked
// against loops in float64 by inference/device/devicetest/elementwise.go.
//
// Time it: gimbal bench kernel unary 17160x13824
#include "common.h"

struct UnaryArgs {
    uint rows, cols, ldx, ldy;
};

// Each thread takes 4 elements, 256 apart.
kernel void unary(constant UnaryArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device void *y [[buffer(2)]],
                  uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                  uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    for (uint k = 0; k < 4; k++) {
        ulong e = ulong(group.x) * 1024 + k * 256 + tid;
        if (e < ulong(a.rows) * a.cols) {
            ulong i = uint(e) / a.cols, j = uint(e) % a.cols;
            store(y, TYPE_Y, i * a.ldy + j, apply(FUNC, load(x, TYPE_A, i * a.ldx + j)));
        }
    }
}
KERNEL(unary);
