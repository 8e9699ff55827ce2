//go:build !linux

package output

import "os"

// Nameless makes a file in the folder dir that has no name: it is gone when it is closed,
// also by the end of the process.
func Nameless(dir string) (*os.File, error) { return unnamed(dir) }
