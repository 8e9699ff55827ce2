package studio

import (
	"os"
	"path/filepath"
	"testing"

	"gimbal/inference/clip"
	"gimbal/inference/keyframes"
	"gimbal/inference/library"
)

// TestEditedPath makes a path of the built-in one, uses it as a folder, and edits it again.
func TestEditedPath(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.SetCamera("forward")
		b.Edit(FieldFrames, "41")
		p, frames := b.EditablePath()
		if frames != 41 || len(p.Keys) != 2 || p.Last() != 40 || p.Keys[1].Z != 10 {
			t.Fatalf("%d frames, %+v", frames, p)
		}
		p, i := p.Insert(20)
		k := p.Keys[i]
		k.X, k.Heading, k.FOV, k.Ease = 2, 30, 60, keyframes.EaseOut
		p = p.With(i, k).Rounded(true)
		b.UsePath(p)
		s := b.await("the path in the form", func(s Snapshot) bool { return s.Form.Camera.Folder != "" && s.Form.Camera.Poses == 41 })
		job := s.Form.Inputs.Job
		if s.Form.Inputs.Camera != "" || !job.PerFrameIntrinsics || filepath.Dir(job.ActionPath) != filepath.Join(b.dir, "own", "paths") {
			t.Errorf("camera %q, folder %s, zoom %v", s.Form.Inputs.Camera, job.ActionPath, job.PerFrameIntrinsics)
		}
		for _, problem := range s.Form.Of(FieldCamera) {
			if problem.Level == Error {
				t.Errorf("%+v", problem)
			}
		}
		read, err := clip.OpenPath(job.ActionPath)
		must(t, err)
		if at := read.Poses()[20]; at[0][3] != 2 || at[2][3] != 5 {
			t.Errorf("frame 20 is at %v", at)
		}
		again, _ := b.EditablePath()
		if len(again.Keys) != 3 || again.Keys[1] != k || !again.Round {
			t.Errorf("edited again: %+v, was %+v", again, p)
		}
		// Another frame number: the same keys, and a folder of as many poses as there are.
		b.Edit(FieldFrames, "81")
		if again, frames := b.EditablePath(); frames != 81 || len(again.Keys) != 3 {
			t.Errorf("%d frames, %+v", frames, again)
		}
		r, err := b.ReadPath(job.ActionPath)
		must(t, err)
		if len(r.Poses) != 41 || len(r.As(keyframes.Convention{}).Keys) != 3 || len(r.As(keyframes.Convention{WorldToCamera: true}).Keys) < 3 {
			t.Errorf("%d poses are read", len(r.Poses))
		}
	})
}

// TestGenerateOnPath makes the video on the path as it was drawn, not as it was before.
func TestGenerateOnPath(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.SetCamera("forward")
		p, _ := b.EditablePath()
		b.GenerateOn(p)
		s := b.await("a run", func(s Snapshot) bool { return s.Run.Active() })
		if job := s.Run.Entry.Settings.Job; filepath.Dir(job.ActionPath) != filepath.Join(b.dir, "own", "paths") {
			t.Errorf("the video is made with the path %q of %q", job.ActionPath, s.Run.Entry.Settings.Camera)
		}
		b.Cancel(s.Run.Entry.ID)
		b.finished(s.Run.Entry.ID, library.Cancelled)
	})
}

func TestExportPath(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p, _ := b.EditablePath()
		folder := filepath.Join(b.dir, "exported")
		b.ExportPath(p, folder)
		b.notice(Exported)
		if _, err := clip.OpenPath(folder); err != nil {
			t.Error(err)
		}
		must(t, os.WriteFile(filepath.Join(folder, "own.txt"), nil, 0o644))
		b.ExportPath(keyframes.Start(), folder) // nothing of the user's is written over
		b.notice(ExportFailed)
		if p, err := b.ActionsPath("w-20,l-20"); err != nil || p.Last() != 40 {
			t.Errorf("%+v, %v", p, err)
		}
		if _, err := b.ActionsPath("w20"); err == nil {
			t.Error("keys without a number were taken")
		}
	})
}

// A damaged file of key frames is passed by: the poses beside it are there.
func TestDamagedKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		folder := filepath.Join(b.dir, "path")
		must(t, writePath(folder, keyframes.Path{Keys: []keyframes.Key{{FOV: 80}, {Frame: 80, Z: 5, FOV: 80}}}, 81))
		must(t, os.WriteFile(filepath.Join(folder, keysFile), []byte(`{"keys":[{"frame":5},{"frame":2}]}`), 0o644))
		b.Edit(FieldFrames, "81")
		b.SetCameraFolder(folder)
		b.await("its poses", func(s Snapshot) bool { return s.Form.Camera.Poses == 81 })
		if p, _ := b.EditablePath(); len(p.Keys) != 2 || p.At(80).Z != 5 {
			t.Errorf("%+v", p)
		}
	})
}
