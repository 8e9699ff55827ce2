package awake

// #cgo LDFLAGS: -framework Foundation
// #include <stdlib.h>
// #include "awake_darwin.h"
import "C"

import (
	"sync"
	"unsafe"
)

// Keep keeps the machine awake until release is called, or the process ends.
func Keep(reason string) (release func(), err error) {
	text := C.CString(reason)
	defer C.free(unsafe.Pointer(text))
	activity := C.awake_begin(text)
	return sync.OnceFunc(func() { C.awake_end(activity) }), nil
}
