// What driver_darwin.go asks of Metal. Every void * is a retained object.
#include <stddef.h>
#include <stdint.h>

// metal_dispatch is Dispatch of package driver.
typedef struct {
    int32_t pipeline;
    uint32_t threads, groups[3], buffers;
    struct {
        uintptr_t handle; // an MTLBuffer
        uint64_t offset;
    } bind[12];
    unsigned char args[192];
} metal_dispatch;

typedef struct {
    void *device, *queue;
} metal_driver;

// metal_limits is Limits of package driver.
typedef struct {
    char name[128], architecture[128], system[128];
    uint64_t working_set, max_buffer, max_threads, max_shared;
    uint32_t major, minor; // of the system's version
} metal_limits;

// metal_error is what went wrong: text is malloc'ed, code that of an NSError, or 0.
typedef struct {
    char *text;
    long code;
} metal_error;

// Those that return an int return whether they succeeded, and those that return an
// object NULL where they failed; either fills in err then, where there is one.

int metal_open(metal_driver *d, metal_error *err);
void metal_close(metal_driver *d);
void metal_describe(const metal_driver *d, metal_limits *l);

// Buffers are MTLBuffers, 0 for none.
uintptr_t metal_alloc(const metal_driver *d, uint64_t size, void **host);
uintptr_t metal_alias(const metal_driver *d, uintptr_t pages, uint64_t size);
void metal_free(uintptr_t buffer);

// metal_library compiles source, as Metal 4.0 or 3.1, whose kernels metal_pipeline makes ready.
void *metal_library(const metal_driver *d, const char *source, int metal4, metal_error *err);
void *metal_pipeline(const metal_driver *d, void *library, const char *name, const uint32_t *constants, uint32_t n, uint32_t threads, metal_error *err);
void metal_release(void *object);

int metal_run(const metal_driver *d, const char *label, const metal_dispatch *dispatches, size_t n, void *const *pipelines,
              double *seconds, metal_error *err);

int metal_capture(const metal_driver *d, const char *file, metal_error *err);
void metal_capture_stop(void);
