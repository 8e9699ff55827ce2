// The few functions of libcuda that metalkit needs. All but cuda_open return a CUresult.
#ifndef GIMBAL_CUDA_H
#define GIMBAL_CUDA_H

#include <stddef.h>
#include <stdint.h>

typedef struct cuda_gpu cuda_gpu;

// cuda_dispatch has the layout of driver.Dispatch.
typedef struct {
    int32_t pipeline;
    uint32_t threads;
    uint32_t groups[3];
    uint32_t buffers;
    struct {
        uintptr_t handle;
        uint64_t offset;
    } bind[12];
    _Alignas(8) unsigned char args[192];
} cuda_dispatch;

typedef struct {
    char name[256];
    int version; // of CUDA that the driver knows, 12040 for 12.4
    size_t memory;
    int multiprocessors, major, minor;
} cuda_info;

// cuda_open opens the first GPU. It returns null and writes why to a text of so many bytes.
cuda_gpu *cuda_open(cuda_info *info, char *why, size_t size);
void cuda_close(cuda_gpu *g);

// cuda_text is what libcuda calls an error.
const char *cuda_text(cuda_gpu *g, int result);

int cuda_alloc(cuda_gpu *g, size_t size, uintptr_t *address);
int cuda_free(cuda_gpu *g, uintptr_t address);
int cuda_zero(cuda_gpu *g, uintptr_t address, size_t size);
int cuda_write(cuda_gpu *g, uintptr_t address, const void *from, size_t size);
int cuda_read(cuda_gpu *g, void *to, uintptr_t address, size_t size);
int cuda_room(cuda_gpu *g, size_t *available, size_t *total);

// cuda_load compiles a text for the GPU and finds a kernel in it. What the compiler says
// is written to log.
int cuda_load(cuda_gpu *g, const char *ptx, const char *name, void **module, void **function, char *log, size_t size);
int cuda_unload(cuda_gpu *g, void *module);

// cuda_uses tells a kernel's registers and bytes of local memory per thread.
int cuda_uses(cuda_gpu *g, void *function, int *registers, int *local);

// cuda_begin, launches, cuda_end: the time in between, after which all is done.
int cuda_begin(cuda_gpu *g);
int cuda_launch(cuda_gpu *g, void *function, const cuda_dispatch *d);
int cuda_end(cuda_gpu *g, float *milliseconds);

#endif
