// What every kernel begins with: how kernels, function constants and threadgroup
// arrays are written, and how elements of any type are read and written.
//
// Each kernel takes a structure of arguments as buffer 0, its operands as buffers
// 1, 2, ... in order, and then always these four positions:
//
//     uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
//     uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]
//
// An operand that is not there is bound to some buffer that is, and never read. The
// host sees to it that the elements of a result can be counted in 32 bits.
#pragma once
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

#ifdef __METAL_VERSION__
#define CONSTANT(type, name, i) constant type name [[function_constant(i)]]
#define SHARED(type, name, n) /* at a multiple of 16 bytes */        \
    threadgroup float4 name##_all[(sizeof(type) * (n) + 15) / 16]; \
    threadgroup type *name = (threadgroup type *)name##_all
#define KERNEL(f)
#define INSTANCE(name, f, ...) template [[host_name(#name)]] [[kernel]] decltype(f<__VA_ARGS__>) f<__VA_ARGS__>
#define QUAD(type, p, i) (((device const type##4 *)(p))[(i) / 4])
#define OCT(p, i) (((device const uint4 *)(p))[(i) / 8]) // eight elements of 16 bits
#define UNROLL _Pragma("clang loop unroll(full)") // so that arrays of matrices stay in registers
#define HOLDS_MATRIX true                         // whether this lane has a part of the simd-group's matrices
#define ELEMENT(T, m, e) reinterpret_cast<thread vec<T, 2> &>((m).thread_elements())[e] // of this lane, see matrix.h
#define WHERE_ELEMENTS_ARE(m) (m)
#define ELEMENTS_ARE_DONE
#endif

// The types of the operands and other choices, fixed when a pipeline is made.
CONSTANT(uint, TYPE_A, 0);
CONSTANT(uint, TYPE_B, 1);
CONSTANT(uint, TYPE_C, 2);
CONSTANT(uint, TYPE_Y, 3);
CONSTANT(uint, FUNC, 4);
CONSTANT(uint, FLAGS, 5);
CONSTANT(uint, ALIGNED, 6); // rows begin at multiples of four elements, and so do the parts that a kernel reads

// Types are numbered as package device numbers them; those of weights only are metalkit's.
enum : uint { F32 = 1, F16, BF16, F8E4M3, I8, U8, I32, I64, F8E5M2, NF4, NF4_NESTED };
enum : uint { Q4_0 = 12, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS };

enum : uint { IDENTITY, SILU, GELU, CLAMP1, RELU };

// f8 widens an F8_E4M3 code.
inline float f8(uint code) {
    float sign = code & 0x80 ? -1.0f : 1.0f;
    uint e = code >> 3 & 15, m = code & 7;
    if ((code & 0x7f) == 0x7f)
        return as_type<float>(0x7fc00000u);
    if (e == 0)
        return sign * float(m) * (1.0f / 512);
    return sign * as_type<float>((e + 120) << 23 | m << 20);
}

// f8e5 widens an F8_E5M2 code, the upper half of a float16.
inline float f8e5(uint code) { return float(as_type<half>(ushort(code << 8))); }

// load reads element i of a buffer of floats of any type.
inline float load(device const void *p, uint type, ulong i) {
    switch (type) {
    case F32:
        return ((device const float *)p)[i];
    case F16:
        return float(((device const half *)p)[i]);
    case BF16:
        return float(((device const bfloat *)p)[i]);
    case F8E5M2:
        return f8e5(((device const uchar *)p)[i]);
    default:
        return f8(((device const uchar *)p)[i]);
    }
}

// load4 reads elements i to i+3, where i is a multiple of 4 and p aligned to 4
// elements.
inline float4 load4(device const void *p, uint type, ulong i) {
    switch (type) {
    case F32:
        return QUAD(float, p, i);
    case F16: {
        half4 v = QUAD(half, p, i);
        return float4(float(v[0]), float(v[1]), float(v[2]), float(v[3]));
    }
    case BF16: {
        bfloat4 v = QUAD(bfloat, p, i);
        return float4(float(v[0]), float(v[1]), float(v[2]), float(v[3]));
    }
    case F8E5M2: {
        uchar4 v = QUAD(uchar, p, i);
        return float4(f8e5(v[0]), f8e5(v[1]), f8e5(v[2]), f8e5(v[3]));
    }
    default: {
        uchar4 v = QUAD(uchar, p, i);
        return float4(f8(v[0]), f8(v[1]), f8(v[2]), f8(v[3]));
    }
    }
}

// put4 writes four elements, rounded to T, where a quad begins.
template <typename T> inline void put4(threadgroup T *to, float4 v) {
    UNROLL for (uint i = 0; i < 4; i++)
        to[i] = T(v[i]);
}
template <> inline void put4(threadgroup float *to, float4 v) { *(threadgroup float4 *)to = v; }

// put_raw writes four elements of 16 bits as they are, where a quad begins.
template <typename T> inline void put_raw(threadgroup T *to, ushort4 v) { *(threadgroup ushort4 *)to = v; }

// put_oct writes eight elements of 16 bits as they are, at a multiple of eight.
template <typename T> inline void put_oct(threadgroup T *to, uint4 v) { *(threadgroup uint4 *)to = v; }

// store rounds v to nearest even where the type is narrower.
inline void store(device void *p, uint type, ulong i, float v) {
    switch (type) {
    case F32:
        ((device float *)p)[i] = v;
        break;
    case F16:
        ((device half *)p)[i] = half(v);
        break;
    default:
        ((device bfloat *)p)[i] = bfloat(v);
    }
}

// apply is device.Func. GELU's tanh form is x / (1 + exp(-2u)).
inline float apply(uint f, float x) {
    switch (f) {
    case SILU:
        return x / (1 + precise::exp(-x));
    case GELU:
        return x / (1 + precise::exp(-1.5957691216057308f * (x + 0.044715f * x * x * x)));
    case CLAMP1:
        return x < -1 ? -1.0f : x > 1 ? 1.0f : x; // keeps NaN
    case RELU:
        return x < 0 ? 0.0f : x; // keeps NaN
    default:
        return x;
    }
}

// sum_all adds v over a threadgroup of n simd-groups, all of which call it.
inline float sum_all(float v, threadgroup float *parts, uint n, uint simd, uint lane) {
    v = simd_sum(v);
    threadgroup_barrier(mem_flags::mem_threadgroup); // the sum before has been read
    if (lane == 0)
        parts[simd] = v;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    float sum = 0;
    for (uint i = 0; i < n; i++)
        sum += parts[i];
    return sum;
}
