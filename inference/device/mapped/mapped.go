package mapped

// #include "mapped.h"
import "C"

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// File is a file that is mapped.
type File struct {
	path string
	data []byte
	slot C.int // of the handler's table; -1 for none
}

// LostError says that a part of a mapped file could not be read any more.
type LostError struct {
	Path string // the file
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%s could not be read to its end any more while it was in use (was its disk removed, or the file changed?)", e.Path)
}

// files are those that are mapped, by their slots.
var files struct {
	sync.Mutex
	open map[C.int]*File
}

// Map maps the first size bytes of an open file, at least one. It may be closed afterwards.
func Map(f *os.File, size int) (*File, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	files.Lock()
	defer files.Unlock()
	m := &File{f.Name(), data, C.mapped_add(unsafe.Pointer(unsafe.SliceData(data)), C.size_t(size))}
	if m.slot >= 0 {
		if files.open == nil {
			files.open = map[C.int]*File{}
		}
		files.open[m.slot] = m
	}
	return m, nil
}

// Data returns the file's bytes, which are not to be written, until Close.
func (m *File) Data() []byte { return m.data }

// Lost returns a LostError if some of the file was read in vain.
func (m *File) Lost() error {
	if m.slot >= 0 && C.mapped_lost(m.slot) != 0 {
		return &LostError{m.path}
	}
	return nil
}

// Close unmaps the file. A second call does nothing.
func (m *File) Close() error {
	if m.data == nil {
		return nil
	}
	files.Lock()
	defer files.Unlock()
	if m.slot >= 0 {
		delete(files.open, m.slot)
		remove(m.slot)
	}
	data := m.data
	m.data = nil
	return unix.Munmap(data)
}

func remove(slot C.int) { C.mapped_remove(slot) }

// Lost returns a LostError if some of a file that is mapped now was read in vain. It takes a
// few nanoseconds.
func Lost() error {
	if C.mapped_any_lost == 0 {
		return nil
	}
	files.Lock()
	defer files.Unlock()
	for _, m := range files.open {
		if err := m.Lost(); err != nil {
			return err
		}
	}
	return nil
}

// touched keeps the compiler from leaving reads out.
var touched atomic.Uint32

// Touch reads a byte of data in every step, a page or more, and the last one, so that what is
// lost of a file is noted: all of it with steps of a page, and with longer ones a file that
// shrank, for then the last byte is gone.
func Touch(data []byte, step int) {
	var sum byte
	for i := 0; i < len(data); i += step {
		sum += data[i]
	}
	if len(data) > 0 {
		sum += data[len(data)-1]
	}
	touched.Store(uint32(sum))
}
