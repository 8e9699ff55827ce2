// Attention: O = softmax(Scale * Q·Kᵀ + RelBias + KeyBias)·V for each head, by online
// softmax: scores exist one tile at a time.
//
// Reference: torch.nn.functional.scaled_dot_product_attention; FlashAttention (Dao et al.,
// arXiv 2205.14135), and the online softmax of Milakov and Gimelshein (arXiv 1805.02867).
// Checked against loops in float64 by inference/device/devicetest/attention.go.
//
// Time it: gimbal bench kernel attention 40x17160x17160x128
#include "attention.h"
#include "matrix.h"

// attention computes so many blocks of 8 queries of head group.y in each of so many simd-groups, and
// columns group.z * width, ... of their results. The queries, the scores and the results stay in
// registers: a lane has two columns of one row of each matrix (matrix.h). Heads wider than width are
// sliced: they take several threadgroups, each of which computes all scores, slice by slice. If direct,
// K and V are of type T as they are, and their matrices come from device memory; then the keys and a
// head's columns, all of width, are multiples of 8. Two blocks use each matrix of K and V twice; in F32
// there are too few registers for them.
template <typename T, int width, int keys, int simds, int blocks, bool sliced, bool direct>
kernel void attention(constant AttentionArgs &a [[buffer(0)]], device const void *q [[buffer(1)]], device const void *k [[buffer(2)]],
                      device const void *v [[buffer(3)]], device const float *rel [[buffer(4)]],
                      device const float *key_bias [[buffer(5)]], device void *o [[buffer(6)]],
                      uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                      uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint rows = 8 * blocks, queries = rows * simds, ld = width + 16 / sizeof(T);
    constexpr uint sliced_q = (sliced ? queries * ld : 0), kv_size = (direct ? 8 : keys * ld);
    SHARED(float, memory, (sliced_q + kv_size) * sizeof(T) / sizeof(float)); // Q where it is sliced, a tile of K and then of V
    threadgroup T *qs = (threadgroup T *)memory, *kv = qs + sliced_q;
    uint head = group.y * a.d, i0 = group.x * queries, column = group.z * width;
    uint own_row = matrix_row(lane), own_column = matrix_column(lane), i = i0 + simd * rows + own_row;
    // least is the score of a key that is not there, as fast:: functions promise nothing of
    // infinities; below none there is no key.
    constexpr float log2e = 1.4426950408889634f, least = -1e30f, none = -1e29f;

    simdgroup_float8x8 out[blocks][width / 8];
    simdgroup_matrix<T, 8, 8> qm[blocks][width / 8];
    float top[blocks], total[blocks];
    UNROLL for (uint b = 0; b < blocks; b++) {
        top[b] = least;
        total[b] = 0;
        float pairs[width / 8][2];
        UNROLL for (uint c = 0; c < width / 8; c++) {
            out[b][c] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
            UNROLL for (uint e = 0; e < (sliced ? 0 : 2); e++) {
                uint x = 8 * c + own_column + e;
                pairs[c][e] = i + 8 * b < a.nq && x < a.d ? load(q, TYPE_A, ulong(i + 8 * b) * a.ldq + head + x) : 0.0f;
            }
        }
        if (!sliced)
            matrix_write(qm[b], pairs);
    }

    for (uint j0 = 0; j0 < a.nk; j0 += keys) {
        uint last = a.nk - min(a.nk, 8u); // where the last 8 keys begin, which stand in for those beyond
        simdgroup_float8x8 products[blocks][keys / 8];
        UNROLL for (uint b = 0; b < blocks; b++)
            UNROLL for (uint c = 0; c < keys / 8; c++)
                products[b][c] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
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
                UNROLL for (uint b = 0; b < (sliced ? blocks : 0); b++)
                    simdgroup_load(qm[b][c], qs + (simd * rows + 8 * b) * ld + 8 * c, ld);
                UNROLL for (uint j = 0; j < keys; j += 8) {
                    if (direct)
                        simdgroup_load(km, (device const T *)k + ulong(min(j0 + j, last)) * a.ldk + head + 8 * c, a.ldk, 0, true);
                    else
                        simdgroup_load(km, kv + j * ld + 8 * c, ld, 0, true);
                    UNROLL for (uint b = 0; b < blocks; b++)
                        simdgroup_multiply_accumulate(products[b][j / 8], qm[b][c], km, products[b][j / 8]);
                }
            }
        }

        simdgroup_matrix<T, 8, 8> weights[blocks][keys / 8];
        float factor[blocks];
        bool same = true;
        UNROLL for (uint b = 0; b < blocks; b++) {
            float score[keys / 8][2], high = top[b];
            matrix_read(score, products[b]);
            UNROLL for (uint c = 0; c < keys / 8; c++) {
                UNROLL for (uint e = 0; e < 2; e++) {
                    uint j = j0 + 8 * c + own_column + e;
                    float s = least;
                    if (i + 8 * b < a.nq && j < a.nk) {
                        s = score[c][e] * a.scale;
                        if (FLAGS & ATTENTION_REL)
                            s += rel[ulong(group.y) * a.ldrel + (j + a.nq - 1 - i - 8 * b)];
                        if (FLAGS & ATTENTION_KEY)
                            s += key_bias[j];
                        s = s < least ? least : s; // keeps NaN
                    }
                    score[c][e] = s;
                    high = max(high, s);
                }
            }
            high = max(high, simd_shuffle_xor(high, MATRIX_MATE));
            high = max(high, simd_shuffle_xor(high, MATRIX_OTHER_MATE));
            float base = high < none ? 0.0f : high; // no key so far: every weight is 0
            factor[b] = fast::exp2((top[b] - base) * log2e);
            float sum = 0;
            UNROLL for (uint c = 0; c < keys / 8; c++) {
                UNROLL for (uint e = 0; e < 2; e++) {
                    float w = fast::exp2((score[c][e] - base) * log2e);
                    sum += w;
                    score[c][e] = w;
                }
            }
            matrix_write(weights[b], score);
            sum += simd_shuffle_xor(sum, MATRIX_MATE);
            sum += simd_shuffle_xor(sum, MATRIX_OTHER_MATE);
            total[b] = total[b] * factor[b] + sum;
            same = same && factor[b] == 1;
            top[b] = high;
        }
        if (!direct) {
            threadgroup_barrier(mem_flags::mem_threadgroup); // K has been used
            load_rows<T, width, keys, 32 * simds>(kv, v, TYPE_C, FLAGS & ATTENTION_RAW_V, a.ldv, a.nk, j0, head, a.d, column, tid);
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
        if (!simd_all(same)) {
            UNROLL for (uint b = 0; b < blocks; b++)
                matrix_scale(out[b], factor[b]);
        }
        UNROLL for (uint j = 0; j < keys; j += 8) {
            if (!HOLDS_MATRIX)
                break;
            simdgroup_matrix<T, 8, 8> vm;
            UNROLL for (uint c = 0; c < width / 8; c++) {
                if (direct)
                    simdgroup_load(vm, (device const T *)v + ulong(min(j0 + j, last)) * a.ldv + head + 8 * c, a.ldv);
                else
                    simdgroup_load(vm, kv + j * ld + 8 * c, ld);
                UNROLL for (uint b = 0; b < blocks; b++)
                    simdgroup_multiply_accumulate(out[b][c], weights[b][j / 8], vm, out[b][c]);
            }
        }
    }

    UNROLL for (uint b = 0; b < blocks; b++) {
        float results[width / 8][2];
        matrix_read(results, out[b]);
        UNROLL for (uint c = 0; c < width / 8; c++) {
            UNROLL for (uint e = 0; e < 2; e++) {
                uint x = column + 8 * c + own_column + e;
                if (i + 8 * b < a.nq && x < a.d)
                    store(o, TYPE_Y, ulong(i + 8 * b) * a.ldo + head + x, results[c][e] / total[b]);
            }
        }
    }
}
INSTANCE(attention_f32_32x16x4, attention, float, 32, 16, 4, 1, false, false);
INSTANCE(attention_f16_32x32x4, attention, half, 32, 32, 4, 1, false, false);
INSTANCE(attention_bf16_32x32x4, attention, bfloat, 32, 32, 4, 1, false, false);
INSTANCE(attention_f32_32x32x8, attention, float, 32, 32, 8, 1, false, false);
INSTANCE(attention_f16_32x64x8, attention, half, 32, 64, 8, 1, false, false);
INSTANCE(attention_bf16_32x64x8, attention, bfloat, 32, 64, 8, 1, false, false);
INSTANCE(attention_f32_32x16x4_kv, attention, float, 32, 16, 4, 1, false, true);
INSTANCE(attention_f16_32x32x4_kv, attention, half, 32, 32, 4, 1, false, true);
INSTANCE(attention_bf16_32x32x4_kv, attention, bfloat, 32, 32, 4, 1, false, true);
INSTANCE(attention_f32_64x16x4, attention, float, 64, 16, 4, 1, false, false);
INSTANCE(attention_f16_64x32x4, attention, half, 64, 32, 4, 1, false, false);
INSTANCE(attention_bf16_64x32x4, attention, bfloat, 64, 32, 4, 1, false, false);
INSTANCE(attention_f32_64x32x4, attention, float, 64, 32, 4, 1, false, false);
INSTANCE(attention_f16_64x64x4, attention, half, 64, 64, 4, 1, false, false);
INSTANCE(attention_bf16_64x64x4, attention, bfloat, 64, 64, 4, 1, false, false);
INSTANCE(attention_f32_64x16x8, attention, float, 64, 16, 8, 1, false, false);
INSTANCE(attention_f16_64x32x8, attention, half, 64, 32, 8, 1, false, false);
INSTANCE(attention_bf16_64x32x8, attention, bfloat, 64, 32, 8, 1, false, false);
INSTANCE(attention_f32_64x16x4_kv, attention, float, 64, 16, 4, 1, false, true);
INSTANCE(attention_f16_64x32x4_kv, attention, half, 64, 32, 4, 1, false, true);
INSTANCE(attention_bf16_64x32x4_kv, attention, bfloat, 64, 32, 4, 1, false, true);
INSTANCE(attention_f32_128x16x4, attention, float, 128, 16, 4, 1, false, false);
INSTANCE(attention_f16_128x32x4, attention, half, 128, 32, 4, 1, false, false);
INSTANCE(attention_bf16_128x32x4, attention, bfloat, 128, 32, 4, 1, false, false);
INSTANCE(attention_f32_128x16x8, attention, float, 128, 16, 8, 1, false, false);
INSTANCE(attention_f16_128x32x8, attention, half, 128, 32, 8, 1, false, false);
INSTANCE(attention_bf16_128x32x8, attention, bfloat, 128, 32, 8, 1, false, false);
INSTANCE(attention_f32_128x32x4, attention, float, 128, 32, 4, 1, false, false);
INSTANCE(attention_f16_128x64x4, attention, half, 128, 64, 4, 1, false, false);
INSTANCE(attention_bf16_128x64x4, attention, bfloat, 128, 64, 4, 1, false, false);
INSTANCE(attention_f16_128x32x4x2, attention, half, 128, 32, 4, 2, false, false);
INSTANCE(attention_bf16_128x32x4x2, attention, bfloat, 128, 32, 4, 2, false, false);
INSTANCE(attention_f16_128x64x4x2, attention, half, 128, 64, 4, 2, false, false);
INSTANCE(attention_bf16_128x64x4x2, attention, bfloat, 128, 64, 4, 2, false, false);
INSTANCE(attention_f16_128x32x8x2, attention, half, 128, 32, 8, 2, false, false);
INSTANCE(attention_bf16_128x32x8x2, attention, bfloat, 128, 32, 8, 2, false, false);
INSTANCE(attention_f32_128x16x4_kv, attention, float, 128, 16, 4, 1, false, true);
INSTANCE(attention_f16_128x32x4_kv, attention, half, 128, 32, 4, 1, false, true);
INSTANCE(attention_bf16_128x32x4_kv, attention, bfloat, 128, 32, 4, 1, false, true);
INSTANCE(attention_f32_128x16x4_s, attention, float, 128, 16, 4, 1, true, false);
INSTANCE(attention_f16_128x32x4_s, attention, half, 128, 32, 4, 1, true, false);
INSTANCE(attention_bf16_128x32x4_s, attention, bfloat, 128, 32, 4, 1, true, false);
