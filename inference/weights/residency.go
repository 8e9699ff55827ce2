package weights

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ReadAhead reads the store's files, in the order of the tensors in them, so that they
// are in memory when they are used. It returns when that is done or when ctx ends.
// Half of the time it leaves the disk and the memory to others.
func (s *Store) ReadAhead(ctx context.Context) {
	const part = 16 << 20
	for _, file := range s.files {
		for at := 0; ctx.Err() == nil; at += part {
			begin := time.Now()
			if !s.touch(file, at, part) {
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(time.Since(begin)):
			}
		}
	}
}

// touched keeps the compiler from leaving reads out.
var touched atomic.Uint32

// touch reads a part of a file's pages; it returns false at the end of the file and
// once the store is closed.
func (s *Store) touch(file *mapping, at, part int) bool {
	s.mu.RLock() // Close waits
	defer s.mu.RUnlock()
	if at >= len(file.data) {
		return false
	}
	span := file.data[at:min(at+part, len(file.data))]
	unix.Madvise(span, unix.MADV_WILLNEED) // a hint
	var sum byte
	for i := 0; i < len(span); i += os.Getpagesize() {
		sum += span[i]
	}
	touched.Store(uint32(sum))
	return true
}

// LetGo tells the system that the store's files are not needed for now: their memory
// is the first to be used for something else. They can be used as before.
func (s *Store) LetGo() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, file := range s.files {
		if len(file.data) > 0 {
			unix.Madvise(file.data, unix.MADV_DONTNEED) // a hint; pages of a file are never lost
		}
	}
}
