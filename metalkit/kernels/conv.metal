// 3D convolution over channels-last frames as a product of gathered inputs and
// filters: rows are output pixels of one frame, columns are output channels, the
// sum goes tap by tap.
#include "common.h"

// TYPE_A is X and the frames before it, TYPE_B the filters, TYPE_C Add.
struct ConvArgs {
    uint t, h, w, cin, frame; // X: frames, size, channels, elements a frame
    uint kt, kh, kw, stride_t, stride, pad_h, pad_w, up;
    uint oh, ow, cout, yframe, addframe, ldw;
};

// FLAGS
enum : uint { CONV_BIAS = 1, CONV_ADD = 2, CONV_PREV0 = 4, CONV_PREV1 = 8 };

// conv computes tiles of 64 pixels x 64 channels of frame group.z, as linear does.
template <typename T, int depth>
kernel void conv(constant ConvArgs &a [[buffer(0)]], device const void *x [[buffer(1)]], device const void *prev0 [[buffer(2)]],
                 device const void *prev1 [[buffer(3)]], device const void *w [[buffer(4)]], device const float *bias [[buffer(5)]],
                 device const void *add [[buffer(6)]], device void *y [[buffer(7)]],
                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint side = 64, threads = 128;
    constexpr uint ld = depth + 16 / sizeof(T);
    SHARED(float, memory, side * side);
    threadgroup T *xs = (threadgroup T *)memory, *ws = xs + side * ld;
    static_assert(2 * side * ld * sizeof(T) <= side * side * sizeof(float), "the slices do not fit");

    simdgroup_float8x8 sums[4][4];
    for (uint i = 0; i < 4; i++)
        for (uint j = 0; j < 4; j++)
            sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);

    uint pixel0 = group.y * side, o0 = group.x * side, pixels = a.oh * a.ow;
    uint row = simd / 2 * 32, col = simd % 2 * 32;
    uint taps = a.kt * a.kh * a.kw;
    for (uint tap = 0; tap < taps; tap++) {
        int ti = int(group.z * a.stride_t + tap / (a.kh * a.kw)) - int(a.kt - 1);
        if (ti == -1 && !(FLAGS & CONV_PREV1) || ti == -2 && !(FLAGS & CONV_PREV0))
            continue; // a black frame, for the whole threadgroup
        device const void *frame = ti == -2 ? prev0 : ti == -1 ? prev1 : x;
        ulong start = ti > 0 ? ulong(ti) * a.frame : 0;
        int di = int(tap / a.kw % a.kh) - int(a.pad_h), dj = int(tap % a.kw) - int(a.pad_w);
        for (uint c0 = 0; c0 < a.cin; c0 += depth) {
            threadgroup_barrier(mem_flags::mem_threadgroup);
            for (uint e = tid; e < side * depth; e += threads) {
                uint r = e / depth, c = c0 + e % depth, pixel = pixel0 + r;
                int i = int(pixel / a.ow * a.stride) + di, j = int(pixel % a.ow * a.stride) + dj;
                bool inside = c < a.cin && pixel < pixels && i >= 0 && j >= 0 && i < int(a.h << a.up) && j < int(a.w << a.up);
                ulong at = start + (ulong(uint(i) >> a.up) * a.w + (uint(j) >> a.up)) * a.cin + c;
                xs[r * ld + e % depth] = T(inside ? load(frame, TYPE_A, at) : 0.0f);
                bool filter = c < a.cin && o0 + r < a.cout;
                ws[r * ld + e % depth] = T(filter ? load(w, TYPE_B, ulong(o0 + r) * a.ldw + c * taps + tap) : 0.0f);
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);
            for (uint k = 0; k < depth; k += 8) {
                simdgroup_matrix<T, 8, 8> xm[4], wm[4];
                for (uint i = 0; i < 4; i++) {
                    simdgroup_load(xm[i], xs + (row + 8 * i) * ld + k, ld);
                    simdgroup_load(wm[i], ws + (col + 8 * i) * ld + k, ld, 0, true);
                }
                for (uint i = 0; i < 4; i++)
                    for (uint j = 0; j < 4; j++)
                        simdgroup_multiply_accumulate(sums[i][j], xm[i], wm[j], sums[i][j]);
            }
        }
    }

    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint i = 0; i < 4; i++)
        for (uint j = 0; j < 4; j++)
            simdgroup_store(sums[i][j], memory + (row + 8 * i) * side + col + 8 * j, side);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = tid; e < side * side; e += threads) {
        uint pixel = pixel0 + e / side, o = o0 + e % side;
        if (pixel < pixels && o < a.cout) {
            ulong at = ulong(pixel) * a.cout + o;
            float v = memory[e];
            if (FLAGS & CONV_BIAS)
                v += bias[o];
            if (FLAGS & CONV_ADD)
                v += load(add, TYPE_C, ulong(group.z) * a.addframe + at);
            store(y, TYPE_Y, ulong(group.z) * a.yframe + at, v);
        }
    }
}
INSTANCE(conv_f32, conv, float, 16);
INSTANCE(conv_f16, conv, half, 32);
INSTANCE(conv_bf16, conv, bfloat, 32);
