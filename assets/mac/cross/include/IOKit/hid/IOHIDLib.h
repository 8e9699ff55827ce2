// What GLFW uses of the I/O Kit's input devices, declared after Apple's documentation.
#pragma once
#include <IOKit/IOKitLib.h>
#include <IOKit/hid/IOHIDKeys.h>

typedef struct __IOHIDDevice *IOHIDDeviceRef;
typedef struct __IOHIDElement *IOHIDElementRef;
typedef struct __IOHIDManager *IOHIDManagerRef;
typedef struct __IOHIDValue *IOHIDValueRef;
typedef void (*IOHIDDeviceCallback)(void *context, IOReturn result, void *sender, IOHIDDeviceRef device);

CFArrayRef IOHIDDeviceCopyMatchingElements(IOHIDDeviceRef, CFDictionaryRef, IOOptionBits options);
CFTypeRef IOHIDDeviceGetProperty(IOHIDDeviceRef, CFStringRef key);
IOReturn IOHIDDeviceGetValue(IOHIDDeviceRef, IOHIDElementRef, IOHIDValueRef *value);

CFTypeID IOHIDElementGetTypeID(void);
CFIndex IOHIDElementGetLogicalMax(IOHIDElementRef);
CFIndex IOHIDElementGetLogicalMin(IOHIDElementRef);
IOHIDElementType IOHIDElementGetType(IOHIDElementRef);
uint32_t IOHIDElementGetUsage(IOHIDElementRef);
uint32_t IOHIDElementGetUsagePage(IOHIDElementRef);
CFIndex IOHIDValueGetIntegerValue(IOHIDValueRef value);

IOHIDManagerRef IOHIDManagerCreate(CFAllocatorRef, IOOptionBits options);
IOReturn IOHIDManagerOpen(IOHIDManagerRef, IOOptionBits options);
void IOHIDManagerRegisterDeviceMatchingCallback(IOHIDManagerRef, IOHIDDeviceCallback, void *context);
void IOHIDManagerRegisterDeviceRemovalCallback(IOHIDManagerRef, IOHIDDeviceCallback, void *context);
void IOHIDManagerScheduleWithRunLoop(IOHIDManagerRef, CFRunLoopRef, CFStringRef);
void IOHIDManagerSetDeviceMatchingMultiple(IOHIDManagerRef, CFArrayRef);
