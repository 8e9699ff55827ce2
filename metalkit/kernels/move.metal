// Move: Y = X or its transpose, with a conversion between float types or, raw, the bits
// of elements of 1, 2, 4 or 8 bytes.
//
// Reference: torch.Tensor.copy_; the transposition by tiles in threadgroup memory is that of
// Ruetsch and Micikevicius, Optimizing Matrix Transpose in CUDA, 2009. Checked against
// loops by inference/device/devicetest/move.go.
//
// Time it: gimbal bench kernel move 17160x5120
//      and: gimbal bench kernel transpose 17160x5120
#include "common.h"

struct MoveArgs {
    uint rows, cols, ldx, ldy; // rows and cols of X
};

template <typename T, bool raw> inline T element(device const void *x, ulong i) {
    if (raw)
        return ((device const T *)x)[i];
    return T(load(x, TYPE_A, i));
}

template <typename T, bool raw> inline void put(device void *y, ulong i, T v) {
    if (raw)
        ((device T *)y)[i] = v;
    else
        store(y, TYPE_Y, i, float(v));
}

template <typename T, bool raw>
kernel void move_elements(constant MoveArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device void *y [[buffer(2)]],
                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    for (uint k = 0; k < 4; k++) {
        ulong e = ulong(group.x) * 1024 + k * 256 + tid;
        if (e < ulong(a.rows) * a.cols) {
            ulong i = uint(e) / a.cols, j = uint(e) % a.cols;
            put<T, raw>(y, i * a.ldy + j, element<T, raw>(x, i * a.ldx + j));
        }
    }
}
INSTANCE(move_convert, move_elements, float, false);
INSTANCE(move_1, move_elements, uchar, true);
INSTANCE(move_2, move_elements, ushort, true);
INSTANCE(move_4, move_elements, uint, true);
INSTANCE(move_8, move_elements, ulong, true);

// move_transposed turns tiles of 32 x 32 over in threadgroup memory, so that it reads
// and writes along rows. 256 threads.
template <typename T, bool raw>
kernel void move_transposed(constant MoveArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device void *y [[buffer(2)]],
                      uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                      uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    SHARED(T, tile, 32 * 33);
    ulong i0 = ulong(group.y) * 32, j0 = ulong(group.x) * 32;
    for (uint r = simd; r < 32; r += 8)
        if (i0 + r < a.rows && j0 + lane < a.cols)
            tile[r * 33 + lane] = element<T, raw>(x, (i0 + r) * a.ldx + j0 + lane);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint r = simd; r < 32; r += 8)
        if (j0 + r < a.cols && i0 + lane < a.rows)
            put<T, raw>(y, (j0 + r) * a.ldy + i0 + lane, tile[lane * 33 + r]);
}
INSTANCE(transpose_convert, move_transposed, float, false);
INSTANCE(transpose_1, move_transposed, uchar, true);
INSTANCE(transpose_2, move_transposed, ushort, true);
INSTANCE(transpose_4, move_transposed, uint, true);
INSTANCE(transpose_8, move_transposed, ulong, true);
