// The formats of GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): rows of
// blocks, which need not be aligned. A weight is scale * code + offset; four in a row that
// begin at a multiple of four share scale and offset.
#pragma once
#include "common.h"

struct BlockScale {
    float scale, offset;
};

inline float half_at(device const uchar *b, uint i) {
    return float(as_type<half>(ushort(uint(b[i]) | uint(b[i + 1]) << 8)));
}

inline float char_at(device const uchar *b, uint i) { return float(((device const char *)b)[i]); }

// block_values and block_bytes are the size of a block of TYPE_B.
inline uint block_values() {
    return TYPE_B == Q2_K || TYPE_B == Q3_K || TYPE_B == Q4_K || TYPE_B == Q5_K || TYPE_B == Q6_K || TYPE_B == IQ4_XS ? 256 : 32;
}

inline uint block_bytes() {
    switch (TYPE_B) {
    case Q4_1:
        return 20;
    case Q5_0:
        return 22;
    case Q5_1:
        return 24;
    case Q8_0:
        return 34;
    case Q2_K:
        return 84;
    case Q3_K:
        return 110;
    case Q4_K:
        return 144;
    case Q5_K:
        return 176;
    case Q6_K:
        return 210;
    case IQ4_XS:
        return 136;
    default: // Q4_0, IQ4_NL
        return 18;
    }
}

// block_scale_of is what weight v of block b is scaled with.
inline BlockScale block_scale_of(device const uchar *b, uint v) {
    switch (TYPE_B) {
    case Q4_1:
    case Q5_1:
        return {half_at(b, 0), half_at(b, 2)};
    case Q2_K: {
        uint s = b[v / 16];
        return {half_at(b, 80) * float(s & 15), -half_at(b, 82) * float(s >> 4)};
    }
    case Q3_K: {
        uint k = v / 16, low = uint(b[96 + k % 8]) >> (k / 8 * 4) & 15, high = uint(b[104 + k % 4]) >> (k / 4 * 2) & 3;
        return {half_at(b, 108) * (float(low | high << 4) - 32), 0};
    }
    case Q4_K:
    case Q5_K: {
        uint k = v / 32, scale = b[4 + k], least = b[8 + k];
        if (k < 4) {
            scale &= 63;
            least &= 63;
        } else {
            uint low = least; // byte 8+k holds the low nibbles of both
            least = low >> 4 | scale >> 6 << 4;
            scale = (low & 15) | uint(b[k]) >> 6 << 4;
        }
        return {half_at(b, 0) * float(scale), -half_at(b, 2) * float(least)};
    }
    case Q6_K:
        return {half_at(b, 208) * char_at(b, 192 + v / 16), 0};
    case IQ4_XS: {
        uint k = v / 32, low = uint(b[4 + k / 2]) >> (k % 2 * 4) & 15, high = (uint(b[2]) | uint(b[3]) << 8) >> (2 * k) & 3;
        return {half_at(b, 0) * (float(low | high << 4) - 32), 0};
    }
    default:
        return {half_at(b, 0), 0};
    }
}

// iq4 is the value of a code of IQ4_NL and IQ4_XS.
inline float iq4(uint code) {
    ulong values = code < 8 ? 0xf6eaddcfbfad9881ul : 0x7159453526190d01ul;
    return float(int(uint(values >> (code % 8 * 8)) << 24) >> 24); // a byte with its sign
}

// block_code is the code of weight v of block b.
inline float block_code(device const uchar *b, uint v) {
    uint half_block = v % 32 / 16, byte = v % 16; // of 32 weights, whose low nibbles come first
    switch (TYPE_B) {
    case Q4_0:
        return float(uint(b[2 + byte]) >> (4 * half_block) & 15) - 8;
    case Q4_1:
        return float(uint(b[4 + byte]) >> (4 * half_block) & 15);
    case Q5_0:
        return float((uint(b[6 + byte]) >> (4 * half_block) & 15) | (uint(b[2 + v / 8]) >> (v % 8) & 1) << 4) - 16;
    case Q5_1:
        return float((uint(b[8 + byte]) >> (4 * half_block) & 15) | (uint(b[4 + v / 8]) >> (v % 8) & 1) << 4);
    case Q8_0:
        return char_at(b, 2 + v);
    case Q2_K:
        return float(uint(b[16 + v / 128 * 32 + v % 32]) >> (v / 32 % 4 * 2) & 3);
    case Q3_K:
        return float(uint(b[32 + v / 128 * 32 + v % 32]) >> (v / 32 % 4 * 2) & 3) + (uint(b[v % 32]) >> (v / 32) & 1 ? 0.0f : -4.0f);
    case Q4_K:
        return float(uint(b[16 + v / 64 * 32 + v % 32]) >> (v / 32 % 2 * 4) & 15);
    case Q5_K:
        return float((uint(b[48 + v / 64 * 32 + v % 32]) >> (v / 32 % 2 * 4) & 15) | (uint(b[16 + v % 32]) >> (v / 32) & 1) << 4);
    case Q6_K: {
        uint part = v / 32 % 4, low = uint(b[v / 128 * 64 + part % 2 * 32 + v % 32]) >> (part / 2 * 4) & 15;
        return float(low | (uint(b[128 + v / 128 * 32 + v % 32]) >> (part * 2) & 3) << 4) - 32;
    }
    case IQ4_NL:
        return iq4(uint(b[2 + byte]) >> (4 * half_block) & 15);
    default: // IQ4_XS
        return iq4(uint(b[8 + v / 32 * 16 + byte]) >> (4 * half_block) & 15);
    }
}

// block_weight is weight k of a row.
inline float block_weight(device const uchar *row, uint k) {
    device const uchar *b = row + k / block_values() * block_bytes();
    uint v = k % block_values();
    BlockScale s = block_scale_of(b, v);
    return s.scale * block_code(b, v) + s.offset;
}

// block_weight4 is weights k to k+3 of a row, k a multiple of 4.
inline float4 block_weight4(device const uchar *row, uint k) {
    device const uchar *b = row + k / block_values() * block_bytes();
    uint v = k % block_values();
    BlockScale s = block_scale_of(b, v);
    return float4(s.scale * block_code(b, v) + s.offset, s.scale * block_code(b, v + 1) + s.offset,
                  s.scale * block_code(b, v + 2) + s.offset, s.scale * block_code(b, v + 3) + s.offset);
}
