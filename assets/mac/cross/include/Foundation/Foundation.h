// What ui/desktop and the window's libraries use of Foundation, declared after Apple's documentation, beside what our
// own Objective-C does, which is where this includes it from.
#pragma once
#include <CoreFoundation/CoreFoundation.h>
#include <CoreGraphics/CGGeometry.h>
#include_next <Foundation/Foundation.h>
#include <objc/runtime.h>

typedef CGPoint NSPoint;
typedef CGRect NSRect;
typedef CGSize NSSize;
typedef NSRange *NSRangePointer;
typedef NSUInteger NSStringEncoding;
typedef double NSTimeInterval;
typedef NSString *NSNotificationName, *NSRunLoopMode;
static const NSInteger NSNotFound = NSIntegerMax;
enum : NSStringEncoding { NSUTF8StringEncoding = 4, NSUTF32StringEncoding = 0x8c000100 };
typedef enum : NSUInteger { NSStringEncodingConversionAllowLossy = 1 } NSStringEncodingConversionOptions;

static inline NSPoint NSMakePoint(CGFloat x, CGFloat y) { return (NSPoint){x, y}; }
static inline NSSize NSMakeSize(CGFloat width, CGFloat height) { return (NSSize){width, height}; }
static inline NSRect NSMakeRect(CGFloat x, CGFloat y, CGFloat width, CGFloat height) { return (NSRect){{x, y}, {width, height}}; }
static inline NSPoint NSPointFromCGPoint(CGPoint p) { return p; }
static inline CGPoint NSPointToCGPoint(NSPoint p) { return p; }
BOOL NSMouseInRect(NSPoint point, NSRect rect, BOOL flipped);
SEL NSSelectorFromString(NSString *name);
void NSLog(NSString *format, ...) __attribute__((format(__NSString__, 1, 2)));

@class NSBundle, NSDate, NSDictionary, NSEnumerator, NSOperationQueue;

@protocol NSCopying
- (id)copyWithZone:(struct _NSZone *)zone;
@end

@protocol NSMutableCopying
- (id)mutableCopyWithZone:(struct _NSZone *)zone;
@end

typedef struct {
    unsigned long state;
    __unsafe_unretained id *itemsPtr;
    unsigned long *mutationsPtr;
    unsigned long extra[5];
} NSFastEnumerationState;

@protocol NSFastEnumeration
- (NSUInteger)countByEnumeratingWithState:(NSFastEnumerationState *)state objects:(__unsafe_unretained id[])buffer count:(NSUInteger)n;
@end

@interface NSObject (Window)
- (void)performSelectorOnMainThread:(SEL)selector withObject:(id)object waitUntilDone:(BOOL)wait;
- (id)valueForKey:(NSString *)key;
@end

@interface NSString (Window) <NSCopying>
+ (instancetype)stringWithFormat:(NSString *)format, ... __attribute__((format(__NSString__, 1, 2)));
- (instancetype)initWithBytes:(const void *)bytes length:(NSUInteger)n encoding:(NSStringEncoding)encoding;
- (instancetype)initWithCString:(const char *)s encoding:(NSStringEncoding)encoding;
- (instancetype)initWithUTF8String:(const char *)s;
- (BOOL)getBytes:(void *)buffer
    maxLength:(NSUInteger)max
    usedLength:(NSUInteger *)used
    encoding:(NSStringEncoding)encoding
    options:(NSStringEncodingConversionOptions)options
    range:(NSRange)range
  remainingRange:(NSRangePointer)rest;
- (BOOL)isEqualToString:(NSString *)s;
@property(readonly) NSUInteger length;
@property(readonly) const char *fileSystemRepresentation;
@end

@interface NSMutableString : NSString
- (void)setString:(NSString *)s;
@end

@interface NSArray (Window) <NSCopying, NSFastEnumeration>
+ (instancetype)array;
+ (instancetype)arrayWithObjects:(const id[])objects count:(NSUInteger)n;
- (NSString *)componentsJoinedByString:(NSString *)separator;
- (BOOL)containsObject:(id)object;
- (id)objectAtIndex:(NSUInteger)i;
- (id)objectAtIndexedSubscript:(NSUInteger)i;
- (NSEnumerator *)objectEnumerator;
@property(readonly) NSUInteger count;
@end

@interface NSMutableArray : NSArray
+ (instancetype)arrayWithCapacity:(NSUInteger)n;
- (void)addObject:(id)object;
@end

