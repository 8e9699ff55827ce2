// What GLFW uses of Core Graphics' displays and events, declared after Apple's documentation.
#pragma once
#include <CoreFoundation/CoreFoundation.h>
#include <CoreGraphics/CGGeometry.h>
#include <mach/boolean.h>

typedef enum : int32_t { kCGErrorSuccess = 0, kCGErrorFailure = 1000 } CGError;

#define kCGNullDirectDisplay ((CGDirectDisplayID)0)
typedef uint32_t CGDirectDisplayID, CGOpenGLDisplayMask;
typedef struct CGDisplayMode *CGDisplayModeRef;
CGDirectDisplayID CGMainDisplayID(void);
CGError CGGetOnlineDisplayList(uint32_t max, CGDirectDisplayID *, uint32_t *count);
CGDirectDisplayID CGOpenGLDisplayMaskToDisplayID(CGOpenGLDisplayMask);
CGRect CGDisplayBounds(CGDirectDisplayID);
boolean_t CGDisplayIsAsleep(CGDirectDisplayID);
uint32_t CGDisplayModelNumber(CGDirectDisplayID);
CGSize CGDisplayScreenSize(CGDirectDisplayID); // in millimetres
uint32_t CGDisplayUnitNumber(CGDirectDisplayID);
uint32_t CGDisplayVendorNumber(CGDirectDisplayID);

CFArrayRef CGDisplayCopyAllDisplayModes(CGDirectDisplayID, CFDictionaryRef options);
CGDisplayModeRef CGDisplayCopyDisplayMode(CGDirectDisplayID);
CGError CGDisplaySetDisplayMode(CGDirectDisplayID, CGDisplayModeRef, CFDictionaryRef options);
uint32_t CGDisplayModeGetIOFlags(CGDisplayModeRef);
size_t CGDisplayModeGetWidth(CGDisplayModeRef);
size_t CGDisplayModeGetHeight(CGDisplayModeRef);
double CGDisplayModeGetRefreshRate(CGDisplayModeRef);
void CGDisplayModeRelease(CGDisplayModeRef);

typedef float CGGammaValue;
uint32_t CGDisplayGammaTableCapacity(CGDirectDisplayID);
CGError CGGetDisplayTransferByTable(CGDirectDisplayID, uint32_t capacity, CGGammaValue *red, CGGammaValue *green, CGGammaValue *blue,
    uint32_t *count);
CGError CGSetDisplayTransferByTable(CGDirectDisplayID, uint32_t size, const CGGammaValue *red, const CGGammaValue *green, const CGGammaValue *blue);

#define kCGDisplayBlendNormal (0.0)
#define kCGDisplayBlendSolidColor (1.0)
#define kCGDisplayFadeReservationInvalidToken (0)
typedef float CGDisplayBlendFraction, CGDisplayFadeInterval, CGDisplayReservationInterval;
typedef uint32_t CGDisplayFadeReservationToken;
CGError CGAcquireDisplayFadeReservation(CGDisplayReservationInterval seconds, CGDisplayFadeReservationToken *);
CGError CGReleaseDisplayFadeReservation(CGDisplayFadeReservationToken);
CGError CGDisplayFade(CGDisplayFadeReservationToken, CGDisplayFadeInterval duration, CGDisplayBlendFraction start, CGDisplayBlendFraction end,
    float red, float green, float blue, boolean_t synchronous);

CGError CGAssociateMouseAndMouseCursorPosition(boolean_t connected);
CGError CGDisplayMoveCursorToPoint(CGDirectDisplayID, CGPoint);
CGError CGWarpMouseCursorPosition(CGPoint);

typedef struct __CGEventSource *CGEventSourceRef;
typedef enum : int32_t { kCGEventSourceStatePrivate = -1, kCGEventSourceStateCombinedSessionState, kCGEventSourceStateHIDSystemState } CGEventSourceStateID;
CGEventSourceRef CGEventSourceCreate(CGEventSourceStateID);
void CGEventSourceSetLocalEventsSuppressionInterval(CGEventSourceRef, CFTimeInterval seconds);
