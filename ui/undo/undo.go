// Package undo keeps the states of what a user edits, to go back and forth between them.
package undo

import "slices"

// depth is how many states are kept at most.
const depth = 200

// Stack is a state with those before it and those that were undone. The zero value holds the
// zero value. States must not change.
type Stack[T any] struct {
	now          T
	past, future []T
	open         bool // changes go to the state on top: a drag is one step
}

// New returns a stack that begins with a state.
func New[T any](now T) *Stack[T] { return &Stack[T]{now: now} }

// Now returns the state.
func (s *Stack[T]) Now() T { return s.now }

// Set makes now the state without a step: something else than the user has changed it.
func (s *Stack[T]) Set(now T) { s.now = now }

// Do makes next the state. What was undone is gone.
func (s *Stack[T]) Do(next T) {
	s.Settle()
	s.push()
	s.now = next
}

// Drag makes next the state; all calls until Settle are one step.
func (s *Stack[T]) Drag(next T) {
	if !s.open {
		s.push()
		s.open = true
	}
	s.now = next
}

// Settle ends a drag.
func (s *Stack[T]) Settle() { s.open = false }

func (s *Stack[T]) push() {
	s.past, s.future = append(s.past, s.now), nil
	if len(s.past) > depth {
		s.past = slices.Clone(s.past[len(s.past)-depth:])
	}
}

// Undo goes back by a step; false if there is none.
func (s *Stack[T]) Undo() bool { return s.step(&s.past, &s.future) }

// Redo takes an Undo back; false if there is none.
func (s *Stack[T]) Redo() bool { return s.step(&s.future, &s.past) }

// CanUndo reports whether there is a step to go back.
func (s *Stack[T]) CanUndo() bool { return len(s.past) > 0 }

// CanRedo reports whether there is an Undo to take back.
func (s *Stack[T]) CanRedo() bool { return len(s.future) > 0 }

func (s *Stack[T]) step(from, to *[]T) bool {
	s.Settle()
	n := len(*from)
	if n == 0 {
		return false
	}
	*to = append(*to, s.now)
	s.now = (*from)[n-1]
	*from = (*from)[:n-1]
	return true
}