@interface NSEnumerator : NSObject <NSFastEnumeration>
- (id)nextObject;
@end

@interface NSDictionary : NSObject <NSCopying>
+ (instancetype)dictionaryWithObjects:(const id[])objects forKeys:(const id<NSCopying>[])keys count:(NSUInteger)n;
- (id)objectForKeyedSubscript:(id)key;
@property(readonly) NSArray *allKeys;
@end

@interface NSMutableDictionary : NSDictionary
+ (instancetype)dictionaryWithCapacity:(NSUInteger)n;
- (void)setObject:(id)object forKey:(id<NSCopying>)key;
@end

@interface NSData : NSObject <NSCopying>
+ (instancetype)data;
+ (instancetype)dataWithBytes:(const void *)bytes length:(NSUInteger)n;
- (instancetype)initWithBytes:(const void *)bytes length:(NSUInteger)n;
@property(readonly) const void *bytes;
@property(readonly) NSUInteger length;
@end

@interface NSValue : NSObject <NSCopying>
@end

@interface NSNumber : NSValue
+ (NSNumber *)numberWithBool:(BOOL)value;
+ (NSNumber *)numberWithInt:(int)value;
@property(readonly) int intValue;
@property(readonly) NSInteger integerValue;
@property(readonly) unsigned unsignedIntValue;
@end

@interface NSDate : NSObject <NSCopying>
+ (instancetype)dateWithTimeIntervalSinceNow:(NSTimeInterval)seconds;
@property(class, readonly) NSDate *distantFuture, *distantPast;
@end

@interface NSAttributedString : NSObject <NSCopying>
- (instancetype)initWithAttributedString:(NSAttributedString *)s;
- (instancetype)initWithString:(NSString *)s;
@property(readonly) NSString *string;
@property(readonly) NSUInteger length;
@end

@interface NSMutableAttributedString : NSAttributedString
@property(readonly) NSMutableString *mutableString;
@end

@interface NSURL (Window) <NSCopying>
+ (instancetype)URLWithString:(NSString *)s;
- (BOOL)getFileSystemRepresentation:(char *)buffer maxLength:(NSUInteger)max;
@property(readonly) const char *fileSystemRepresentation;
@end

@interface NSFileManager : NSObject
- (BOOL)trashItemAtURL:(NSURL *)url resultingItemURL:(NSURL **)result error:(NSError **)error;
@end

@interface NSException : NSObject <NSCopying>
@end

@interface NSCondition : NSObject
@end

@interface NSThread : NSObject
+ (void)detachNewThreadSelector:(SEL)selector toTarget:(id)target withObject:(id)argument;
@property(class, readonly) BOOL isMainThread;
@end

@interface NSBundle : NSObject
+ (instancetype)bundleWithPath:(NSString *)path;
- (Class)classNamed:(NSString *)name;
- (NSString *)pathForResource:(NSString *)name ofType:(NSString *)extension;
@property(class, readonly) NSBundle *mainBundle;
@property(readonly) NSString *bundleIdentifier;
@property(readonly) NSDictionary *infoDictionary;
@property(readonly) NSArray *localizations, *preferredLocalizations;
@end

@interface NSUserDefaults : NSObject
- (BOOL)boolForKey:(NSString *)key;
- (void)registerDefaults:(NSDictionary *)defaults;
- (NSString *)stringForKey:(NSString *)key;
@property(class, readonly) NSUserDefaults *standardUserDefaults;
@end

@interface NSNotification : NSObject <NSCopying>
+ (instancetype)notificationWithName:(NSNotificationName)name object:(id)object;
@end

@interface NSNotificationCenter : NSObject
- (void)addObserver:(id)observer selector:(SEL)selector name:(NSNotificationName)name object:(id)object;
- (id<NSObject>)addObserverForName:(NSNotificationName)name
    object:(id)object
    queue:(NSOperationQueue *)queue
    usingBlock:(void (^)(NSNotification *notification))block;
- (void)removeObserver:(id)observer;
- (void)removeObserver:(id)observer name:(NSNotificationName)name object:(id)object;
@property(class, readonly) NSNotificationCenter *defaultCenter;
@end

@interface NSDistributedNotificationCenter : NSNotificationCenter
+ (NSDistributedNotificationCenter *)defaultCenter;
@end

extern NSRunLoopMode const NSDefaultRunLoopMode;

#include <macdriver.h> // which cross.sh makes
