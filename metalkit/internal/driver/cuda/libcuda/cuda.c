//go:build cuda

#include "cuda.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long address;

// FUNCTIONS are those of libcuda: a name, its symbol and its parameters.
#define FUNCTIONS(f)                                                                                                                       \
    f(init, "cuInit", (unsigned flags))                                                                                                    \
    f(driver_version, "cuDriverGetVersion", (int *version))                                                                                \
    f(device_get, "cuDeviceGet", (int *device, int i))                                                                                     \
    f(device_name, "cuDeviceGetName", (char *name, int size, int device))                                                                  \
    f(device_memory, "cuDeviceTotalMem_v2", (size_t *bytes, int device))                                                                   \
    f(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, int device))                                                   \
    f(retain, "cuDevicePrimaryCtxRetain", (void **context, int device))                                                                    \
    f(release, "cuDevicePrimaryCtxRelease_v2", (int device))                                                                               \
    f(use, "cuCtxSetCurrent", (void *context))                                                                                             \
    f(error_string, "cuGetErrorString", (int result, const char **text))                                                                   \
    f(mem_info, "cuMemGetInfo_v2", (size_t *available, size_t *total))                                                                     \
    f(mem_alloc, "cuMemAlloc_v2", (address *to, size_t size))                                                                              \
    f(mem_free, "cuMemFree_v2", (address a))                                                                                               \
    f(mem_set, "cuMemsetD8_v2", (address a, unsigned char value, size_t size))                                                             \
    f(to_device, "cuMemcpyHtoD_v2", (address to, const void *from, size_t size))                                                           \
    f(to_host, "cuMemcpyDtoH_v2", (void *to, address from, size_t size))                                                                   \
    f(module_load, "cuModuleLoadDataEx", (void **module, const void *text, unsigned n, int *options, void **values))                       \
    f(module_unload, "cuModuleUnload", (void *module))                                                                                     \
    f(module_function, "cuModuleGetFunction", (void **function, void *module, const char *name))                                           \
    f(function_attribute, "cuFuncGetAttribute", (int *value, int attribute, void *function))                                               \
    f(stream_create, "cuStreamCreate", (void **stream, unsigned flags))                                                                    \
    f(stream_destroy, "cuStreamDestroy_v2", (void *stream))                                                                                \
    f(event_create, "cuEventCreate", (void **event, unsigned flags))                                                                       \
    f(event_destroy, "cuEventDestroy_v2", (void *event))                                                                                   \
    f(event_record, "cuEventRecord", (void *event, void *stream))                                                                          \
    f(event_wait, "cuEventSynchronize", (void *event))                                                                                     \
    f(event_elapsed, "cuEventElapsedTime", (float *milliseconds, void *start, void *stop))                                                 \
    f(launch, "cuLaunchKernel",                                                                                                            \
      (void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void *stream,        \
       void **parameters, void **extra))

struct cuda_gpu {
    void *library;
    int device;
    void *context, *stream, *start, *stop;
#define MEMBER(name, symbol, parameters) int(*name) parameters;
    FUNCTIONS(MEMBER)
};

// Numbers of cuda.h.
enum { MULTIPROCESSORS = 16, MAJOR = 75, MINOR = 76 };        // CUdevice_attribute
enum { ERROR_LOG = 5, ERROR_LOG_SIZE = 6 };                   // CUjit_option
enum { LOCAL_BYTES = 3, REGISTERS = 4 };                      // CUfunction_attribute

static const char *find(cuda_gpu *g) {
#define FIND(name, symbol, parameters)               \
    if (!(*(void **)&g->name = dlsym(g->library, symbol))) \
        return "it has no " symbol;
    FUNCTIONS(FIND)
    return NULL;
}

static int set_up(cuda_gpu *g, cuda_info *info) {
    int r;
    if ((r = g->init(0)) || (r = g->driver_version(&info->version)) || (r = g->device_get(&g->device, 0)) ||
        (r = g->device_name(info->name, sizeof info->name, g->device)) || (r = g->device_memory(&info->memory, g->device)) ||
        (r = g->device_attribute(&info->multiprocessors, MULTIPROCESSORS, g->device)) ||
        (r = g->device_attribute(&info->major, MAJOR, g->device)) || (r = g->device_attribute(&info->minor, MINOR, g->device)) ||
        (r = g->retain(&g->context, g->device)) || (r = g->use(g->context)) || (r = g->stream_create(&g->stream, 0)) ||
        (r = g->event_create(&g->start, 0)) || (r = g->event_create(&g->stop, 0)))
        return r;
    return 0;
}

