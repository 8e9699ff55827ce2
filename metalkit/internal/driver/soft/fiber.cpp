//go:build !darwin

#include "fiber.h"
#include "soft.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

// soft_switch keeps the registers that a call preserves on the running stack,
// leaves its pointer in *save and goes on at the stack pointer load.
extern "C" void soft_switch(void **save, void *load);

#if defined(__x86_64__)
__asm__(".text\n.globl soft_switch\n.type soft_switch,@function\nsoft_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size soft_switch,.-soft_switch\n");

static void *prepare(char *top, void (*f)()) {
    void **sp = (void **)top; // 16-byte aligned: f starts as if it had been called
    *--sp = 0;
    *--sp = (void *)f;
    for (int i = 0; i < 6; i++)
        *--sp = 0;
    return sp;
}
#elif defined(__aarch64__)
__asm__(".text\n.globl soft_switch\n.type soft_switch,%function\nsoft_switch:\n"
        "sub sp,sp,#160\n"
        "stp x19,x20,[sp,#0]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\n"
        "stp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
        "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
        "mov x2,sp\nstr x2,[x0]\nmov sp,x1\n"
        "ldp x19,x20,[sp,#0]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
        "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
        "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
        "add sp,sp,#160\nret\n"
        ".size soft_switch,.-soft_switch\n");

static void *prepare(char *top, void (*f)()) {
    void **sp = (void **)(top - 160);
    memset(sp, 0, 160);
    sp[11] = (void *)f; // x30
    return sp;
}
#else
#error "soft_switch is written for x86-64 and arm64"
#endif

namespace soft {

__thread Worker *worker;
__thread uint32_t constants[max_constants];
static Kernel *kernels;

Kernel::Kernel(const char *name, Body body) : name(name), body(body), next(kernels) { kernels = this; }

// enter is what a fresh stack runs: the running thread, and after it every next
// one that has not started yet.
static void enter() {
    Worker *w = worker;
    for (;;) {
        w->body(*w->dispatch, w->position);
        Thread &t = w->running();
        t.finished = true;
        w->idle = 0;
        if (--w->live == 0) {
            void *dropped;
            soft_switch(&dropped, w->home);
        }
        w->thread[t.previous].next = t.next;
        w->thread[t.next].previous = t.previous;
        w->position.index = t.next;
        Thread &next = w->running();
        if (next.sp == nullptr) {
            next.stack = t.stack;
            next.sp = next.stack; // started
            continue;
        }
        w->stacks[w->free_stacks++] = t.stack;
        void *dropped;
        soft_switch(&dropped, next.sp);
    }
}

// neighbour is the next thread of the simd-group of the running one.
uint32_t Worker::neighbour() const {
    uint32_t i = position.index;
    do
        i = i / simd_width * simd_width + (backward ? i + simd_width - 1 : i + 1) % simd_width;
    while (thread[i].finished);
    return i;
}

// yield lets thread to run.
void Worker::yield(uint32_t to) {
    Thread &t = running();
    if (to == position.index)
        return;
    position.index = to;
    Thread &next = running();
    if (next.sp == nullptr) {
        next.stack = stacks[--free_stacks];
        next.sp = prepare(next.stack + stack_size, enter);
    }
    soft_switch(&t.sp, next.sp);
}

void Worker::fail(const char *why) {
    error = why;
    void *dropped;
    soft_switch(&dropped, home);
    abort();
}

void Worker::meet(Meeting &m, uint32_t all, const void *kind) {
    if (m.arrived == 0)
        m.kind = kind;
    if (m.kind != kind)
        fail("the threads of a simd-group call different functions");
    idle = 0;
    if (++m.arrived == all) {
        m.arrived = 0;
        m.generation++;
        return;
    }
    for (uint32_t g = m.generation; g == m.generation;) {
        if (++idle > 4 * live)
            fail("threads wait for others that do not come: a barrier or simd function in divergent flow, or after a return");
        // A simd-group goes as far as it can without the others, so that what a
        // barrier should keep apart shows.
        yield(all == simd_width ? neighbour() : running().next);
    }
    idle = 0;
}

void Worker::threadgroup_barrier() {
    running().barriers++;
    meet(barrier, threads, &barrier);
}

// exchange brings in one lane's bits and returns those of all lanes.
const uint32_t *Worker::exchange(uint32_t bits, const void *kind) {
    Simdgroup &s = simdgroup[position.index / simd_width];
    uint32_t *slots = s.slots[running().exchanges++ % 2];
    slots[lane()] = bits;
    meet(s.meeting, simd_width, kind);
    return slots;
}

// declare returns the threadgroup's memory for the running thread's next array.
void *Worker::declare(uint32_t bytes) {
    Thread &t = running();
    t.shared = (t.shared + 15) / 16 * 16 + bytes;
    if (t.shared > max_shared)
        fail("more than 32768 bytes of threadgroup memory");
    if (t.arrays == max_arrays)
        fail("more arrays of threadgroup memory than the software driver keeps apart");
    uint32_t i = t.arrays++;
    if (i == array_count) {
        arrays[i].at = (shared_used + moat + 15) / 16 * 16;
        arrays[i].bytes = bytes;
        shared_used = arrays[i].at + bytes;
        array_count++;
    }
    if (arrays[i].bytes != bytes)
        fail("the threads of a threadgroup declare different arrays");
    return shared + arrays[i].at;
}

// begin_product notes that the running thread takes part in a matmul2d of so many threads.
void Worker::begin_product(uint32_t of) {
    if (of != threads)
        fail("a matmul2d is made for another number of simd-groups than there are");
    running().products++;
}

// moats_hold says whether what is around the arrays is as run_group left it.
bool Worker::moats_hold() const {
    if (array_count == 0)
        return true;
    uint32_t at = 0;
    for (uint32_t i = 0; i <= array_count; i++) {
        uint32_t to = i < array_count ? arrays[i].at : shared_used + moat;
        for (; at < to; at++)
            if (shared[at] != 0xff)
                return false;
        if (i < array_count)
            at += arrays[i].bytes;
    }
    return true;
}

void Worker::run_group() {
    if (array_count > 0)
        memset(shared, 0xff, shared_used + moat); // NaN: nothing is left of the group before
    array_count = shared_used = 0;
    for (uint32_t i = 0; i < threads; i++) {
        uint32_t up = (i + 1) % threads, down = (i + threads - 1) % threads;
        thread[i] = Thread{nullptr, nullptr, backward ? down : up, backward ? up : down, false, 0, 0, 0, 0, 0};
        if (i % simd_width == 0)
            simdgroup[i / simd_width].meeting = Meeting{};
    }
    barrier = Meeting{};
    live = threads;
    idle = 0;
    for (free_stacks = 0; free_stacks < threads; free_stacks++)
        stacks[free_stacks] = memory + (threads - 1 - free_stacks) * stack_size;
    position.index = backward ? threads - 1 : 0;
    Thread &first = running();
    first.stack = stacks[--free_stacks];
    first.sp = prepare(first.stack + stack_size, enter);
    soft_switch(&home, first.sp);
    for (uint32_t i = 0; i < threads && error == nullptr; i++) {
        if (thread[i].barriers != thread[0].barriers)
            error = "not every thread passed every barrier";
        else if (thread[i].products != thread[0].products)
            error = "not every simd-group takes part in every matmul2d";
    }
    if (error == nullptr && !moats_hold())
        error = "threadgroup memory is written outside of its array";
}

// A kernel that touches memory which is not its own ends with an error; faults of all
// others go where they went.
static struct sigaction others;

static void touched() { worker->fail("memory outside of every buffer is read or written"); }

static void on_fault(int signal, siginfo_t *info, void *context) {
    if (worker == nullptr) {
        others.sa_sigaction(signal, info, context);
        return;
    }
    mcontext_t &m = ((ucontext_t *)context)->uc_mcontext;
    char *top = worker->running().stack + stack_size; // where it started: it may have spoilt its stack pointer
#if defined(__x86_64__)
    m.gregs[REG_RSP] = (greg_t)top - 8; // as after a call
    m.gregs[REG_RIP] = (greg_t)touched;
#else
    m.sp = (uint64_t)top;
    m.pc = (uint64_t)touched;
#endif
}

static void catch_faults() {
    struct sigaction own = {};
    own.sa_sigaction = on_fault;
    own.sa_flags = SA_SIGINFO | SA_ONSTACK; // Go's handler needs both
    sigaction(SIGSEGV, &own, &others);
}

} // namespace soft

