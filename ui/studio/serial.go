package studio

import "sync"

// serial runs functions one after the other in a goroutine.
type serial struct {
	mu     sync.Mutex
	grown  *sync.Cond
	list   []func()
	closed bool
	done   chan struct{}
}

func newSerial() *serial {
	s := &serial{done: make(chan struct{})}
	s.grown = sync.NewCond(&s.mu)
	go s.run()
	return s
}

// enqueue puts f at the end of the list and returns at once.
func (s *serial) enqueue(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.list = append(s.list, f)
		s.grown.Signal()
	}
}

// close waits until everything on the list is done.
func (s *serial) close() {
	s.mu.Lock()
	s.closed = true
	s.grown.Signal()
	s.mu.Unlock()
	<-s.done
}

func (s *serial) run() {
	defer close(s.done)
	for {
		s.mu.Lock()
		for len(s.list) == 0 && !s.closed {
			s.grown.Wait()
		}
		if len(s.list) == 0 {
			s.mu.Unlock()
			return
		}
		f := s.list[0]
		s.list = s.list[1:]
		s.mu.Unlock()
		f()
	}
}
