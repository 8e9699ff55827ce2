package studio

import (
	"sync"
	"time"
)

// pause is the least time between two calls of a subscriber.
const pause = 100 * time.Millisecond

// notifier calls subscribers after changes, each from its own goroutine. Changes
// that come while a subscriber works or pauses become one call.
type notifier struct {
	mu     sync.Mutex
	all    map[*subscriber]bool
	closed bool
}

type subscriber struct {
	wake chan struct{} // holds one token: there is news
	stop chan struct{}
	once sync.Once
}

func (n *notifier) subscribe(f func()) (stop func()) {
	sub := &subscriber{wake: make(chan struct{}, 1), stop: make(chan struct{})}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return func() {}
	}
	if n.all == nil {
		n.all = map[*subscriber]bool{}
	}
	n.all[sub] = true
	sub.wake <- struct{}{}
	go sub.run(f)
	return func() {
		n.mu.Lock()
		delete(n.all, sub)
		n.mu.Unlock()
		sub.end()
	}
}

func (s *subscriber) end() { s.once.Do(func() { close(s.stop) }) }

func (s *subscriber) run(f func()) {
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		}
		f()
		select {
		case <-s.stop:
			return
		case <-time.After(pause):
		}
	}
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for sub := range n.all {
		select {
		case sub.wake <- struct{}{}:
		default: // it has not seen the last news yet
		}
	}
}

func (n *notifier) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closed = true
	for sub := range n.all {
		sub.end()
	}
	n.all = nil
}
