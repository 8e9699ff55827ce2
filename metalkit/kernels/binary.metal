// Binary: Y = A + B or A * B, element by element; a row of B that is the only one has
// ldb 0.
//
// Reference: torch.add and torch.mul. Checked against loops in float64 by
// inference/device/devicetest/elementwise.go.
//
// Time it: gimbal bench kernel binary 17160x5120
#include "common.h"

struct BinaryArgs {
    uint rows, cols, lda, ldb, ldy;
};

enum : uint { ADD = 1, MUL };

kernel void binary(constant BinaryArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *b [[buffer(2)]],
                   device void *y [[buffer(3)]], uint3 group [[threadgroup_position_in_grid]],
                   uint tid [[thread_index_in_threadgroup]], uint simd [[simdgroup_index_in_threadgroup]],
                   uint lane [[thread_index_in_simdgroup]]) {
    for (uint k = 0; k < 4; k++) {
        ulong e = ulong(group.x) * 1024 + k * 256 + tid;
        if (e < ulong(a.rows) * a.cols) {
            ulong i = uint(e) / a.cols, j = uint(e) % a.cols;
            float u = load(x, TYPE_A, i * a.lda + j), v = load(b, TYPE_B, i * a.ldb + j);
            store(y, TYPE_Y, i * a.ldy + j, FUNC == ADD ? u + v : u * v);
        }
    }
}
KERNEL(binary);
