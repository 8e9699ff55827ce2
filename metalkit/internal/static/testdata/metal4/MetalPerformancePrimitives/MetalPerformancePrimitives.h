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

struct cooperative_tensor {
    uint16_t get_capacity() const;
    bool is_valid_element(uint16_t i) const;
    metal::array<int, 2> get_multidimensional_index(uint16_t i) const;
    float &operator[](uint16_t i);
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

template <matmul2d_descriptor how, class Scope> struct matmul2d {
    static_assert(how.m % 16 == 0 || how.n % 16 == 0, "At least one of M or N must be a multiple of 16");
    template <class Left, class Right, class Element> cooperative_tensor get_destination_cooperative_tensor() const {
        static_assert(multiplies<typename operand<Left>::type, typename operand<Right>::type>, "no product of such types");
        return {};
    }
    template <class Left, class Right> void run(Left &left, Right &right, cooperative_tensor &to) const {
        static_assert(multiplies<typename operand<Left>::type, typename operand<Right>::type>, "no product of such types");
    }
};

} // namespace tensor_ops
} // namespace mpp
