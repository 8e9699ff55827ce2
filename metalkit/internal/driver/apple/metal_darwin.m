// The calls of Metal that must be quick or have types of Objective-C. Objects are
// counted by hand: what a new… method returns is kept or released here, and the
// rest goes with the pool.
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#include <string.h>

#include "metal_darwin.h"

static void fail(metal_error *err, NSString *text, long code) {
    err->text = strdup([text UTF8String] ?: "no reason given");
    err->code = code;
}

static void fail_with(metal_error *err, NSError *error) { fail(err, [error localizedDescription], [error code]); }

static NSString *string(const char *s) { return [NSString stringWithUTF8String:s]; }

int metal_open(metal_driver *d, metal_error *err) {
    @autoreleasepool {
        if (@available(macOS 14.0, *)) {
            id<MTLDevice> device = MTLCreateSystemDefaultDevice();
            if (!device) {
                fail(err, @"the system has no Metal GPU", 0);
                return 0;
            }
            d->device = device;
            if (![device supportsFamily:MTLGPUFamilyApple7]) {
                fail(err, [[device name] stringByAppendingString:@" is not an Apple Silicon GPU (M1 or later)"], 0);
                return 0;
            }
            id<MTLCommandQueue> queue = [device newCommandQueue];
            d->queue = queue;
            if (!queue) {
                fail(err, @"the GPU gives no command queue", 0);
                return 0;
            }
#if __MAC_OS_X_VERSION_MAX_ALLOWED >= 150000
            if (@available(macOS 15.0, *)) {
                MTLResidencySetDescriptor *descriptor = [[[MTLResidencySetDescriptor alloc] init] autorelease];
                id<MTLResidencySet> set = [device newResidencySetWithDescriptor:descriptor error:NULL];
                d->residency = set;
                if (set)
                    [queue addResidencySet:set];
            }
#endif
            return 1;
        }
        fail(err, @"macOS 14 or later is needed", 0);
        return 0;
    }
}

void metal_close(metal_driver *d) {
    @autoreleasepool {
        [(id)d->residency release];
        [(id)d->queue release];
        [(id)d->device release];
    }
    memset(d, 0, sizeof *d);
}

uint64_t metal_max_threads(const metal_driver *d) { return [(id<MTLDevice>)d->device maxThreadsPerThreadgroup].width; }

// Buffers

void metal_settle(metal_driver *d) {
#if __MAC_OS_X_VERSION_MAX_ALLOWED >= 150000
    if (@available(macOS 15.0, *)) {
        if (d->changed)
            [(id<MTLResidencySet>)d->residency commit];
    }
#endif
    d->changed = 0;
}

uintptr_t metal_alloc(metal_driver *d, uint64_t size, void **host) {
    @autoreleasepool {
        id<MTLBuffer> buffer = [(id<MTLDevice>)d->device newBufferWithLength:size options:MTLResourceStorageModeShared];
        *host = [buffer contents];
#if __MAC_OS_X_VERSION_MAX_ALLOWED >= 150000
        if (@available(macOS 15.0, *)) {
            if (buffer && d->residency) {
                [(id<MTLResidencySet>)d->residency addAllocation:buffer];
                d->changed = 1;
            }
        }
#endif
        return (uintptr_t)(void *)buffer;
    }
}

uintptr_t metal_alias(const metal_driver *d, uintptr_t pages, uint64_t size) {
    @autoreleasepool {
        id<MTLBuffer> buffer = [(id<MTLDevice>)d->device newBufferWithBytesNoCopy:(void *)pages
                                                                          length:size
                                                                         options:MTLResourceStorageModeShared
                                                                     deallocator:nil];
        return (uintptr_t)(void *)buffer;
    }
}

void metal_free(metal_driver *d, uintptr_t handle) {
    @autoreleasepool {
        id<MTLBuffer> buffer = (id<MTLBuffer>)(void *)handle;
#if __MAC_OS_X_VERSION_MAX_ALLOWED >= 150000
        if (@available(macOS 15.0, *)) {
            id<MTLResidencySet> set = d->residency;
            if (set && [set containsAllocation:buffer]) {
                [set removeAllocation:buffer];
                [set commit]; // or the set keeps the memory
            }
        }
#endif
        [buffer release];
    }
}

// Kernels

void *metal_library(const metal_driver *d, const char *source, metal_error *err) {
    @autoreleasepool {
        MTLCompileOptions *options = [[[MTLCompileOptions alloc] init] autorelease];
        [options setFastMathEnabled:NO];
        [options setLanguageVersion:MTLLanguageVersion3_1];
        NSError *error = nil;
        id<MTLLibrary> library = [(id<MTLDevice>)d->device newLibraryWithSource:string(source) options:options error:&error];
        if (!library) // there may be an error beside a library, of warnings
            fail_with(err, error);
        return library;
    }
}

void *metal_pipeline(const metal_driver *d, void *library, const char *name, const uint32_t *constants, uint32_t n, uint32_t threads, metal_error *err) {
    @autoreleasepool {
        MTLFunctionConstantValues *values = [[[MTLFunctionConstantValues alloc] init] autorelease];
        [values setConstantValues:constants type:MTLDataTypeUInt withRange:NSMakeRange(0, n)];
        NSError *error = nil;
        id<MTLFunction> function = [(id<MTLLibrary>)library newFunctionWithName:string(name) constantValues:values error:&error];
        if (!function) {
            fail_with(err, error);
            return NULL;
        }
        MTLComputePipelineDescriptor *descriptor = [[[MTLComputePipelineDescriptor alloc] init] autorelease];
        [descriptor setLabel:string(name)];
        [descriptor setComputeFunction:function];
        [descriptor setMaxTotalThreadsPerThreadgroup:threads];
        id<MTLComputePipelineState> state = [(id<MTLDevice>)d->device newComputePipelineStateWithDescriptor:descriptor
                                                                                                    options:MTLPipelineOptionNone
                                                                                                 reflection:NULL
                                                                                                      error:&error];
        [function release];
        if (!state) {
            fail_with(err, error);
        } else if ([state maxTotalThreadsPerThreadgroup] < threads || [state threadExecutionWidth] != 32) {
            fail(err, @"the GPU takes too few threads, or its simd-groups are not of 32", 0);
            [state release];
            state = nil;
        }
        return state;
    }
}

