package desktop

import "sync"

// inbox keeps what the system opens until the window asks for it: a program that is
// started by opening a file hears of the file before it has a window.
type inbox struct {
	mu      sync.Mutex
	f       func(paths []string)
	waiting []string
}

func (b *inbox) add(paths []string) {
	b.mu.Lock()
	f := b.f
	if f == nil {
		b.waiting = append(b.waiting, paths...)
	}
	b.mu.Unlock()
	if f != nil && len(paths) > 0 {
		f(paths)
	}
}

func (b *inbox) deliver(f func(paths []string)) {
	b.mu.Lock()
	b.f = f
	waiting := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	if len(waiting) > 0 {
		f(waiting)
	}
}
