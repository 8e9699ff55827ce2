// matmul2d, declared after Apple's documentation. It takes tensors in device and threadgroup memory, of
// the pairs of types that it lists and Gimbal uses.
#pragma once
#include <metal_tensor>

namespace mpp {
namespace tensor_ops {

struct matmul2d_descriptor {
    enum class mode { multiply, multiply_accumulate };
    int m, n, k;
    bool transpose_left, transpose_right, relaxed_precision;
    mode matmul_mode;
    constexpr matmul2d_descriptor(int m, int n, int k = static_cast<int>(metal::dynamic_extent), bool transpose_left = false,
                                  bool transpose_right = false, bool relaxed_precision = false, mode matmul_mode = mode::multiply)
        : m(m), n(n), k(k), transpose_left(transpose_left), transpose_right(transpose_right), relaxed_precision(relaxed_precision),
          matmul_mode(matmul_mode) {}
};

template <matmul2d_descriptor how> struct left_factor {};
template <matmul2d_descriptor how> struct result {};
template <matmul2d_descriptor how> struct rows_of_result {};

template <class Layout> constexpr size_t dimensions = 2;
template <matmul2d_descriptor how> constexpr size_t dimensions<rows_of_result<how>> = 1;

template <class Element, class Layout> struct cooperative_tensor {
    struct iterator {
        Element &operator*() const;
    };
    uint16_t get_capacity() const;
    bool is_valid_element(uint16_t i) const;
    metal::array<int, dimensions<Layout>> get_multidimensional_index(uint16_t i) const;
    Element &operator[](uint16_t i);
    iterator get_iterator(uint16_t i);
    template <class Other> iterator map_iterator(Other it);
};

template <class L, class R> constexpr bool multiplies = false;
template <> constexpr bool multiplies<half, half> = true;
template <> constexpr bool multiplies<half, int8_t> = true;

template <class T> struct element {
    static constexpr bool addressed = false;
};
template <class T> struct element<device T> {
    typedef T type;
    static constexpr bool addressed = true;
};
template <class T> struct element<threadgroup T> {
    typedef T type;
    static constexpr bool addressed = true;
};

template <class T> struct operand;
template <class T> struct operand<metal::tensor<T, metal::dextents<int32_t, 2>, metal::tensor_inline>> {
    static_assert(element<T>::addressed, "a tensor in no address space");
    typedef typename element<T>::type type;
};

template <class Element, class Layout> struct operand<cooperative_tensor<Element, Layout>> {
    typedef Element type;
};

template <class T> constexpr bool is_cooperative = false;
template <class E, class L> constexpr bool is_cooperative<cooperative_tensor<E, L>> = true;
template <class Scope> constexpr bool is_simdgroup = false;
template <> constexpr bool is_simdgroup<metal::execution_simdgroup> = true;

template <matmul2d_descriptor how, class Scope> struct matmul2d {
    static_assert(how.m % 16 == 0 || how.n % 16 == 0, "At least one of M or N must be a multiple of 16");
    template <class Left, class Right, class Element, class Coordinate, class... More>
    using cooperative_tensor_left_input_t = cooperative_tensor<Left, left_factor<how>>;

    template <class Left, class Right, class Element> cooperative_tensor<Left, left_factor<how>> get_left_input_cooperative_tensor() const {
        static_assert(is_simdgroup<Scope>, "Input cooperative tensors require a single SIMD group");
        static_assert(multiplies<Left, Right>, "no product of such types");
        return {};
    }
    template <class Left, class Right, class Element> cooperative_tensor<float, result<how>> get_destination_cooperative_tensor() const {
        static_assert(multiplies<typename operand<Left>::type, typename operand<Right>::type>, "no product of such types");
        return {};
    }
    template <class Left, class Right, class Element>
    cooperative_tensor<float, rows_of_result<how>> get_row_reduction_destination_cooperative_tensor() const {
        static_assert(is_simdgroup<Scope>, "rows are reduced in a single SIMD group");
        static_assert(multiplies<typename operand<Left>::type, typename operand<Right>::type>, "no product of such types");
        return {};
    }
    template <class Left, class Right> void run(Left &left, Right &right, cooperative_tensor<float, result<how>> &to) const {
        static_assert(multiplies<typename operand<Left>::type, typename operand<Right>::type>, "no product of such types");
        static_assert(!is_cooperative<Left> || how.k != static_cast<int>(metal::dynamic_extent),
                      "Inner dimension cannot be dynamic with input cooperative tensors");
    }
};

enum class reduction_operation { sum, max, min };

template <class Element, matmul2d_descriptor how>
void reduce_rows(cooperative_tensor<Element, result<how>> &source, cooperative_tensor<Element, rows_of_result<how>> &destination,
                 reduction_operation op, Element identity);

template <class E, class F, class Source, class Destination>
bool is_iterator_compatible(const cooperative_tensor<E, Source> &source, const cooperative_tensor<F, Destination> &destination);

} // namespace tensor_ops
} // namespace mpp
