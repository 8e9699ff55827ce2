package desktop

import "errors"

// ErrNoDisplay says that there is no display to open a window on.
var ErrNoDisplay = errors.New("there is no display to open the window on (DISPLAY and WAYLAND_DISPLAY are not set)")
