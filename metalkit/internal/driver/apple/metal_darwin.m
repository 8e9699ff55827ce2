// The calls of Metal that must be quick or have types of Objective-C. Objects are
// counted by hand: what a new… method returns is kept or released here, and the
// rest goes with the pool.
#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

#include <string.h>

#include "metal_darwin.h"

static void fail(metal_error *err, NSString *text, long code) {
    err->text = strdup([text UTF8String] ?: "no reason given");
    err->code = code;
}

static void fail_with(metal_error *err, NSError *error) { fail(err, [error localizedDescription], [error code]); }

static NSString *string(const char *s) { return [NSString stringWithUTF8String:s]; }

// default_device is the system's choice or, where it makes none, as for some programs
// without a window or over SSH, the first GPU that there is.
static id<MTLDevice> default_device(void) {
    id<MTLDevice> device = MTLCreateSystemDefaultDevice();
    if (device)
        return device;
    NSArray *all = MTLCopyAllDevices();
    device = [all firstObject];
    [device retain];
    [all release];
    return device;
}

int metal_open(metal_driver *d, metal_error *err) {
    @autoreleasepool {
        if (@available(macOS 14.0, *)) {
            id<MTLDevice> device = default_device();
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
            return 1;
        }
        fail(err, @"macOS 14 or later is needed", 0);
        return 0;
    }
}

void metal_close(metal_driver *d) {
    @autoreleasepool {
        [(id)d->queue release];
        [(id)d->device release];
    }
    memset(d, 0, sizeof *d);
}

void metal_describe(const metal_driver *d, metal_limits *l) {
    @autoreleasepool {
        id<MTLDevice> device = d->device;
        NSProcessInfo *process = [NSProcessInfo processInfo];
        NSString *name = [device name];
        NSString *version = [process operatingSystemVersionString];
        strlcpy(l->name, [name UTF8String], sizeof l->name);
        strlcpy(l->system, [version UTF8String], sizeof l->system);
        NSOperatingSystemVersion numbers = [process operatingSystemVersion];
        l->major = (uint32_t)numbers.majorVersion;
        l->minor = (uint32_t)numbers.minorVersion;
        if (@available(macOS 14.0, *)) {
            MTLArchitecture *architecture = [device architecture];
            strlcpy(l->architecture, [[architecture name] UTF8String] ?: "", sizeof l->architecture);
        }
        l->working_set = [device recommendedMaxWorkingSetSize];
        l->max_buffer = [device maxBufferLength];
        l->max_threads = [device maxThreadsPerThreadgroup].width;
        l->max_shared = [device maxThreadgroupMemoryLength];
    }
}

// Buffers

uintptr_t metal_alloc(const metal_driver *d, uint64_t size, void **host) {
    @autoreleasepool {
        id<MTLBuffer> buffer = [(id<MTLDevice>)d->device newBufferWithLength:size options:MTLResourceStorageModeShared];
        *host = [buffer contents];
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

void metal_free(uintptr_t handle) {
    id<MTLBuffer> buffer = (id<MTLBuffer>)(void *)handle;
    [buffer release];
}

// Kernels

// set_exact keeps the compiler from changing what arithmetic gives.
static void set_exact(MTLCompileOptions *options) {
#if __MAC_OS_X_VERSION_MAX_ALLOWED >= 150000
    if (@available(macOS 15.0, *)) {
        [options setMathMode:MTLMathModeSafe];
        return;
    }
#endif
    [options setFastMathEnabled:NO];
}

void *metal_library(const metal_driver *d, const char *source, int metal4, metal_error *err) {
    @autoreleasepool {
        MTLCompileOptions *options = [[[MTLCompileOptions alloc] init] autorelease];
        set_exact(options);
        if (metal4)
            [options setLanguageVersion:(MTLLanguageVersion)(4 << 16)]; // 4.0, which SDKs before macOS 26 do not name
        else
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
        [descriptor setThreadGroupSizeIsMultipleOfThreadExecutionWidth:YES];
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

void metal_release(void *object) { [(id)object release]; }

static void encode(id<MTLComputeCommandEncoder> encoder, const metal_dispatch *c, void *pipeline) {
    id<MTLBuffer> buffers[12];
    NSUInteger offsets[12];
    for (uint32_t i = 0; i < c->buffers; i++) {
        buffers[i] = (id<MTLBuffer>)(void *)c->bind[i].handle;
        offsets[i] = c->bind[i].offset;
    }
    [encoder setComputePipelineState:(id<MTLComputePipelineState>)pipeline];
    [encoder setBytes:c->args length:sizeof c->args atIndex:0];
    [encoder setBuffers:buffers offsets:offsets withRange:NSMakeRange(1, c->buffers)];
    [encoder dispatchThreadgroups:MTLSizeMake(c->groups[0], c->groups[1], c->groups[2])
            threadsPerThreadgroup:MTLSizeMake(c->threads, 1, 1)];
}

int metal_run(const metal_driver *d, const char *label, const metal_dispatch *dispatches, size_t n, void *const *pipelines,
              double *seconds, metal_error *err) {
    @autoreleasepool {
        id<MTLCommandBuffer> buffer = [(id<MTLCommandQueue>)d->queue commandBuffer];
        [buffer setLabel:string(label)];
        id<MTLComputeCommandEncoder> encoder = [buffer computeCommandEncoderWithDispatchType:MTLDispatchTypeSerial];
        for (size_t i = 0; i < n; i++)
            encode(encoder, &dispatches[i], pipelines[dispatches[i].pipeline]);
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
