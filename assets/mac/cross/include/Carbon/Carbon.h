// What GLFW uses of Carbon's text input and keyboard layouts, declared after Apple's documentation.
#pragma once
#include <ApplicationServices/ApplicationServices.h>

typedef struct __TISInputSource *TISInputSourceRef;
extern const CFStringRef kTISPropertyUnicodeKeyLayoutData;
TISInputSourceRef TISCopyCurrentKeyboardLayoutInputSource(void);
void *TISGetInputSourceProperty(TISInputSourceRef, CFStringRef key);
UInt8 LMGetKbdType(void);

typedef struct UCKeyboardLayout UCKeyboardLayout;
enum { kUCKeyActionDown, kUCKeyActionUp, kUCKeyActionAutoKey, kUCKeyActionDisplay };
enum { kUCKeyTranslateNoDeadKeysBit = 0 };
OSStatus UCKeyTranslate(const UCKeyboardLayout *, UInt16 key, UInt16 action, UInt32 modifiers, UInt32 keyboard, OptionBits options,
    UInt32 *dead_keys, UniCharCount max, UniCharCount *length, UniChar[]);
