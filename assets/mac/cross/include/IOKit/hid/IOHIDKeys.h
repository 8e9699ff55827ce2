// What GLFW uses of the names of input devices' properties, declared after Apple's documentation.
#pragma once
#define kIOHIDDeviceUsageKey "DeviceUsage"
#define kIOHIDDeviceUsagePageKey "DeviceUsagePage"
#define kIOHIDProductIDKey "ProductID"
#define kIOHIDProductKey "Product"
#define kIOHIDVendorIDKey "VendorID"
#define kIOHIDVersionNumberKey "VersionNumber"
enum { kIOHIDOptionsTypeNone = 0 };
typedef enum { kIOHIDElementTypeInput_Misc = 1, kIOHIDElementTypeInput_Button, kIOHIDElementTypeInput_Axis } IOHIDElementType;
