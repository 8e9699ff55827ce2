// Attention as attention.metal has it, with scores and weights in threadgroup memory on their way from
// product to product. It takes fewer registers: in F32, where a matrix takes twice as many, an NVIDIA H200
// runs it 1.34 times as fast (docs/gpu-limits.md), and each machine has its choice of both.
//
// Reference: as attention.metal. Checked against loops in float64 by inference/device/devicetest/attention.go.
//
// Time it: gimbal bench kernel attention 40x17160x17160x128 --x f32 --compute f32
#include "attention.h"

// attention_shared computes 8 queries of head group.y in each of so many simd-groups, and
// columns group.z * width, ... of their results. The queries stay in registers. Heads
// wider than width are sliced: they take several threadgroups, each of which computes
// all scores, slice by slice. If direct, K and V are of type T as they are, and their
// matrices come from device memory; then the keys and a head's columns, all of width,
// are multiples of 8.
template <typename T, int width, int keys, int simds, bool sliced, bool direct>
kernel void attention_shared(constant AttentionArgs &a [[buffer(0)]], device const void *q [[buffer(1)]], device const void *k [[buffer(2)]],
                      device const void *v [[buffer(3)]], device const float *rel [[buffer(4)]],
                      device const float *key_bias [[buffer(5)]], device void *o [[buffer(6)]],
                      uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                      uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint queries = 8 * simds, ld = width + 16 / sizeof(T), lds = keys + 4;
    constexpr uint ldp = lds * sizeof(float) / sizeof(T), quarter = keys / 4;
    constexpr uint sliced_q = (sliced ? queries * ld : 0), kv_size = (direct ? 0 : keys * ld);
    // Q where it is sliced, a tile of K and then of V, scores and then weights of each
    // simd-group's own 8 rows.
    SHARED(float, memory, (sliced_q + kv_size + queries * ldp) * sizeof(T) / sizeof(float));
    SHARED(float, diagonals, simds * 8 * 8); // factors for 8 rows, per simd-group
    threadgroup T *qs = (threadgroup T *)memory, *kv = qs + sliced_q;
    threadgroup float *s = (threadgroup float *)(kv + kv_size) + simd * 8 * lds, *diagonal = diagonals + simd * 64;
    threadgroup T *p = (threadgroup T *)s; // over the scores, row by row

    simdgroup_float8x8 out[width / 8];
    UNROLL for (uint c = 0; c < width / 8; c++)
        out[c] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    uint head = group.y * a.d, i0 = group.x * queries, column = group.z * width;
    uint row = lane / 4, i = i0 + simd * 8 + row; // four lanes share a query's softmax
    // least is the score of a key that is not there, as fast:: functions promise nothing of
    // infinities; below none there is no key.
    constexpr float log2e = 1.4426950408889634f, least = -1e30f, none = -1e29f;
    float top = least, total = 0;

    simdgroup_matrix<T, 8, 8> qm[width / 8];
    UNROLL for (uint c = 0; c < (sliced ? 0 : width); c += 8) {
        threadgroup T *stage = (threadgroup T *)diagonal;
        simdgroup_barrier(mem_flags::mem_threadgroup); // the columns before have been used
        for (uint e = lane; e < 64; e += 32) {
            uint r = i0 + simd * 8 + e / 8, x = c + e % 8;
            stage[e] = T(r < a.nq && x < a.d ? load(q, TYPE_A, ulong(r) * a.ldq + head + x) : 0.0f);
        }
        simdgroup_barrier(mem_flags::mem_threadgroup);
        simdgroup_load(qm[c / 8], stage, 8);
    }
    simdgroup_barrier(mem_flags::mem_threadgroup);
    for (uint e = lane; e < 64; e += 32)
        diagonal[e] = 0;

    for (uint j0 = 0; j0 < a.nk; j0 += keys) {
        uint last = a.nk - min(a.nk, 8u); // where the last 8 keys begin, which stand in for those beyond
        simdgroup_float8x8 products[keys / 8];
        UNROLL for (uint c = 0; c < keys / 8; c++)
            products[c] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        for (uint d0 = 0; d0 < (sliced ? a.d : 1); d0 += width) {
            if (!direct) {
                threadgroup_barrier(mem_flags::mem_threadgroup); // what memory held has been used
                if (sliced)
                    load_rows<T, width, queries, 32 * simds>(qs, q, TYPE_A, FLAGS & ATTENTION_RAW_Q, a.ldq, a.nq, i0, head, a.d, d0, tid);
                load_rows<T, width, keys, 32 * simds>(kv, k, TYPE_B, FLAGS & ATTENTION_RAW_K, a.ldk, a.nk, j0, head, a.d, d0, tid);
                threadgroup_barrier(mem_flags::mem_threadgroup);
            }
            UNROLL for (uint c = 0; c < width / 8; c++) {
                if (!HOLDS_MATRIX)
                    break;
                simdgroup_matrix<T, 8, 8> km;
                if (sliced)
                    simdgroup_load(qm[c], qs + simd * 8 * ld + 8 * c, ld);
                UNROLL for (uint j = 0; j < keys; j += 8) {
                    if (direct)
                        simdgroup_load(km, (device const T *)k + ulong(min(j0 + j, last)) * a.ldk + head + 8 * c, a.ldk, 0, true);
                    else
                        simdgroup_load(km, kv + j * ld + 8 * c, ld, 0, true);
                    simdgroup_multiply_accumulate(products[j / 8], qm[c], km, products[j / 8]);
                }
            }
        }
        UNROLL for (uint c = 0; c < keys / 8; c++)
            simdgroup_store(products[c], s + 8 * c, lds);
        simdgroup_barrier(mem_flags::mem_threadgroup);

        float score[quarter], high = top;
        UNROLL for (uint c = 0; c < quarter; c++) {
            uint at = 4 * c + lane % 4, j = j0 + at;
            score[c] = least;
            if (i < a.nq && j < a.nk) {
                score[c] = s[row * lds + at] * a.scale;
                if (FLAGS & ATTENTION_REL)
                    score[c] += rel[ulong(group.y) * a.ldrel + (j + a.nq - 1 - i)];
                if (FLAGS & ATTENTION_KEY)
                    score[c] += key_bias[j];
                score[c] = score[c] < least ? least : score[c]; // keeps NaN
            }
            high = max(high, score[c]);
        }
        high = max(high, simd_shuffle_xor(high, 1));
        high = max(high, simd_shuffle_xor(high, 2));
        float base = high < none ? 0.0f : high; // no key so far: every weight is 0
        float factor = fast::exp2((top - base) * log2e);
        float sum = 0;
        simdgroup_barrier(mem_flags::mem_threadgroup); // all have read their scores
        UNROLL for (uint c = 0; c < quarter; c++) {
            float e = fast::exp2((score[c] - base) * log2e);
            sum += e;
            // A NaN stays in the sum: in the matrix it would reach other rows.
            p[row * ldp + 4 * c + lane % 4] = T(e >= 0 ? e : 0.0f);
        }
        sum += simd_shuffle_xor(sum, 1);
        sum += simd_shuffle_xor(sum, 2);
        total = total * factor + sum;
        bool same = factor == 1;
        top = high;
        if (lane % 4 == 0)
            diagonal[row * 9] = factor;
        if (direct) {
            simdgroup_barrier(mem_flags::mem_threadgroup);
        } else {
            threadgroup_barrier(mem_flags::mem_threadgroup); // kv has been used, too
            load_rows<T, width, keys, 32 * simds>(kv, v, TYPE_C, FLAGS & ATTENTION_RAW_V, a.ldv, a.nk, j0, head, a.d, column, tid);
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        if (!simd_all(same)) {
            simdgroup_float8x8 factors;
            simdgroup_load(factors, diagonal, 8);
            UNROLL for (uint c = 0; c < width / 8; c++)
                simdgroup_multiply(out[c], factors, out[c]);
        }
        UNROLL for (uint j = 0; j < keys; j += 8) {
            if (!HOLDS_MATRIX)
                break;
            simdgroup_matrix<T, 8, 8> pm, vm;
            simdgroup_load(pm, p + j, ldp);
            UNROLL for (uint c = 0; c < width / 8; c++) {
                if (direct)
                    simdgroup_load(vm, (device const T *)v + ulong(min(j0 + j, last)) * a.ldv + head + 8 * c, a.ldv);
                else
                    simdgroup_load(vm, kv + j * ld + 8 * c, ld);
                simdgroup_multiply_accumulate(out[c], pm, vm, out[c]);
            }
        }
        if (direct)
            simdgroup_barrier(mem_flags::mem_threadgroup); // the weights have been used
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
INSTANCE(attention_shared_f32_32x16x4, attention_shared, float, 32, 16, 4, false, false);
INSTANCE(attention_shared_f32_32x32x8, attention_shared, float, 32, 32, 8, false, false);
INSTANCE(attention_shared_f32_32x16x4_kv, attention_shared, float, 32, 16, 4, false, true);
INSTANCE(attention_shared_f32_64x16x4, attention_shared, float, 64, 16, 4, false, false);
INSTANCE(attention_shared_f32_64x32x4, attention_shared, float, 64, 32, 4, false, false);
INSTANCE(attention_shared_f32_64x16x8, attention_shared, float, 64, 16, 8, false, false);
INSTANCE(attention_shared_f32_64x16x4_kv, attention_shared, float, 64, 16, 4, false, true);
INSTANCE(attention_shared_f32_128x16x4, attention_shared, float, 128, 16, 4, false, false);
INSTANCE(attention_shared_f32_128x8x4, attention_shared, float, 128, 8, 4, false, false);
INSTANCE(attention_shared_f32_128x16x8, attention_shared, float, 128, 16, 8, false, false);
INSTANCE(attention_shared_f32_128x32x4, attention_shared, float, 128, 32, 4, false, false);
INSTANCE(attention_shared_f32_128x16x4_kv, attention_shared, float, 128, 16, 4, false, true);
INSTANCE(attention_shared_f32_128x16x4_s, attention_shared, float, 128, 16, 4, true, false);
