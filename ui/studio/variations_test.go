package studio

import (
	"testing"

	"gimbal/inference/library"
)

// TestVariations makes three videos of one form, which are then side by side on the stage.
func TestVariations(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.SetVariations(3)
		b.Edit(FieldSeed, "5")
		b.engine.Steps(9)
		b.Generate()
		s := b.await("three videos on the stage", func(s Snapshot) bool {
			return len(s.Stage.Compared) == 3 && s.Stage.Compared[2].Video != nil && !s.Busy()
		})
		seeds := map[uint64]bool{}
		for i, c := range s.Stage.Compared {
			seeds[c.Entry.Settings.Job.Seed] = true
			if c.Entry.Settings.Group == "" || c.Entry.Settings.Group != s.Stage.Entry.Settings.Group || i == 0 && c.Entry.Settings.Job.Seed != 5 {
				t.Errorf("video %d: %+v", i, c.Entry.Settings)
			}
		}
		if len(seeds) != 3 {
			t.Errorf("the seeds are %v", seeds)
		}
		// One alone, and then beside another, as other settings are compared.
		b.SetVariations(1)
		b.Edit(FieldSteps, "4")
		e := b.generate()
		b.engine.Steps(4)
		b.await("its video", func(s Snapshot) bool { return s.Stage.Entry.ID == e.ID && s.Stage.Video != nil })
		if s := b.Snapshot(); len(s.Stage.Compared) != 0 || e.Settings.Group != "" || s.CanCompare(s.Library.Entries, e.ID) {
			t.Errorf("one video: %+v", s.Stage.Compared)
		}
		first := s.Stage.Compared[0].Entry.ID
		b.Compare(first) // with its group
		b.await("the group again", func(s Snapshot) bool { return len(s.Stage.Compared) == 3 && s.Stage.Entry.ID == first })
		b.Compare(e.ID) // with what is on the stage
		s = b.await("two settings", func(s Snapshot) bool { return len(s.Stage.Compared) == 2 && s.Stage.Compared[1].Video != nil })
		if s.Stage.Compared[0].Entry.ID != first || s.Stage.Compared[1].Entry.ID != e.ID {
			t.Errorf("compared %+v", s.Stage.Compared)
		}
		b.Show(e.ID)
		b.await("one video", func(s Snapshot) bool {
			return len(s.Stage.Compared) == 0 && s.Stage.Video != nil && s.Stage.Entry.ID == e.ID
		})
		if ids := comparedWith([]library.Entry{{ID: "a", State: library.Failed}}, "b", "a"); ids != nil {
			t.Errorf("a run without a video is compared: %v", ids)
		}
	})
}

// TestAgainst keeps a form, changes a setting and makes both videos, which are then side by side.
func TestAgainst(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldSteps, "4")
		b.await("a form that can run", func(s Snapshot) bool { return s.Form.CanRun })
		b.KeepAgainst()
		b.Edit(FieldSteps, "0")
		b.await("a form that cannot run", func(s Snapshot) bool { return !s.Form.CanRun })
		b.KeepAgainst() // leaves what was kept
		b.Edit(FieldSteps, "6")
		if s := b.await("two videos asked for", func(s Snapshot) bool { return s.Form.Runs() == 2 }); s.Form.Against.Settings.Job.Steps != 4 {
			t.Errorf("kept %+v", s.Form.Against.Settings.Job)
		}
		b.SetVariations(2)
		b.engine.Steps(2 * (4 + 6))
		b.Generate()
		s := b.await("four videos on the stage", func(s Snapshot) bool {
			return len(s.Stage.Compared) == 4 && s.Stage.Compared[3].Video != nil && !s.Busy()
		})
		for i, c := range s.Stage.Compared {
			if job, steps := c.Entry.Settings.Job, []int{4, 6}[i%2]; job.Steps != steps || job.Seed != s.Stage.Compared[i/2*2].Entry.Settings.Job.Seed {
				t.Errorf("video %d: %d steps, seed %d", i, job.Steps, job.Seed)
			}
		}
		if s.Form.Against != nil || s.Stage.Compared[0].Entry.Settings.Job.Seed == s.Stage.Compared[2].Entry.Settings.Job.Seed {
			t.Errorf("still kept: %v; the seeds are the same", s.Form.Against)
		}
		b.KeepAgainst()
		b.ForgetAgainst()
		b.await("one form", func(s Snapshot) bool { return s.Form.Runs() == 2 && s.Form.Against == nil }) // of two seeds
	})
}
