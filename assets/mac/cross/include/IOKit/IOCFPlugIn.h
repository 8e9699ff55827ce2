// GLFW includes it and uses nothing of it.
#pragma once
#include <IOKit/IOKitLib.h>
