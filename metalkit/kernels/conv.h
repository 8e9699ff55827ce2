// What the kernels of Conv have in common: their arguments, which frames are not there, and what comes
// after the product.
#pragma once
#include "common.h"

// TYPE_A is X and the frames before it, TYPE_B the filters, TYPE_C Add.
struct ConvArgs {
    uint h, w, cin, frame; // X: size, channels, elements from frame to frame
    uint kt, kh, kw, stride_t, stride, pad_h, pad_w, up;
    uint oh, ow, cout, yframe, addframe, ldw, band;
};

// FLAGS
enum : uint { CONV_BIAS = 1, CONV_ADD = 2, CONV_PREV0 = 4, CONV_PREV1 = 8 };

// black says whether input frame t is nothing but zeros.
inline bool black(int t) { return (t == -1 && !(FLAGS & CONV_PREV1)) || (t == -2 && !(FLAGS & CONV_PREV0)); }

// skipped_frames is how many frames from t on are black: they add nothing.
inline uint skipped_frames(int t) {
    uint n = 0;
    while (black(t + int(n)))
        n++;
    return n;
}

// conv_finish brings one sum to frame z of Y.
inline void conv_finish(constant ConvArgs &a, device const float *bias, device const void *add, device void *y, uint z, uint pixel,
                        uint o, float v) {
    ulong at = ulong(pixel) * a.cout + o;
    if (FLAGS & CONV_BIAS)
        v += bias[o];
    if (FLAGS & CONV_ADD)
        v += load(add, TYPE_C, ulong(z) * a.addframe + at);
    store(y, TYPE_Y, ulong(z) * a.yframe + at, v);
}
