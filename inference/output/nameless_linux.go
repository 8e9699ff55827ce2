package output

import (
	"os"

	"golang.org/x/sys/unix"
)

// Nameless makes a file in the folder dir that has no name: it is gone when it is closed,
// also by the end of the process.
func Nameless(dir string) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, 0o600)
	if err != nil { // a file system without such files, or one that says what is wrong once more
		return unnamed(dir)
	}
	return f, nil
}
