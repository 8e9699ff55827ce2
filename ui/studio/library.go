package studio

import (
	"cmp"
	"context"
	"errors"
	"image"
	"io/fs"
	"slices"

	"gimbal/inference/clip"
	"gimbal/inference/library"
)

// reportLibrary tells what opening the library found.
func (s *Studio) reportLibrary(n *Snapshot) {
	r := s.lib.Report()
	if r.SetAside != "" || r.Rebuilt > 0 {
		s.notice(n, Warning, LibraryRebuilt, map[string]any{"Path": r.SetAside, "Runs": r.Rebuilt}, "")
	}
	if len(r.Interrupted) > 0 {
		s.notice(n, Info, RunsInterrupted, map[string]any{"Runs": len(r.Interrupted)}, "")
	}
}

// Search sets the library's query: words that all occur in a run's settings.
func (s *Studio) Search(query string) {
	s.change(func(n *Snapshot) { n.Library.Query = query })
}

// checkLibrary lists the runs anew when they or the query changed.
func (s *Studio) checkLibrary(n *Snapshot) {
	query := n.Library.Query
	type about struct {
		query   string
		version uint64
	}
	s.check("library", about{query, s.lib.Version()}, immediate, func(context.Context) func(*Snapshot) {
		found, all := s.lib.Search(query), s.lib.Search("")
		return func(n *Snapshot) { n.Library.Entries, n.Library.Total = found, len(all) }
	})
}

// Show puts a run on the stage, or its previews while it is under way; "" clears it.
func (s *Studio) Show(id library.ID) {
	e, _ := s.lib.Get(id)
	if s.queue.Front(id) {
		e = library.Entry{}
	}
	s.change(func(n *Snapshot) { s.show(n, e) })
}

// show puts e on the stage and begins to load its video. s.mu is held.
func (s *Studio) show(n *Snapshot, e library.Entry) {
	n.Stage = Stage{Entry: e, Loading: e.ID != ""}
	s.recheck("stage")
}

// checkStage loads the video on the stage.
func (s *Studio) checkStage(n *Snapshot) {
	e, others := n.Stage.Entry, slices.Clone(n.Stage.Compared)
	of := string(e.ID)
	for _, o := range others {
		of += " " + string(o.Entry.ID)
	}
	s.check("stage", of, immediate, func(context.Context) func(*Snapshot) {
		if e.ID == "" {
			return func(*Snapshot) {}
		}
		v, err := s.lib.Video(e.ID)
		path := s.madeOn(e)
		for i := range others {
			var wrong error
			others[i].Video, wrong = s.lib.Video(others[i].Entry.ID)
			err = errors.Join(err, wrong)
		}
		others = slices.DeleteFunc(others, func(c Compared) bool { return c.Video == nil })
		return func(n *Snapshot) {
			n.Stage = Stage{Entry: n.Stage.Entry, Video: v, Camera: path, Compared: others}
			if err != nil && e.State == library.Done {
				s.notice(n, Warning, FramesGone, map[string]any{"Title": e.Title()}, err.Error())
			}
		}
	})
}

// madeOn returns the camera path on which a run was made.
func (s *Studio) madeOn(e library.Entry) CameraPath {
	job := e.Settings.Job
	c := CameraPath{Name: e.Settings.Camera, Folder: job.ActionPath, Actions: job.ActionString}
	if job.ActionPath = ""; exists(s.queue.KeptCamera(e.ID)) {
		job.ActionPath = s.queue.KeptCamera(e.ID)
	}
	path, err := clip.OpenJob(job)
	if err != nil || path == nil {
		return CameraPath{}
	}
	c.describe(path, path.EffectiveFrames(cmp.Or(e.Frames, e.Settings.Job.Frames)))
	return c
}

// Thumbnail returns a run's thumbnail, nil if it has none. It may read a little from
// disk.
func (s *Studio) Thumbnail(id library.ID) image.Image {
	img, err := s.lib.Thumbnail(id)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.o.Log.Warn("reading a thumbnail", "id", id, "err", err)
		}
		return nil
	}
	return img
}

// CopySettings fills the form with a run's settings. Where the picture or the action
// folder is gone, the library's copy stands for it.
func (s *Studio) CopySettings(id library.ID) {
	e, ok := s.lib.Get(id)
	if !ok {
		return
	}
	s.serial.enqueue(func() {
		in := Inputs{Job: e.Settings.Job, Camera: e.Settings.Camera, SeedLocked: true}.sanitized()
		if kept := s.queue.KeptPicture(id); !exists(in.Job.Image) && exists(kept) {
			in.Job.Image = kept
		}
		if kept := s.queue.KeptCamera(id); in.Job.ActionPath != "" && !exists(in.Job.ActionPath) && exists(kept) {
			in.Job.ActionPath = kept
		}
		s.userChange(func(n *Snapshot) {
			s.fill(n, func(to *Inputs) { *to = in })
			switch of := e.Settings; {
			case of.Server != "":
				n.Settings.Server, n.Settings.ServerModel = of.Server, of.Checkpoint
			case of.Checkpoint != "":
				n.Settings.Server, n.Settings.ModelFolder = "", of.Checkpoint
			default:
				n.Form.Inputs.Demo = hasOwn(n)
			}
			s.notice(n, Info, SettingsCopied, map[string]any{"Title": e.Title()}, "")
		})
	})
}

// Delete takes a run out of the library and moves its files to the trash.
func (s *Studio) Delete(id library.ID) {
	s.serial.enqueue(func() {
		e, _ := s.lib.Get(id)
		err := s.lib.Delete(id, s.o.Trash)
		s.change(func(n *Snapshot) {
			title := map[string]any{"Title": e.Title()}
			if err != nil {
				s.notice(n, Error, DeleteFailed, title, err.Error())
				return
			}
			if n.Stage.Entry.ID == id {
				s.show(n, library.Entry{})
			}
			s.notice(n, Info, Deleted, title, "")
		})
	})
}

// Export writes a run's video to path, a folder for library.ExportPNGs and else a
// file. Snapshot.Exports shows how far it is and a notice how it ended.
func (s *Studio) Export(id library.ID, kind library.ExportKind, path string) {
	show := func(update func(old []Export) []Export) {
		s.change(func(n *Snapshot) { n.Exports = update(slices.Clone(n.Exports)) })
	}
	show(func(all []Export) []Export { return append(all, Export{ID: id, Path: path, Kind: kind}) })
	s.background(func() {
		err := s.lib.Export(s.life, id, kind, path, func(done, total int) {
			show(func(all []Export) []Export {
				for i := range all {
					if all[i].Path == path {
						all[i].Done, all[i].Total = done, total
					}
				}
				return all
			})
		})
		show(func(all []Export) []Export {
			return slices.DeleteFunc(all, func(e Export) bool { return e.Path == path })
		})
		s.change(func(n *Snapshot) {
			if err != nil {
				s.notice(n, Error, ExportFailed, map[string]any{"Path": path}, err.Error())
				return
			}
			s.notice(n, Info, Exported, map[string]any{"Path": path}, "")
		})
	})
}
