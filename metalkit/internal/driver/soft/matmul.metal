// The software driver's own product, in place of the one that comes with a Mac's
// system: Y = X * transposed W, one thread per element.
#include "../../../kernels/common.h"

struct MatmulArgs {
    uint m, n, k, ldx, ldw, ldy;
};

kernel void driver_matmul(constant MatmulArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *w [[buffer(2)]],
                          device void *y [[buffer(3)]], uint3 group [[threadgroup_position_in_grid]],
                          uint tid [[thread_index_in_threadgroup]], uint simd [[simdgroup_index_in_threadgroup]],
                          uint lane [[thread_index_in_simdgroup]]) {
    ulong e = ulong(group.x) * 256 + tid, i = e / a.n, o = e % a.n;
    if (i >= a.m)
        return;
    float sum = 0;
    for (uint k = 0; k < a.k; k++)
        sum += load(x, TYPE_A, i * a.ldx + k) * load(w, TYPE_B, o * a.ldw + k);
    store(y, TYPE_Y, i * a.ldy + o, sum);
}
KERNEL(driver_matmul);
