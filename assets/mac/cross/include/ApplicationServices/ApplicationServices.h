// Application Services has Core Graphics within it.
#pragma once
#include <CoreGraphics/CoreGraphics.h>
