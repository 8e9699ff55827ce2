// What GLFW uses of CGL, declared after Apple's documentation.
#pragma once
typedef enum _CGLPixelFormatAttribute { kCGLPFASupportsAutomaticGraphicsSwitching = 101 } CGLPixelFormatAttribute;