cuda_gpu *cuda_open(cuda_info *info, char *why, size_t size) {
    cuda_gpu *g = calloc(1, sizeof *g);
    if (g == NULL) {
        snprintf(why, size, "no memory");
        return NULL;
    }
    if (!(g->library = dlopen("libcuda.so.1", RTLD_NOW))) {
        snprintf(why, size, "%s", dlerror());
        free(g);
        return NULL;
    }
    const char *missing = find(g);
    int r = missing ? 0 : set_up(g, info);
    if (missing || r) {
        snprintf(why, size, "libcuda: %s", missing ? missing : cuda_text(g, r));
        cuda_close(g);
        return NULL;
    }
    return g;
}

void cuda_close(cuda_gpu *g) {
    if (g->context) {
        g->use(g->context);
        if (g->start)
            g->event_destroy(g->start);
        if (g->stop)
            g->event_destroy(g->stop);
        if (g->stream)
            g->stream_destroy(g->stream);
        g->release(g->device);
    }
    free(g); // the library stays: it cannot be closed safely
}

const char *cuda_text(cuda_gpu *g, int result) {
    const char *text = NULL;
    if (g->error_string(result, &text) || text == NULL)
        return "unknown error";
    return text;
}

// Threads come and go: each call says first with which context.
#define WITH_CONTEXT(call)                 \
    int r = g->use(g->context);            \
    return r ? r : (call)

int cuda_alloc(cuda_gpu *g, size_t size, uintptr_t *to) {
    address a = 0;
    int r = g->use(g->context);
    if (!r && !(r = g->mem_alloc(&a, size)) && (r = g->mem_set(a, 0, size)))
        g->mem_free(a);
    *to = a;
    return r;
}

int cuda_free(cuda_gpu *g, uintptr_t a) { WITH_CONTEXT(g->mem_free(a)); }
int cuda_zero(cuda_gpu *g, uintptr_t a, size_t size) { WITH_CONTEXT(g->mem_set(a, 0, size)); }
int cuda_write(cuda_gpu *g, uintptr_t a, const void *from, size_t size) { WITH_CONTEXT(g->to_device(a, from, size)); }
int cuda_read(cuda_gpu *g, void *to, uintptr_t a, size_t size) { WITH_CONTEXT(g->to_host(to, a, size)); }
int cuda_room(cuda_gpu *g, size_t *available, size_t *total) { WITH_CONTEXT(g->mem_info(available, total)); }
int cuda_unload(cuda_gpu *g, void *module) { WITH_CONTEXT(g->module_unload(module)); }

int cuda_load(cuda_gpu *g, const char *ptx, const char *name, void **module, void **function, char *log, size_t size) {
    int options[] = {ERROR_LOG, ERROR_LOG_SIZE};
    void *values[] = {log, (void *)size};
    int r = g->use(g->context);
    if (r || (r = g->module_load(module, ptx, 2, options, values)))
        return r;
    if ((r = g->module_function(function, *module, name)))
        g->module_unload(*module);
    return r;
}

int cuda_uses(cuda_gpu *g, void *function, int *registers, int *local) {
    int r = g->use(g->context);
    if (r || (r = g->function_attribute(registers, REGISTERS, function)))
        return r;
    return g->function_attribute(local, LOCAL_BYTES, function);
}

int cuda_begin(cuda_gpu *g) { WITH_CONTEXT(g->event_record(g->start, g->stream)); }

int cuda_launch(cuda_gpu *g, void *function, const cuda_dispatch *d) {
    struct {
        address bind[12];
        unsigned char args[192];
    } with; // as include/metal_stdlib of package ptx has it
    for (int i = 0; i < 12; i++)
        with.bind[i] = d->bind[i].handle + d->bind[i].offset;
    memcpy(with.args, d->args, sizeof with.args);
    void *parameters[] = {&with};
    const uint32_t *n = d->groups;
    WITH_CONTEXT(g->launch(function, n[0], n[1], n[2], d->threads, 1, 1, 0, g->stream, parameters, NULL));
}

int cuda_end(cuda_gpu *g, float *milliseconds) {
    int r = g->use(g->context);
    if (r || (r = g->event_record(g->stop, g->stream)) || (r = g->event_wait(g->stop)))
        return r;
    return g->event_elapsed(milliseconds, g->start, g->stop);
}
