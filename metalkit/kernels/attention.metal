// Attention by online softmax: scores exist one tile at a time.
#include "common.h"

// TYPE_A is Q, TYPE_B K, TYPE_C V.
struct AttentionArgs {
    uint nq, nk, d, ldq, ldk, ldv, ldo, ldrel;
    float scale;
};

// FLAGS
enum : uint { ATTENTION_REL = 1, ATTENTION_KEY = 2 };

// load_rows brings columns column to column+width-1 of rows row0 to row0+count-1
// of one head to threadgroup memory; what is not there is 0.
template <typename T, int width, int count>
inline void load_rows(threadgroup T *to, device const void *from, uint type, uint ld_from, uint rows, uint row0, uint head,
                      uint columns, uint column, uint tid) {
    constexpr uint ld = width + 16 / sizeof(T), threads = 128;
    uint n = ALIGNED ? 4 : 1;
    for (uint e = tid * n; e < count * width; e += threads * n) {
        uint r = e / width, c = e % width;
        bool inside = row0 + r < rows && column + c < columns;
        ulong at = ulong(row0 + r) * ld_from + head + column + c;
        if (ALIGNED)
            put4(to + r * ld + c, inside ? load4(from, type, at) : float4(0.0f));
        else
            to[r * ld + c] = T(inside ? load(from, type, at) : 0.0f);
    }
}

