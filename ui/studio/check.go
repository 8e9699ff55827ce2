package studio

import (
	"context"
	"time"
)

// check is background work on what the form holds, such as reading the picture.
type check struct {
	of      any // what it is about: the same again needs no new check
	cancel  context.CancelFunc
	pending bool
}

// The delays of checks: what is typed is looked at when the typing pauses.
const (
	typing    = 150 * time.Millisecond
	planning  = 300 * time.Millisecond
	saving    = 500 * time.Millisecond
	immediate = 0
)

// check starts the check called name unless its last one was about the same. work runs
// in the background after a delay, in which further changes replace it; the function
// that it returns is called with the state only if nothing newer was asked for
// meanwhile. s.mu is held.
func (s *Studio) check(name string, of any, delay time.Duration, work func(ctx context.Context) func(n *Snapshot)) {
	last := s.checks[name]
	if last != nil && last.of == of || s.closed {
		return
	}
	if last != nil {
		last.cancel()
	}
	ctx, cancel := context.WithCancel(s.life)
	c := &check{of: of, cancel: cancel, pending: true}
	s.checks[name] = c
	s.tasks.Go(func() {
		defer cancel()
		select {
		case <-time.After(delay):
		case <-ctx.Done():
			return
		}
		apply := work(ctx)
		s.mu.Lock()
		stale := s.checks[name] != c || ctx.Err() != nil
		s.mu.Unlock()
		if stale {
			return
		}
		s.change(func(n *Snapshot) {
			if s.checks[name] == c {
				c.pending = false
				apply(n)
			}
		})
	})
}

// recheck makes checks start once more. s.mu is held.
func (s *Studio) recheck(names ...string) {
	for _, name := range names {
		if c := s.checks[name]; c != nil {
			c.of = nil
		}
	}
}

// pending reports whether one of the checks is under way. s.mu is held.
func (s *Studio) pending(names ...string) bool {
	for _, name := range names {
		if c := s.checks[name]; c != nil && c.pending {
			return true
		}
	}
	return false
}

// report notes what a check found wrong; nil for nothing. s.mu is held.
func (s *Studio) report(check string, wrong *Problem) {
	if delete(s.state.checked, check); wrong != nil {
		s.state.checked[check] = *wrong
	}
}
