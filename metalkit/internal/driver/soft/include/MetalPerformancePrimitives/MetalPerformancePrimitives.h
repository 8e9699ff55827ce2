// matmul2d, as far as the kernels use it: the left factor as it is, the right one transposed, k
// given by the extents. The simd-groups of a threadgroup have to call it together, but it is no
// barrier: each thread computes its own elements of the result from what memory holds when it comes.
#ifndef GIMBAL_SOFT_METAL_PERFORMANCE_PRIMITIVES
#define GIMBAL_SOFT_METAL_PERFORMANCE_PRIMITIVES

#include "../metal_tensor"

namespace metal {
template <size_t n> struct execution_simdgroups {
    static constexpr size_t static_size = n;
};
} // namespace metal

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

// cooperative_tensor holds a thread's elements of an m by n result: a block of rows, eight columns
// wide, after a first one that is not valid, as Apple's documents allow.
template <int m, int n, int threads> struct cooperative_tensor {
    static constexpr int wide = 8, high = m * n / threads / wide, across = n / wide;
    static_assert(high * wide * threads == m * n && n % wide == 0, "a thread has no block of its own");
    float v[high * wide + 1];

    cooperative_tensor() {
        for (float &e : v)
            e = NAN; // nothing is cleared
    }
    static int row() { return int(soft::worker->position.index) / across * high; }
    static int column() { return int(soft::worker->position.index) % across * wide; }

    static uint16_t within(uint16_t i) {
        if (i > high * wide)
            soft::worker->fail("a cooperative tensor has no such element");
        return i;
    }

    uint16_t get_capacity() const { return high * wide + 1; }
    bool is_valid_element(uint16_t i) const { return within(i) > 0; }
    metal::array<int, 2> get_multidimensional_index(uint16_t i) const {
        if (!is_valid_element(i))
            return {0, 0};
        return {column() + (i - 1) % wide, row() + (i - 1) / wide};
    }
    float &operator[](uint16_t i) { return v[within(i)]; }
};

template <matmul2d_descriptor how, class Scope> struct matmul2d {
    static_assert(how.m % 16 == 0 || how.n % 16 == 0, "Apple's refuses smaller ones");
    static_assert(!how.transpose_left && how.transpose_right, "only a right factor that is transposed is emulated");
    static_assert(how.k == static_cast<int>(metal::dynamic_extent), "with a number for k it reads beyond the extents");
    static constexpr int threads = int(Scope::static_size) * int(soft::simd_width);
    typedef cooperative_tensor<how.m, how.n, threads> Destination;

    template <class Left, class Right, class Element> Destination get_destination_cooperative_tensor() const {
        static_assert(std::is_same<Element, float>::value, "only sums in F32 are emulated");
        return {};
    }

    template <class Left, class Right> void run(Left &left, Right &right, Destination &to) const {
        soft::worker->begin_product(threads);
        int depth = left.size.extent(0), rows = left.size.extent(1), columns = right.size.extent(1);
        if (depth != right.size.extent(0))
            soft::worker->fail("the factors of a matmul2d are not equally deep");
        float sums[to.high][to.wide] = {};
        for (int k = 0; k < depth; k++) {
            float b[to.wide];
            for (int j = 0; j < to.wide; j++)
                b[j] = to.column() + j < columns ? right.at(to.column() + j, k) : NAN;
            for (int i = 0; i < to.high; i++) {
                float a = to.row() + i < rows ? left.at(to.row() + i, k) : NAN;
                for (int j = 0; j < to.wide; j++)
                    sums[i][j] += a * b[j];
            }
        }
        bool adds = how.matmul_mode == matmul2d_descriptor::mode::multiply_accumulate;
        for (int i = 0; i < to.high * to.wide; i++)
            to.v[i + 1] = sums[i / to.wide][i % to.wide] + (adds ? to.v[i + 1] : 0);
        static const char kind = 0;
        soft::worker->exchange(0, &kind); // its simd-group comes together
    }
};

} // namespace tensor_ops
} // namespace mpp
#endif
