// What GLFW uses of the I/O Kit's registry, declared after Apple's documentation.
#pragma once
#include <CoreFoundation/CoreFoundation.h>
#include <mach/mach.h>

#define kIOReturnSuccess KERN_SUCCESS
typedef kern_return_t IOReturn;
typedef UInt32 IOOptionBits;
typedef mach_port_t io_object_t;
typedef io_object_t io_iterator_t, io_registry_entry_t, io_service_t;
io_object_t IOIteratorNext(io_iterator_t);
kern_return_t IOObjectRelease(io_object_t);
CFTypeRef IORegistryEntryCreateCFProperty(io_registry_entry_t, CFStringRef key, CFAllocatorRef, IOOptionBits options);
kern_return_t IOServiceGetMatchingServices(mach_port_t, CFDictionaryRef, io_iterator_t *);
CFMutableDictionaryRef IOServiceMatching(const char *name);