int metal_has_matmul(const metal_driver *d) { return MPSSupportsMTLDevice((id<MTLDevice>)d->device); }

void metal_release(void *object) { [(id)object release]; }

// matrix returns rows of columns elements of type, ld elements apart, in binding i of c.
static MPSMatrix *matrix(const metal_dispatch *c, int i, uint32_t type, uint32_t rows, uint32_t columns, uint32_t ld) {
    NSUInteger size = type == 1 ? 4 : 2;
    MPSMatrixDescriptor *descriptor = [MPSMatrixDescriptor matrixDescriptorWithRows:rows
                                                                           columns:columns
                                                                          rowBytes:ld * size
                                                                          dataType:type == 1 ? MPSDataTypeFloat32 : MPSDataTypeFloat16];
    return [[[MPSMatrix alloc] initWithBuffer:(id<MTLBuffer>)(void *)c->bind[i].handle
                                       offset:c->bind[i].offset
                                   descriptor:descriptor] autorelease];
}

static void multiply(const metal_driver *d, id<MTLCommandBuffer> buffer, const metal_dispatch *c, const metal_kernel *k) {
    metal_matmul a;
    memcpy(&a, c->args, sizeof a);
    MPSMatrixMultiplication *product = [[[MPSMatrixMultiplication alloc] initWithDevice:(id<MTLDevice>)d->device
                                                                          transposeLeft:NO
                                                                         transposeRight:YES
                                                                             resultRows:a.m
                                                                          resultColumns:a.n
                                                                        interiorColumns:a.k
                                                                                  alpha:1
                                                                                   beta:0] autorelease];
    [product encodeToCommandBuffer:buffer
                        leftMatrix:matrix(c, 0, k->x, a.m, a.k, a.ldx)
                       rightMatrix:matrix(c, 1, k->w, a.n, a.k, a.ldw)
                      resultMatrix:matrix(c, 2, k->y, a.m, a.n, a.ldy)];
}

static void encode(id<MTLComputeCommandEncoder> encoder, const metal_dispatch *c, const metal_kernel *k) {
    id<MTLBuffer> buffers[12];
    NSUInteger offsets[12];
    for (uint32_t i = 0; i < c->buffers; i++) {
        buffers[i] = (id<MTLBuffer>)(void *)c->bind[i].handle;
        offsets[i] = c->bind[i].offset;
    }
    [encoder setComputePipelineState:(id<MTLComputePipelineState>)k->state];
    [encoder setBytes:c->args length:sizeof c->args atIndex:0];
    [encoder setBuffers:buffers offsets:offsets withRange:NSMakeRange(1, c->buffers)];
    [encoder dispatchThreadgroups:MTLSizeMake(c->groups[0], c->groups[1], c->groups[2])
            threadsPerThreadgroup:MTLSizeMake(c->threads, 1, 1)];
}

// metal_run encodes kernels into one serial encoder, except that a product of MPS,
// which makes its own, ends it.
int metal_run(const metal_driver *d, const char *label, const metal_dispatch *dispatches, size_t n, const metal_kernel *kernels,
              double *seconds, metal_error *err) {
    @autoreleasepool {
        id<MTLCommandBuffer> buffer = [(id<MTLCommandQueue>)d->queue commandBuffer];
        [buffer setLabel:string(label)];
        id<MTLComputeCommandEncoder> encoder = nil;
        for (size_t i = 0; i < n; i++) {
            const metal_kernel *k = &kernels[dispatches[i].pipeline];
            if (k->state) {
                if (!encoder)
                    encoder = [buffer computeCommandEncoderWithDispatchType:MTLDispatchTypeSerial];
                encode(encoder, &dispatches[i], k);
            } else {
                [encoder endEncoding];
                encoder = nil;
                multiply(d, buffer, &dispatches[i], k);
            }
        }
        [encoder endEncoding];
        [buffer commit];
        [buffer waitUntilCompleted];
        *seconds = [buffer GPUEndTime] - [buffer GPUStartTime];
        if ([buffer status] != MTLCommandBufferStatusCompleted) {
            fail_with(err, [buffer error]);
            return 0;
        }
        return 1;
    }
}

// Captures

int metal_capture(const metal_driver *d, const char *file, metal_error *err) {
    @autoreleasepool {
        MTLCaptureManager *manager = [MTLCaptureManager sharedCaptureManager];
        if (![manager supportsDestination:MTLCaptureDestinationGPUTraceDocument]) {
            fail(err, @"set the environment variable MTL_CAPTURE_ENABLED=1 and run again", 0);
            return 0;
        }
        MTLCaptureDescriptor *descriptor = [[[MTLCaptureDescriptor alloc] init] autorelease];
        [descriptor setCaptureObject:(id)d->queue];
        [descriptor setDestination:MTLCaptureDestinationGPUTraceDocument];
        [descriptor setOutputURL:[NSURL fileURLWithPath:string(file)]];
        NSError *error = nil;
        if (![manager startCaptureWithDescriptor:descriptor error:&error]) {
            fail_with(err, error);
            return 0;
        }
        return 1;
    }
}

void metal_capture_stop(void) {
    @autoreleasepool {
        [[MTLCaptureManager sharedCaptureManager] stopCapture];
    }
}
