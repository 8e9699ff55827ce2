// What GLFW uses of Core Foundation, declared after Apple's documentation.
#pragma once
#include <Availability.h>
#include <AvailabilityMacros.h>
#include <MacTypes.h>
#include <assert.h>
#include <dispatch/dispatch.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const void *CFTypeRef;
typedef unsigned long CFTypeID, CFOptionFlags;
typedef long CFIndex;
typedef double CFTimeInterval;
typedef const struct __CFAllocator *CFAllocatorRef;
typedef const struct __CFArray *CFArrayRef;
typedef struct __CFArray *CFMutableArrayRef;
typedef struct __CFBundle *CFBundleRef;
typedef const struct __CFDictionary *CFDictionaryRef;
typedef struct __CFDictionary *CFMutableDictionaryRef;
typedef const struct __CFNumber *CFNumberRef;
typedef struct __CFRunLoop *CFRunLoopRef;
typedef const struct __CFString *CFStringRef;
typedef const struct __CFURL *CFURLRef;
typedef struct {
    CFIndex location, length;
} CFRange;
static inline CFRange CFRangeMake(CFIndex location, CFIndex length) { return (CFRange){location, length}; }

extern const CFAllocatorRef kCFAllocatorDefault, kCFAllocatorNull;
CFTypeID CFGetTypeID(CFTypeRef);
void CFRelease(CFTypeRef);

typedef enum : CFIndex { kCFCompareLessThan = -1, kCFCompareEqualTo, kCFCompareGreaterThan } CFComparisonResult;
typedef CFComparisonResult (*CFComparatorFunction)(const void *a, const void *b, void *context);

typedef struct CFArrayCallBacks CFArrayCallBacks;
extern const CFArrayCallBacks kCFTypeArrayCallBacks;
CFMutableArrayRef CFArrayCreateMutable(CFAllocatorRef, CFIndex capacity, const CFArrayCallBacks *callbacks);
void CFArrayAppendValue(CFMutableArrayRef, const void *value);
CFIndex CFArrayGetCount(CFArrayRef);
const void *CFArrayGetValueAtIndex(CFArrayRef, CFIndex i);
void CFArraySortValues(CFMutableArrayRef, CFRange, CFComparatorFunction, void *context);

CFBundleRef CFBundleGetMainBundle(void);
CFBundleRef CFBundleGetBundleWithIdentifier(CFStringRef identifier);
CFURLRef CFBundleCopyResourcesDirectoryURL(CFBundleRef);
CFURLRef CFBundleCopyPrivateFrameworksURL(CFBundleRef);
void *CFBundleGetDataPointerForName(CFBundleRef, CFStringRef symbol);
void *CFBundleGetFunctionPointerForName(CFBundleRef, CFStringRef function);

typedef struct CFDictionaryKeyCallBacks CFDictionaryKeyCallBacks;
typedef struct CFDictionaryValueCallBacks CFDictionaryValueCallBacks;
extern const CFDictionaryKeyCallBacks kCFTypeDictionaryKeyCallBacks;
extern const CFDictionaryValueCallBacks kCFTypeDictionaryValueCallBacks;
CFMutableDictionaryRef CFDictionaryCreateMutable(CFAllocatorRef, CFIndex capacity, const CFDictionaryKeyCallBacks *keys,
    const CFDictionaryValueCallBacks *values);
const void *CFDictionaryGetValue(CFDictionaryRef, const void *key);
Boolean CFDictionaryGetValueIfPresent(CFDictionaryRef, const void *key, const void **value);
void CFDictionarySetValue(CFMutableDictionaryRef, const void *key, const void *value);

typedef enum : CFIndex { kCFNumberSInt32Type = 3, kCFNumberIntType = 9, kCFNumberLongType } CFNumberType;
CFNumberRef CFNumberCreate(CFAllocatorRef, CFNumberType, const void *value);
Boolean CFNumberGetValue(CFNumberRef, CFNumberType, void *value);

typedef CFStringRef CFRunLoopMode;
typedef enum : SInt32 { kCFRunLoopRunFinished = 1, kCFRunLoopRunStopped, kCFRunLoopRunTimedOut, kCFRunLoopRunHandledSource } CFRunLoopRunResult;
extern const CFRunLoopMode kCFRunLoopDefaultMode;
CFRunLoopRef CFRunLoopGetMain(void);
CFRunLoopRunResult CFRunLoopRunInMode(CFRunLoopMode, CFTimeInterval seconds, Boolean return_after_source);

#define CFSTR(text) ((CFStringRef)__builtin___CFStringMakeConstantString("" text ""))
typedef UInt32 CFStringEncoding;
enum { kCFStringEncodingASCII = 0x0600, kCFStringEncodingUTF8 = 0x08000100 };
typedef enum : CFOptionFlags { kCFCompareCaseInsensitive = 1 } CFStringCompareFlags;
CFComparisonResult CFStringCompare(CFStringRef, CFStringRef, CFStringCompareFlags);
CFStringRef CFStringCreateWithCString(CFAllocatorRef, const char *, CFStringEncoding);
CFStringRef CFStringCreateWithCharactersNoCopy(CFAllocatorRef, const UniChar *, CFIndex n, CFAllocatorRef);
Boolean CFStringGetCString(CFStringRef, char *buffer, CFIndex size, CFStringEncoding);
CFIndex CFStringGetLength(CFStringRef);
CFIndex CFStringGetMaximumSizeForEncoding(CFIndex length, CFStringEncoding);

CFStringRef CFURLCopyLastPathComponent(CFURLRef);
CFURLRef CFURLCreateCopyAppendingPathComponent(CFAllocatorRef, CFURLRef, CFStringRef component, Boolean is_directory);
Boolean CFURLGetFileSystemRepresentation(CFURLRef, Boolean against_base, UInt8 *buffer, CFIndex size);
