package studio

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gimbal/inference/library"
)

// made returns a finished run.
func (b *bench) made() library.Entry {
	b.t.Helper()
	e := b.generate()
	b.engine.Steps(3)
	return b.finished(e.ID, library.Done)
}

func TestLibrary(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldPrompt, "a fox")
		b.Edit(FieldSteps, "3")
		fox := b.made()
		b.Edit(FieldPrompt, "a whale")
		whale := b.made()
		b.Search("fox")
		s := b.await("the search", func(s Snapshot) bool { return len(s.Library.Entries) == 1 })
		if s.Library.Entries[0].ID != fox.ID || s.Library.Total != 2 {
			t.Errorf("library %+v", s.Library)
		}
		b.Show(fox.ID)
		b.await("the fox", func(s Snapshot) bool { return s.Stage.Entry.ID == fox.ID && s.Stage.Video != nil })
		b.CopySettings(fox.ID)
		b.await("its settings", func(s Snapshot) bool { return s.Form.Text(FieldPrompt) == "a fox" })
		in := b.Snapshot().Form.Inputs
		if in.Job.Seed != fox.Settings.Job.Seed || !in.SeedLocked || in.Camera != demoCamera || in.Demo {
			t.Errorf("inputs %+v", in)
		}
		gif := filepath.Join(b.dir, "fox.gif")
		b.Export(fox.ID, library.ExportGIF, gif)
		b.notice(Exported)
		if _, err := os.Stat(gif); err != nil || len(b.Snapshot().Exports) != 0 {
			t.Errorf("%v, exports %+v", err, b.Snapshot().Exports)
		}
		b.Export(fox.ID, library.ExportMP4, filepath.Join(b.dir, "nowhere", "fox.mp4"))
		b.notice(ExportFailed)
		b.Drop([]string{whale.Video})
		b.await("the whale", func(s Snapshot) bool { return s.Stage.Entry.ID == whale.ID })
		b.Delete(whale.ID)
		b.notice(Deleted)
		b.await("an empty stage", func(s Snapshot) bool { return s.Stage.Entry.ID == "" && s.Library.Total == 1 })
		if _, err := os.Stat(filepath.Join(b.trash, filepath.Base(whale.Video))); err != nil {
			t.Error(err)
		}
		must(t, os.RemoveAll(filepath.Join(b.dir, "own", "library", "runs", string(fox.ID), "frames")))
		b.Show(fox.ID)
		b.notice(FramesGone)
		must(t, os.RemoveAll(b.trash))
		b.Delete(fox.ID)
		b.notice(DeleteFailed)
	})
}

// TestSubscribe makes sure that changes arrive, not too often, and the last one always.
func TestSubscribe(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		var calls atomic.Int32
		var last atomic.Uint64
		stop := b.Subscribe(func(s Snapshot) {
			calls.Add(1)
			last.Store(s.Version)
		})
		begin := time.Now()
		for range 2000 {
			b.Edit(FieldPrompt, "typing")
			b.Edit(FieldPrompt, "typing on")
		}
		b.await("the last change", func(s Snapshot) bool { return last.Load() == s.Version && !s.Form.Checking })
		if most := int32(time.Since(begin)/pause) + 2; calls.Load() > most {
			t.Errorf("%d calls in %v", calls.Load(), time.Since(begin))
		}
		stop()
		time.Sleep(pause)
		before := calls.Load()
		b.Edit(FieldPrompt, "unseen")
		time.Sleep(2 * pause)
		if calls.Load() != before {
			t.Error("called after stop")
		}
	})
}

// TestSetterIsQuick makes sure that no method waits for a subscriber.
func TestSetterIsQuick(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		hold := make(chan struct{})
		stop := b.Subscribe(func(Snapshot) { <-hold })
		defer stop()
		defer close(hold)
		begin := time.Now()
		for range 25 {
			b.Edit(FieldPrompt, "text")
			b.SetPicture(filepath.Join(b.dir, "nothing"))
			b.UsePreset(PresetDemo)
			b.Drop([]string{b.dir})
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("100 calls took %v", took)
		}
	})
}