// attention computes 32 queries of head group.y, 8 in each of four simd-groups,
// and columns group.z * width, ... of their results. Heads wider than width take
// several threadgroups, each of which computes the scores, slice by slice.
template <typename T, int width, int keys>
kernel void attention(constant AttentionArgs &a [[buffer(0)]], device const void *q [[buffer(1)]], device const void *k [[buffer(2)]],
                      device const void *v [[buffer(3)]], device const float *rel [[buffer(4)]],
                      device const float *key_bias [[buffer(5)]], device void *o [[buffer(6)]],
                      uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                      uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint queries = 32;
    constexpr uint ld = width + 16 / sizeof(T), lds = keys + 4;
    SHARED(T, qs, queries * ld);
    SHARED(T, kv, keys * ld);              // a tile of K, then of V
    SHARED(float, scores, queries * lds);  // of each simd-group its own 8 rows
    SHARED(T, weights, queries * lds);     // the scores' exponentials, likewise
    SHARED(float, diagonals, 4 * 8 * 8);   // factors for 8 rows, a simd-group

    simdgroup_float8x8 out[width / 8];
    UNROLL for (uint c = 0; c < width / 8; c++)
        out[c] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    threadgroup float *s = scores + simd * 8 * lds, *diagonal = diagonals + simd * 64;
    threadgroup T *p = weights + simd * 8 * lds;
    for (uint e = lane; e < 64; e += 32)
        diagonal[e] = 0;

    uint head = group.y * a.d, i0 = group.x * queries, column = group.z * width;
    uint row = lane / 4, i = i0 + simd * 8 + row; // four lanes share a query's softmax
    float top = -INFINITY, total = 0;
    constexpr float log2e = 1.4426950408889634f;

    for (uint j0 = 0; j0 < a.nk; j0 += keys) {
        simdgroup_float8x8 products[keys / 8];
        UNROLL for (uint c = 0; c < keys / 8; c++)
            products[c] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        for (uint d0 = 0; d0 < a.d; d0 += width) {
            threadgroup_barrier(mem_flags::mem_threadgroup); // what kv and qs held has been used
            if (j0 == 0 || a.d > width)
                load_rows<T, width, queries>(qs, q, TYPE_A, a.ldq, a.nq, i0, head, a.d, d0, tid);
            load_rows<T, width, keys>(kv, k, TYPE_B, a.ldk, a.nk, j0, head, a.d, d0, tid);
            threadgroup_barrier(mem_flags::mem_threadgroup);
            for (uint c = 0; c < width && HOLDS_MATRIX; c += 8) {
                simdgroup_matrix<T, 8, 8> qm, km;
                simdgroup_load(qm, qs + simd * 8 * ld + c, ld);
                UNROLL for (uint j = 0; j < keys / 8; j++) {
                    simdgroup_load(km, kv + j * 8 * ld + c, ld, 0, true);
                    simdgroup_multiply_accumulate(products[j], qm, km, products[j]);
                }
            }
        }
        UNROLL for (uint c = 0; c < keys / 8; c++)
            simdgroup_store(products[c], s + 8 * c, lds);
        simdgroup_barrier(mem_flags::mem_threadgroup);

        float high = top;
        for (uint c = lane % 4; c < keys; c += 4) {
            uint j = j0 + c;
            float score = -INFINITY;
            if (i < a.nq && j < a.nk) {
                score = s[row * lds + c] * a.scale;
                if (FLAGS & ATTENTION_REL)
                    score += rel[ulong(group.y) * a.ldrel + (j + a.nq - 1 - i)];
                if (FLAGS & ATTENTION_KEY)
                    score += key_bias[j];
            }
            s[row * lds + c] = score;
            high = max(high, score);
        }
        high = max(high, simd_shuffle_xor(high, 1));
        high = max(high, simd_shuffle_xor(high, 2));
        float base = high == -INFINITY ? 0.0f : high; // no key so far: every weight is 0
        float factor = fast::exp2((top - base) * log2e);
        float sum = 0;
        for (uint c = lane % 4; c < keys; c += 4) {
            float e = fast::exp2((s[row * lds + c] - base) * log2e);
            sum += e;
            // A NaN stays in the sum: in the matrix it would reach other rows.
            p[row * lds + c] = T(e >= 0 ? e : 0.0f);
        }
        sum += simd_shuffle_xor(sum, 1);
        sum += simd_shuffle_xor(sum, 2);
        total = total * factor + sum;
        bool same = factor == 1;
        top = high;
        if (lane % 4 == 0)
            diagonal[row * 9] = factor;
        threadgroup_barrier(mem_flags::mem_threadgroup); // kv has been used, too
        load_rows<T, width, keys>(kv, v, TYPE_C, a.ldv, a.nk, j0, head, a.d, column, tid);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (!simd_all(same)) {
            simdgroup_float8x8 factors;
            simdgroup_load(factors, diagonal, 8);
            UNROLL for (uint c = 0; c < width / 8; c++)
                simdgroup_multiply(out[c], factors, out[c]);
        }
        for (uint j = 0; j < keys && HOLDS_MATRIX; j += 8) {
            simdgroup_matrix<T, 8, 8> pm, vm;
            simdgroup_load(pm, p + j, lds);
            UNROLL for (uint c = 0; c < width / 8; c++) {
                simdgroup_load(vm, kv + j * ld + 8 * c, ld);
                simdgroup_multiply_accumulate(out[c], pm, vm, out[c]);
            }
        }
    }

    // The results leave through the simd-group's own rows of scores, 8 columns at a time.
    UNROLL for (uint c = 0; c < width / 8; c++) {
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_store(out[c], s, lds);
        simdgroup_barrier(mem_flags::mem_threadgroup);
        for (uint e = lane % 4; e < 8; e += 4) {
            uint x = column + 8 * c + e;
            if (i < a.nq && x < a.d)
                store(o, TYPE_Y, ulong(i) * a.ldo + head + x, s[row * lds + e] / total);
        }
    }
}
INSTANCE(attention_f32_32, attention, float, 32, 32);
INSTANCE(attention_f32_64, attention, float, 64, 32);
INSTANCE(attention_f32_128, attention, float, 128, 16);
INSTANCE(attention_f16_32, attention, half, 32, 32);
INSTANCE(attention_f16_64, attention, half, 64, 32);
INSTANCE(attention_f16_128, attention, half, 128, 32);
INSTANCE(attention_bf16_32, attention, bfloat, 32, 32);
INSTANCE(attention_bf16_64, attention, bfloat, 64, 32);
INSTANCE(attention_bf16_128, attention, bfloat, 128, 32);
