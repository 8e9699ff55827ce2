// matmul2d, as far as the kernels use it. The simd-groups of a threadgroup have to call it together
// where it is made for all of them, but it is no barrier: each thread computes its own elements of the
// result from what memory holds when it comes.
#ifndef GIMBAL_SOFT_METAL_PERFORMANCE_PRIMITIVES
#define GIMBAL_SOFT_METAL_PERFORMANCE_PRIMITIVES

#include "../metal_tensor"

namespace metal {

template <size_t n> struct execution_simdgroups {
    static constexpr size_t static_size = n;
};
typedef execution_simdgroups<1> execution_simdgroup;

// cooperative_tensor holds a thread's elements, where Layout has them, after a first one that is not
// valid, as Apple's documents allow.
template <class Element, class Layout> struct cooperative_tensor {
    static constexpr int count = Layout::count;
    Element v[count + 1];

    cooperative_tensor() {
        for (Element &e : v)
            e = Element(NAN); // nothing is cleared
    }

    static uint16_t within(uint16_t i) {
        if (i > count)
            soft::worker->fail("a cooperative tensor has no such element");
        return i;
    }

    uint16_t get_capacity() const { return count + 1; }
    bool is_valid_element(uint16_t i) const { return within(i) > 0; }
    auto get_multidimensional_index(uint16_t i) const { return Layout::at(is_valid_element(i) ? i - 1 : 0); }
    Element &operator[](uint16_t i) { return v[within(i)]; }

    struct iterator {
        cooperative_tensor &of;
        uint16_t i;
        Element &operator*() const { return of[i]; }
        auto index() const { return of.get_multidimensional_index(i); }
    };
    iterator get_iterator(uint16_t i) { return {*this, within(i)}; }

    // map_iterator leads from an element to that of its row.
    template <class Other> iterator map_iterator(Other it) {
        int row = it.index()[1], i = row / 8;
        if (soft::worker->registers == soft::unmapped || i >= count || Layout::at(i)[0] != row)
            soft::worker->fail("an element is mapped to a row that the thread does not have");
        return {*this, uint16_t(i + 1)};
    }
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

// A layout has so many rows and columns of a matrix in a thread, one row after the other.
template <class Layout> inline metal::array<int, 2> place(int i, int index) {
    return {Layout::column(i % Layout::wide, index), Layout::row(i / Layout::wide, index)};
}

// blocks is how a result lies in the threads of several simd-groups: each has a block of rows, eight
// columns wide.
template <int m, int n, int threads> struct blocks {
    static constexpr int wide = 8, high = m * n / threads / wide, across = n / wide, count = high * wide;
    static_assert(count * threads == m * n && n % wide == 0, "a thread has no block of its own");
    static int column(int c, int index) { return index % across * wide + c; }
    static int row(int r, int index) { return index / across * high + r; }
    static metal::array<int, 2> at(int i) { return place<blocks>(i, soft::worker->position.index); }
};

// fours is how a matrix lies in one simd-group: a lane has every fourth four columns of every eighth
// row. Of a left factor that lies apart the last two lanes have each other's last element.
template <int m, int n, bool left> struct fours {
    static constexpr int wide = n / 4, high = m / 8, count = high * wide;
    static_assert(m % 8 == 0 && n % 16 == 0, "lanes have different numbers of elements");
    static int column(int c, int lane) { return c / 4 * 16 + lane % 4 * 4 + c % 4; }
    static int row(int r, int lane) { return lane / 4 + 8 * r; }
    static metal::array<int, 2> at(int i) { return at(i, soft::worker->lane()); }
    static metal::array<int, 2> at(int i, int lane) {
        bool other = left && soft::worker->registers == soft::apart && i == count - 1 && lane >= 30;
        return place<fours>(i, other ? lane ^ 1 : lane);
    }
};

// rows is how one number for each row of such a matrix lies: the four lanes that share a row all have it.
template <int m> struct rows {
    static constexpr int count = m / 8;
    static metal::array<int, 1> at(int i) { return {int(soft::worker->lane()) / 4 + 8 * i}; }
};

template <matmul2d_descriptor how, class Scope> struct matmul2d {
    static_assert(how.m % 16 == 0 || how.n % 16 == 0, "Apple's refuses smaller ones");
    static_assert(!how.transpose_left, "a left factor that is transposed is not emulated");
    static constexpr bool alone = Scope::static_size == 1, dynamic = how.k == static_cast<int>(metal::dynamic_extent);
    static constexpr int threads = int(Scope::static_size) * int(soft::simd_width);
    typedef typename std::conditional<alone, fours<how.m, how.n, false>, blocks<how.m, how.n, threads>>::type Layout;
    typedef metal::cooperative_tensor<float, Layout> Destination;
    static_assert(alone || dynamic, "with a number for k it reads beyond the extents");

    template <class Left, class Right, class Element, class Coordinate = int>
    using cooperative_tensor_left_input_t = metal::cooperative_tensor<Left, fours<how.m, dynamic ? 16 : how.k, true>>;

    template <class Left, class Right, class Element> auto get_left_input_cooperative_tensor() const {
        static_assert(alone, "Input cooperative tensors require a single SIMD group");
        return cooperative_tensor_left_input_t<Left, Right, Element>{};
    }

    template <class Left, class Right, class Element> Destination get_destination_cooperative_tensor() const {
        static_assert(std::is_same<Element, float>::value, "only sums in F32 are emulated");
        return {};
    }

    template <class Left, class Right, class Element> auto get_row_reduction_destination_cooperative_tensor() const {
        static_assert(alone, "rows are reduced in a single SIMD group");
        return metal::cooperative_tensor<Element, rows<how.m>>{};
    }

    template <class Left, class Right> void run(Left &left, Right &right, Destination &to) const {
        if (!alone)
            soft::worker->begin_product(threads);
        int depth = right.size.extent(how.transpose_right ? 0 : 1);
        multiply(whole(left, depth), right, depth, to);
        static const char kind = 0;
        soft::worker->exchange(0, &kind); // its simd-group comes together
    }

  private:
    // matrix is all of a left factor that the lanes of a simd-group hold.
    template <int k> struct matrix {
        float v[how.m][k];
        float at(int row, int column) const { return v[row][column]; }
    };

    template <class E, int k> static matrix<k> whole(metal::cooperative_tensor<E, fours<how.m, k, true>> &left, int depth) {
        static_assert(!dynamic, "Inner dimension cannot be dynamic with input cooperative tensors");
        matrix<k> all;
        for (int i = 0; i < left.count; i++) {
            static const char kind = 0;
            const uint32_t *of = soft::worker->exchange(metal::as_type<uint32_t>(float(left.v[i + 1])), &kind);
            for (int lane = 0; lane < int(soft::simd_width); lane++) {
                auto at = fours<how.m, k, true>::at(i, lane);
                all.v[at[1]][at[0]] = metal::as_type<float>(of[lane]);
            }
        }
        return all;
    }
    template <class E, class X, class D> static metal::tensor<E, X, D> &whole(metal::tensor<E, X, D> &left, int depth) {
        if (depth != left.size.extent(0))
            soft::worker->fail("the factors of a matmul2d are not equally deep");
        if (!dynamic && left.size.extent(1) < how.m)
            soft::worker->fail("a matmul2d with a number for k reads beyond the extents");
        return left;
    }

    template <class Left, class Right> static void multiply(const Left &left, Right &right, int depth, Destination &to) {
        int columns = right.size.extent(how.transpose_right ? 1 : 0);
        if (!dynamic && (depth < how.k || columns < how.n))
            soft::worker->fail("a matmul2d with a number for k reads beyond the extents");
        int index = alone ? soft::worker->lane() : soft::worker->position.index, deep = dynamic ? depth : how.k;
        float sums[Layout::high][Layout::wide] = {};
        for (int k = 0; k < deep; k++) {
            float b[Layout::wide];
            for (int c = 0; c < Layout::wide; c++) {
                int column = Layout::column(c, index);
                b[c] = column >= columns ? NAN : how.transpose_right ? right.at(column, k) : right.at(k, column);
            }
            for (int r = 0; r < Layout::high; r++) {
                float a = element(left, Layout::row(r, index), k);
                for (int c = 0; c < Layout::wide; c++)
                    sums[r][c] += a * b[c];
            }
        }
        bool adds = how.matmul_mode == matmul2d_descriptor::mode::multiply_accumulate;
        for (int i = 0; i < to.count; i++)
            to.v[i + 1] = sums[i / Layout::wide][i % Layout::wide] + (adds ? to.v[i + 1] : 0);
    }

    template <int k> static float element(const matrix<k> &left, int row, int column) { return left.at(row, column); }
    template <class E, class X, class D> static float element(const metal::tensor<E, X, D> &left, int row, int column) {
        return row < left.size.extent(1) ? left.at(row, column) : NAN;
    }
};

enum class reduction_operation { sum, max, min };

// reduce_rows brings the sum or the maximum of each row to all lanes that have elements of it.
template <int m, int n>
inline void reduce_rows(metal::cooperative_tensor<float, fours<m, n, false>> &from, metal::cooperative_tensor<float, rows<m>> &to,
                        reduction_operation by, float identity) {
    auto join = [by](float a, float b) { return by == reduction_operation::sum ? a + b : fmaxf(a, b); };
    for (int r = 0; r < m / 8; r++) {
        float own = identity;
        for (int c = 0; c < n / 4; c++)
            own = join(own, from.v[1 + r * (n / 4) + c]);
        static const char kind = 0;
        const uint32_t *of = soft::worker->exchange(metal::as_type<uint32_t>(own), &kind);
        to.v[1 + r] = identity;
        for (int lane = 0; lane < 4; lane++)
            to.v[1 + r] = join(to.v[1 + r], metal::as_type<float>(of[soft::worker->lane() / 4 * 4 + lane]));
    }
}

// is_iterator_compatible says whether an element's row is one that the same thread has.
template <int m, int n>
inline bool is_iterator_compatible(const metal::cooperative_tensor<float, fours<m, n, false>> &, const metal::cooperative_tensor<float, rows<m>> &) {
    return soft::worker->registers != soft::unmapped;
}

} // namespace tensor_ops
} // namespace mpp
#endif
