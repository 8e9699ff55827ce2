package studio

import (
	"testing"
	"time"
)

// TestUndo takes changes of the whole form back: what was typed, a preset, a dropped camera.
func TestUndo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		start := b.Snapshot().Form.Inputs
		for _, text := range []string{"d", "du", "dun", "dunes"} {
			b.Edit(FieldPrompt, text)
		}
		b.Edit(FieldSteps, "7")
		b.SetCamera("forward")
		b.NewSeed()
		seed := b.Snapshot().Form.Inputs.Job.Seed
		time.Sleep(3 * time.Second)
		b.Edit(FieldSteps, "x") // no value: nothing to undo but the text
		in := func() Inputs { return b.Snapshot().Form.Inputs }
		if s := b.Snapshot(); !s.Form.CanUndo || s.Form.CanRedo {
			t.Errorf("can undo %v, redo %v", s.Form.CanUndo, s.Form.CanRedo)
		}
		b.Undo()
		if got := in(); got.Job.Seed != start.Job.Seed || got.Camera != "forward" || b.Snapshot().Form.Text(FieldSteps) != "7" {
			t.Errorf("after undoing the dice: %+v", got)
		}
		b.Undo()
		b.Undo()
		if got := in(); got.Camera != start.Camera || got.Job.Steps != start.Job.Steps || got.Job.Prompt != "dunes" {
			t.Errorf("before the camera and the steps: %+v", got)
		}
		b.Undo() // the word, at once
		if got := in(); got != start {
			t.Errorf("at the start: %+v, was %+v", got, start)
		}
		if b.Undo(); b.Snapshot().Form.CanUndo || in() != start {
			t.Error("there is more to undo than was done")
		}
		for range 4 {
			b.Redo()
		}
		if got := in(); got.Job.Seed != seed || got.Job.Steps != 7 || b.Snapshot().Form.CanRedo {
			t.Errorf("done again: %+v", got)
		}
		b.UsePreset(PresetQuick)
		b.Undo()
		if got := in(); got.Job.Steps != 7 {
			t.Errorf("after a preset: %d steps", got.Job.Steps)
		}
		b.Undo()
		b.Edit(FieldPrompt, "sea")
		if b.Snapshot().Form.CanRedo {
			t.Error("what was undone can be done again after another change")
		}
	})
}
