// What metal_darwin.m uses of Foundation and C, declared after Apple's documentation.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define SINCE(v) __attribute__((availability(macos, introduced = v)))

#ifdef SDK_VERSION // the test's, which has no headers of the system
#define __MAC_OS_X_VERSION_MAX_ALLOWED SDK_VERSION
typedef signed char BOOL; // bool on arm64, which clang takes for the same here
#define YES ((BOOL)1)
#define NO ((BOOL)0)
#define nil ((id)0)
typedef unsigned long NSUInteger;
typedef long NSInteger;

@protocol NSObject
- (instancetype)retain;
- (void)release;
- (instancetype)autorelease;
@end

__attribute__((objc_root_class))
@interface NSObject <NSObject>
+ (instancetype)alloc;
- (instancetype)init;
@end
#else // as with assets/mac/cross
#include <Availability.h>
#include <objc/NSObject.h>
#define SDK_VERSION __MAC_OS_X_VERSION_MAX_ALLOWED
#endif

typedef double CFTimeInterval;

typedef struct {
    NSUInteger location, length;
} NSRange;
static inline NSRange NSMakeRange(NSUInteger location, NSUInteger length) { return (NSRange){location, length}; }

@interface NSString : NSObject
+ (instancetype)stringWithUTF8String:(const char *)s;
- (NSString *)stringByAppendingString:(NSString *)s;
@property(readonly) const char *UTF8String;
@end

@interface NSConstantString : NSString
@end

@interface NSError : NSObject
@property(readonly) NSInteger code;
@property(readonly, copy) NSString *localizedDescription;
@end

@interface NSArray : NSObject
@property(readonly) id firstObject;
@end

typedef enum : uint64_t { NSActivityUserInitiated = 0x00FFFFFFULL | 1ULL << 20 } NSActivityOptions;

typedef struct {
    NSInteger majorVersion, minorVersion, patchVersion;
} NSOperatingSystemVersion;

@interface NSProcessInfo : NSObject
@property(class, readonly) NSProcessInfo *processInfo;
@property(readonly, copy) NSString *operatingSystemVersionString;
@property(readonly) NSOperatingSystemVersion operatingSystemVersion;
- (id)beginActivityWithOptions:(NSActivityOptions)options reason:(NSString *)reason;
- (void)endActivity:(id)activity;
@end

@interface NSURL : NSObject
+ (NSURL *)fileURLWithPath:(NSString *)path;
@end
