package studio

import (
	"time"

	"gimbal/ui/undo"
)

// history are the inputs as they were, to undo what the user changed in the form.
type history struct {
	undo.Stack[Inputs]
	field Field // that was typed in last; FieldNone for other changes
	at    time.Time
}

// stepPause ends a step: what is typed in a field without one is undone at once.
const stepPause = 2 * time.Second

// changed notes what the user changed: in a field, if it was typed.
func (h *history) changed(before, after Inputs, field Field) {
	if before == after {
		return
	}
	h.Set(before)
	if now := time.Now(); field == FieldNone || field != h.field || now.Sub(h.at) > stepPause {
		h.Settle()
	}
	if field == FieldNone {
		h.Do(after)
	} else {
		h.Drag(after)
	}
	h.field, h.at = field, time.Now()
}

// Undo takes the user's last change of the form back, and Redo takes that back.
func (s *Studio) Undo() { s.goTo((*undo.Stack[Inputs]).Undo) }

// Redo takes an Undo back.
func (s *Studio) Redo() { s.goTo((*undo.Stack[Inputs]).Redo) }

func (s *Studio) goTo(step func(*undo.Stack[Inputs]) bool) {
	s.change(func(n *Snapshot) {
		h := &s.state.history
		h.Set(n.Form.Inputs)
		h.field = FieldNone
		if step(&h.Stack) {
			s.fill(n, func(in *Inputs) { *in = h.Now() })
		}
	})
}
