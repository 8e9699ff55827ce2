// What GLFW uses of the I/O Kit's displays, declared after Apple's documentation.
#pragma once
#include <IOKit/IOKitLib.h>

enum {
    kDisplayModeValidFlag = 0x001, kDisplayModeSafeFlag = 0x002, kDisplayModeInterlacedFlag = 0x040, kDisplayModeStretchedFlag = 0x800,
};
enum { kIODisplayOnlyPreferredName = 0x200 };
#define kDisplayProductID "DisplayProductID"
#define kDisplayProductName "DisplayProductName"
#define kDisplayVendorID "DisplayVendorID"
CFDictionaryRef IODisplayCreateInfoDictionary(io_service_t, IOOptionBits options);
