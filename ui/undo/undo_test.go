package undo

import "testing"

func TestStack(t *testing.T) {
	s := New(0)
	if s.CanUndo() || s.Undo() || s.Redo() {
		t.Error("there is something to undo in a new stack")
	}
	s.Do(1)
	s.Drag(2)
	s.Drag(3)
	s.Settle()
	s.Drag(4) // another drag
	s.Do(5)
	for _, want := range []int{4, 3, 1, 0} {
		if !s.Undo() || s.Now() != want {
			t.Fatalf("undone to %d, want %d", s.Now(), want)
		}
	}
	if s.Undo() || !s.CanRedo() {
		t.Error("more is undone than was done")
	}
	for _, want := range []int{1, 3, 4, 5} {
		if !s.Redo() || s.Now() != want {
			t.Fatalf("redone to %d, want %d", s.Now(), want)
		}
	}
	s.Undo()
	s.Do(6)
	if s.CanRedo() || s.Now() != 6 || !s.Undo() || s.Now() != 4 {
		t.Errorf("after another change there is %d", s.Now())
	}
	s.Set(9)
	if s.CanRedo() == false || !s.Redo() || !s.Undo() || s.Now() != 9 {
		t.Errorf("what was set is %d", s.Now())
	}
	for i := range 3 * depth {
		s.Do(i)
	}
	n := 0
	for s.Undo() {
		n++
	}
	if n != depth {
		t.Errorf("%d steps are kept, want %d", n, depth)
	}
}
