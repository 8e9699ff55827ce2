package weights

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mapping is a file mapped read-only into memory. Nobody may shrink a file while
// it is mapped: reading a page that is gone ends the process (SIGBUS), and
// debug.SetPanicOnFault can turn that into a panic in Go code only, not in a
// device's C kernels.
type mapping struct {
	path string
	data []byte
}

func mapFile(path string) (*mapping, error) {
	// Stat comes first: opening a pipe would wait for a writer.
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, &Error{path, "file type", "a folder", "a file"}
	case !info.Mode().IsRegular():
		return nil, &Error{path, "file type", info.Mode().Type().String(), "a regular file"}
	case info.Size() == 0:
		return nil, &Error{path, "size", "0 bytes", "a checkpoint file (is the download complete?)"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	defer file.Close()
	data, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("weights: map %s of %s: %w", path, plural(info.Size(), "byte"), err)
	}
	return &mapping{path, data}, nil
}

func (m *mapping) close() error {
	data := m.data
	m.data = nil
	if data == nil {
		return nil
	}
	if err := unix.Munmap(data); err != nil {
		return fmt.Errorf("weights: unmap %s: %w", m.path, err)
	}
	return nil
}
