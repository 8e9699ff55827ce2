package weights

import (
	"fmt"
	"os"

	"gimbal/inference/device/mapped"
)

// mapping is a file mapped read-only into memory. What is lost of it meanwhile reads as zeros,
// and is an error of lost.
type mapping struct {
	path string
	data []byte
	file *mapped.File // nil for what is no file
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
	m, err := mapped.Map(file, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("weights: map %s of %s: %w", path, plural(info.Size(), "byte"), err)
	}
	return &mapping{path, m.Data(), m}, nil
}

func (m *mapping) close() error {
	m.data = nil
	if m.file == nil {
		return nil
	}
	if err := m.file.Close(); err != nil {
		return fmt.Errorf("weights: unmap %s: %w", m.path, err)
	}
	return nil
}

// lost returns an error if some of the file was read in vain.
func (m *mapping) lost() error {
	if m.file == nil {
		return nil
	}
	return m.file.Lost()
}
