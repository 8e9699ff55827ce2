// Attention by matmul2d, for keys and values that it multiplies as they are: K and V of type T, heads
// that are width columns wide, and at least as many keys as one step takes. Queries, scores, weights and
// results stay in the registers of one simd-group, but for the queries, which each step reads again from
// threadgroup memory. It is for GPUs with Neural Accelerators only, see metal4.h.
//
// Reference: torch.nn.functional.scaled_dot_product_attention, by the online softmax of attention.metal.
// Checked against loops in float64 by inference/device/devicetest/attention.go.
//
// It knows nothing of where elements lie in registers. What it counts on is in Apple's documents (Metal
// Shading Language Specification 4.0, 2.21 and 7.2; MPPTensorOpsMatMul2d.h; session 330 of WWDC 2026; tech
// talk 111432):
//
//   - A result in a cooperative tensor is the simd-group's own where the scope is execution_simdgroup, and
//     simd-groups need not meet. get_multidimensional_index says which element of it one of a thread's is, the
//     column first, and is_valid_element whether it is one.
//   - reduce_rows takes the sum or the maximum of each row, and map_iterator leads from an element to that of its
//     row, where is_iterator_compatible says that it can. Where it cannot, no key is counted and every
//     result is 0 / 0: the check of each kernel at its first use then switches this one off.
//   - A cooperative tensor may be the left factor, since macOS 26.3. Its elements lie as the operation has
//     them. Where each thread has in place e of the factor what it has in place e of the scores, the weights
//     stay where they are; where not, they go through threadgroup memory, as Apple advises.
//   - A product with such a factor wants a number for k (a static_assert of the header), and then reads beyond
//     the extents, see metal4.h: the last step goes back to where all of its keys are there, and leaves out
//     those that have been counted.
//
// Time it: gimbal bench kernel attention 40x17160x17160x128
#include "metal4.h"
#include "attention.h"

