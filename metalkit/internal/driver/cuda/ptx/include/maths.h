// The functions of metal::precise, within 1.5 ulps; ptx_test.go compiles them for the
// processor and compares.
#ifndef GIMBAL_PTX_MATHS
#define GIMBAL_PTX_MATHS

namespace metal {
namespace precise {

// exp is 2^n e^r with x = n ln 2 + r, |r| <= ln 2 / 2, and e^r by its series.
inline float exp(float x) {
    if (!(x >= -104.0f)) // 0, or NaN
        return x < 0 ? 0.0f : x;
    if (x > 89.0f)
        return __builtin_inff();
    float n = __builtin_rintf(x * 0x1.715476p+0f);
    float r = __builtin_fmaf(n, -0x1.62e4p-1f, x); // exact: n has 8 bits, the upper part of ln 2 has 15
    r = __builtin_fmaf(n, -0x1.7f7d1cp-20f, r);
    float q = 1.0f / 5040;
    q = __builtin_fmaf(q, r, 1.0f / 720);
    q = __builtin_fmaf(q, r, 1.0f / 120);
    q = __builtin_fmaf(q, r, 1.0f / 24);
    q = __builtin_fmaf(q, r, 1.0f / 6);
    q = __builtin_fmaf(q, r, 0.5f);
    float e = 1 + __builtin_fmaf(q, r * r, r);
    int half = int(n) / 2, rest = int(n) - half; // 2^n itself may not be a float
    unsigned first = unsigned(half + 127) << 23, second = unsigned(rest + 127) << 23;
    float a, b;
    __builtin_memcpy(&a, &first, 4);
    __builtin_memcpy(&b, &second, 4);
    return e * a * b;
}

inline float sqrt(float x) { return __builtin_sqrtf(x); }
inline float rsqrt(float x) { return 1 / __builtin_sqrtf(x); }

} // namespace precise
} // namespace metal
#endif