using namespace soft;

extern "C" {

void *soft_worker_new(int backward) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, catch_faults);
    void *p = aligned_alloc(64, (sizeof(Worker) + 63) / 64 * 64);
    if (p == nullptr)
        return nullptr;
    void *stacks = mmap(nullptr, max_threads * stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) {
        free(p);
        return nullptr;
    }
    memset(p, 0, sizeof(Worker));
    Worker *w = (Worker *)p;
    w->backward = backward;
    w->memory = (char *)stacks;
    return w;
}

void soft_worker_registers(void *p, uint32_t registers) { ((Worker *)p)->registers = Registers(registers); }

uint64_t soft_worker_passes(const void *p) { return ((const Worker *)p)->passes; }

void soft_worker_free(void *p) {
    munmap(((Worker *)p)->memory, max_threads * stack_size);
    free(p);
}

const void *soft_kernel(const char *name) {
    for (Kernel *k = kernels; k != nullptr; k = k->next)
        if (strcmp(k->name, name) == 0)
            return k;
    return nullptr;
}

const char *soft_run(void *p, const void *kernel, const void *values, uint32_t n, const void *dispatch, uint64_t first, uint64_t last) {
    Worker *w = (Worker *)p;
    w->dispatch = (const Dispatch *)dispatch;
    w->body = ((const Kernel *)kernel)->body;
    memcpy(constants, values, n * sizeof *constants);
    w->threads = w->dispatch->threads;
    w->error = nullptr;
    if (w->threads > max_threads)
        return "more than 1024 threads in a threadgroup";
    memset(w->shared, 0xff, sizeof w->shared);
    worker = w;
    const uint32_t *groups = w->dispatch->groups;
    for (uint64_t g = first; g < last && w->error == nullptr; g++) {
        w->position = Position{{uint32_t(g % groups[0]), uint32_t(g / groups[0] % groups[1]), uint32_t(g / groups[0] / groups[1])}, 0};
        w->run_group();
    }
    worker = nullptr;
    return w->error;
}

size_t soft_dispatch_size(void) { return sizeof(Dispatch); }

// Pages that nobody may touch lie around memory.
static size_t page_size(void) { return size_t(sysconf(_SC_PAGESIZE)); }
static size_t whole_pages(size_t bytes) { return (bytes + page_size() - 1) / page_size() * page_size(); }

void *soft_alloc(size_t bytes) {
    size_t page = page_size(), whole = whole_pages(bytes);
    char *p = (char *)mmap(nullptr, whole + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return nullptr;
    if (mmap(p + page, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_FIXED, -1, 0) == MAP_FAILED) {
        munmap(p, whole + 2 * page);
        return nullptr;
    }
    return p + page;
}

void soft_free(void *p, size_t bytes) { munmap((char *)p - page_size(), whole_pages(bytes) + 2 * page_size()); }

int64_t soft_physical_memory(void) { return int64_t(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE); }
}