// attention_matmul2d computes 16 queries of head group.y in each of so many simd-groups.
template <typename T, int width, int keys, int simds>
kernel void attention_matmul2d(constant AttentionArgs &a [[buffer(0)]], device const void *q [[buffer(1)]], device const void *k [[buffer(2)]],
                               device const void *v [[buffer(3)]], device const float *rel [[buffer(4)]],
                               device const float *key_bias [[buffer(5)]], device void *o [[buffer(6)]],
                               uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                               uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    constexpr uint rows = 16, ldq = width + 8, ldw = keys + 8;
    static_assert(keys <= width, "the weights of a step are more than its results");
    SHARED(T, queries, simds * rows * ldq);
    SHARED(T, passed, simds * rows * ldw); // weights on their way from the lanes that have them to those that want them
    uint head = group.y * a.d, block = group.x * simds * rows, i0 = block + simd * rows;
    load_rows<T, width, simds * rows, 32 * simds>(queries, q, TYPE_A, FLAGS & ATTENTION_RAW_Q, a.ldq, a.nq, block, head, a.d, 0, tid);
    threadgroup_barrier(mem_flags::mem_threadgroup); // the only one: each simd-group goes its own way from here
    threadgroup T *pass = passed + simd * rows * ldw;
    // least is the score of a key that is not there, as fast:: functions promise nothing of infinities,
    // and none what a maximum begins with, above it: without a key every weight is 0.
    constexpr float log2e = 1.4426950408889634f, least = -1e30f, none = -1e29f;

    using Queries = tensor<threadgroup T, dextents<int32_t, 2>, tensor_inline>;
    using Keys = tensor<device T, dextents<int32_t, 2>, tensor_inline>;
    constexpr auto how = matmul2d_descriptor(rows, keys, width, false, true, false, // K is transposed
                                             matmul2d_descriptor::mode::multiply);
    constexpr auto how_add = matmul2d_descriptor(rows, width, keys, false, false, false, matmul2d_descriptor::mode::multiply_accumulate);
    using Sum = matmul2d<how_add, execution_simdgroup>;
    using Weights = typename Sum::template cooperative_tensor_left_input_t<T, T, float, int>;
    matmul2d<how, execution_simdgroup> product;
    Sum sum;
    Queries qs(queries + simd * rows * ldq, dextents<int32_t, 2>(width, rows), array<int32_t, 2>({1, int(ldq)}));
    auto scores = product.template get_destination_cooperative_tensor<Queries, Keys, float>();
    auto of_step = product.template get_row_reduction_destination_cooperative_tensor<Queries, Keys, float>();
    auto top = product.template get_row_reduction_destination_cooperative_tensor<Queries, Keys, float>();
    auto total = product.template get_row_reduction_destination_cooperative_tensor<Queries, Keys, float>();
    auto factor = product.template get_row_reduction_destination_cooperative_tensor<Queries, Keys, float>();
    Weights weights = sum.template get_left_input_cooperative_tensor<T, T, float>();
    auto out = sum.template get_destination_cooperative_tensor<Weights, Keys, float>();

    bool mapped = is_iterator_compatible(scores, top) && is_iterator_compatible(out, top);
    bool stays = scores.get_capacity() == weights.get_capacity();
    UNROLL for (uint16_t e = 0; e < scores.get_capacity(); e++) {
        bool valid = stays && weights.is_valid_element(e);
        stays = stays && scores.is_valid_element(e) == valid;
        if (stays && valid) {
            auto has = scores.get_multidimensional_index(e), wants = weights.get_multidimensional_index(e);
            stays = has[0] == wants[0] && has[1] == wants[1];
        }
    }
    stays = simd_all(stays);
    UNROLL for (uint16_t r = 0; r < top.get_capacity(); r++) { // of rows, all that a thread has, as any may be mapped to
        top[r] = none;
        total[r] = 0.0f;
    }
    UNROLL for (uint16_t e = 0; e < out.get_capacity(); e++) {
        if (out.is_valid_element(e))
            out[e] = 0.0f;
    }

    uint counted = mapped ? a.nk : 0;
    for (uint first = 0; first < counted; first += keys) {
        uint j0 = min(first, a.nk - keys);
        Keys ks((device T *)k + ulong(j0) * a.ldk + head, dextents<int32_t, 2>(width, keys), array<int32_t, 2>({1, int(a.ldk)}));
        Keys vs((device T *)v + ulong(j0) * a.ldv + head, dextents<int32_t, 2>(width, keys), array<int32_t, 2>({1, int(a.ldv)}));
        product.run(qs, ks, scores);
        UNROLL for (uint16_t e = 0; e < scores.get_capacity(); e++) {
            if (!scores.is_valid_element(e))
                continue;
            auto at = scores.get_multidimensional_index(e);
            uint i = i0 + uint(at[1]), j = j0 + uint(at[0]);
            float s = least;
            if (i < a.nq && j >= first) {
                s = scores[e] * a.scale;
                if (FLAGS & ATTENTION_REL)
                    s += rel[ulong(group.y) * a.ldrel + (j + a.nq - 1 - i)];
                if (FLAGS & ATTENTION_KEY)
                    s += key_bias[j];
                s = s < least ? least : s; // keeps NaN
            }
            scores[e] = s;
        }
        reduce_rows(scores, of_step, reduction_operation::max, least);
        bool same = true;
        UNROLL for (uint16_t r = 0; r < top.get_capacity(); r++) {
            float high = max(of_step[r], top[r]);
            factor[r] = fast::exp2((top[r] - high) * log2e);
            same = same && factor[r] == 1;
            top[r] = high;
        }
        UNROLL for (uint16_t e = 0; e < scores.get_capacity(); e++) {
            if (scores.is_valid_element(e))
                scores[e] = fast::exp2((scores[e] - *top.map_iterator(scores.get_iterator(e))) * log2e);
        }
        reduce_rows(scores, of_step, reduction_operation::sum, 0.0f);
        UNROLL for (uint16_t r = 0; r < top.get_capacity(); r++)
            total[r] = total[r] * factor[r] + of_step[r];

        if (stays) {
            UNROLL for (uint16_t e = 0; e < scores.get_capacity(); e++) {
                if (scores.is_valid_element(e))
                    weights[e] = T(scores[e]);
            }
        } else {
            simdgroup_barrier(mem_flags::mem_threadgroup); // the weights before have been taken
            UNROLL for (uint16_t e = 0; e < scores.get_capacity(); e++) {
                if (!scores.is_valid_element(e))
                    continue;
                auto at = scores.get_multidimensional_index(e);
                pass[uint(at[1]) * ldw + uint(at[0])] = T(scores[e]);
            }
            simdgroup_barrier(mem_flags::mem_threadgroup);
            UNROLL for (uint16_t e = 0; e < weights.get_capacity(); e++) {
                if (!weights.is_valid_element(e))
                    continue;
                auto at = weights.get_multidimensional_index(e);
                weights[e] = pass[uint(at[1]) * ldw + uint(at[0])];
            }
        }
        if (!simd_all(same)) {
            UNROLL for (uint16_t e = 0; e < out.get_capacity(); e++) {
                if (out.is_valid_element(e))
                    out[e] *= *factor.map_iterator(out.get_iterator(e));
            }
        }
        sum.run(weights, vs, out);
    }

    UNROLL for (uint16_t e = 0; e < out.get_capacity(); e++) {
        if (!out.is_valid_element(e))
            continue;
        auto at = out.get_multidimensional_index(e);
        uint i = i0 + uint(at[1]);
        float weight = mapped ? *total.map_iterator(out.get_iterator(e)) : 0.0f;
        if (i < a.nq)
            store(o, TYPE_Y, ulong(i) * a.ldo + head + uint(at[0]), out[e] / weight);
    }
}
INSTANCE(attention_matmul2d_f16_32x32x4, attention_matmul2d, half, 32, 32, 4);
INSTANCE(attention_matmul2d_bf16_32x32x4, attention_matmul2d, bfloat, 32, 32, 4);
INSTANCE(attention_matmul2d_f16_64x32x4, attention_matmul2d, half, 64, 32, 4);
INSTANCE(attention_matmul2d_bf16_64x32x4, attention_matmul2d, bfloat, 64, 32, 4);
INSTANCE(attention_matmul2d_f16_64x64x4, attention_matmul2d, half, 64, 64, 4);
INSTANCE(attention_matmul2d_bf16_64x64x4, attention_matmul2d, bfloat, 64, 64, 4);
INSTANCE(attention_matmul2d_f16_128x32x4, attention_matmul2d, half, 128, 32, 4);
INSTANCE(attention_matmul2d_bf16_128x32x4, attention_matmul2d, bfloat, 128, 32, 4);
INSTANCE(attention_matmul2d_f16_128x64x4, attention_matmul2d, half, 128, 64, 4);
INSTANCE(attention_matmul2d_bf16_128x64x4, attention_matmul2d, bfloat, 128, 64, 4);
