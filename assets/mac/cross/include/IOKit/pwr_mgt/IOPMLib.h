// What Fyne uses of the I/O Kit's power management, declared after Apple's documentation.
#pragma once
#include <IOKit/IOKitLib.h>

#define kIOPMAssertionTypeNoDisplaySleep CFSTR("NoDisplaySleepAssertion")
enum { kIOPMAssertionLevelOff = 0, kIOPMAssertionLevelOn = 255 };
typedef uint32_t IOPMAssertionID, IOPMAssertionLevel;
IOReturn IOPMAssertionCreateWithName(CFStringRef, IOPMAssertionLevel, CFStringRef name, IOPMAssertionID *);
IOReturn IOPMAssertionRelease(IOPMAssertionID);
