// The threads of one threadgroup as fibers of one operating-system thread, and
// the places where they meet: barriers and simd-group functions.
#ifndef GIMBAL_SOFT_FIBER_H
#define GIMBAL_SOFT_FIBER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace soft {

constexpr uint32_t simd_width = 32;
constexpr uint32_t max_threads = 1024;  // of a threadgroup, as on Apple GPUs
constexpr uint32_t max_shared = 32768;  // bytes of threadgroup memory, likewise
constexpr uint32_t max_arrays = 8;      // of threadgroup memory
constexpr uint32_t moat = 1024;         // bytes before and after each of them that nobody may write
constexpr size_t stack_size = 128 << 10;

// Dispatch has the layout of driver.Dispatch.
struct Dispatch {
    int32_t pipeline;
    uint32_t threads;
    uint32_t groups[3];
    uint32_t buffers;
    struct {
        uintptr_t handle;
        uint64_t offset;
    } bind[12];
    alignas(8) unsigned char args[192];
};

struct Position {
    uint32_t group[3];
    uint32_t index; // of the thread in its group
};

// Body runs one thread of a kernel.
typedef void (*Body)(const Dispatch &, const Position &);

// Meeting is a place where a number of threads wait for each other.
struct Meeting {
    uint32_t arrived;
    uint32_t generation;
    const void *kind; // what the first to arrive is here for
};

struct Thread {
    void *sp; // where it is suspended; null before it starts
    char *stack;
    uint32_t next, previous; // among those not finished
    bool finished;
    uint32_t shared;         // bytes of threadgroup memory that it has declared
    uint32_t arrays;         // in so many arrays
    uint32_t barriers;       // passed
    uint32_t exchanges;      // passed
    uint32_t products;       // matmul2d's that it took part in
};

struct Simdgroup {
    Meeting meeting;
    uint32_t slots[2][simd_width]; // in turns: the slow read one while the quick write the other
};

// Registers is where the elements of matmul2d's cooperative tensors lie, which Apple leaves open.
enum Registers : uint32_t {
    together, // a left factor's where a result has the same ones
    apart,    // a left factor's in other lanes, some of them
    unmapped, // those of rows in other lanes than the rows' elements
};

// Worker runs threadgroups one after the other on the calling thread.
struct Worker {
    bool backward; // start with the last thread
    Registers registers;
    uint64_t passes; // of simd-groups' barriers for threadgroup memory by threads
    const Dispatch *dispatch;
    Body body;
    Position position; // of the running thread
    void *home;        // the stack of run
    const char *error;
    uint32_t threads, live, idle;
    char *stacks[max_threads]; // not in use
    uint32_t free_stacks;
    char *memory; // of all stacks
    Meeting barrier;
    uint32_t shared_used; // moats included
    struct {
        uint32_t at, bytes;
    } arrays[max_arrays]; // of the threadgroup's memory
    uint32_t array_count;
    Thread thread[max_threads];
    Simdgroup simdgroup[max_threads / simd_width];
    alignas(64) unsigned char shared[max_shared + (max_arrays + 1) * (moat + 16)];

    void run_group();
    uint32_t neighbour() const;
    void yield(uint32_t to);
    void meet(Meeting &m, uint32_t all, const void *kind);
    void threadgroup_barrier();
    const uint32_t *exchange(uint32_t bits, const void *kind);
    void *declare(uint32_t bytes);
    void begin_product(uint32_t of);
    bool moats_hold() const;
    [[noreturn]] void fail(const char *why);

    Thread &running() { return thread[position.index]; }
    uint32_t lane() const { return position.index % simd_width; }
};

// worker runs on the calling thread, and constants are the function constants of its kernel.
// They are __thread, not thread_local, which would ask at each use whether they are made.
constexpr uint32_t max_constants = 8;
extern __thread Worker *worker __attribute__((tls_model("initial-exec")));
extern __thread uint32_t constants[max_constants] __attribute__((tls_model("initial-exec")));

// Kernel is an entry of the list of all kernels.
struct Kernel {
    const char *name;
    Body body;
    Kernel *next;
    Kernel(const char *name, Body body);
};

} // namespace soft
#endif
