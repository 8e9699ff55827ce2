// The software driver as Go sees it; see fiber.h for the structures.
#ifndef GIMBAL_SOFT_H
#define GIMBAL_SOFT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

void *soft_worker_new(int backward);
void soft_worker_registers(void *worker, uint32_t registers);
uint64_t soft_worker_passes(const void *worker);
void soft_worker_free(void *worker);

// soft_kernel returns the kernel of that name, or null.
const void *soft_kernel(const char *name);

// soft_run runs threadgroups first to last-1 of a dispatch on the calling thread, with n
// function constants.
// It returns null, or says what the kernel does wrong.
const char *soft_run(void *worker, const void *kernel, const void *constants, uint32_t n, const void *dispatch, uint64_t first, uint64_t last);

size_t soft_dispatch_size(void);

// soft_alloc returns zeroed memory, or null.
void *soft_alloc(size_t bytes);
void soft_free(void *p, size_t bytes);
int64_t soft_physical_memory(void);

#ifdef __cplusplus
}
#endif
#endif
