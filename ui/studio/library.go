package studio

import (
	"context"
	"errors"
	"image"
	"io/fs"
	"path/filepath"
	"slices"

	"gimbal/inference/camera"
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

// followLibrary lists the runs anew when they or the query changed.
func (s *Studio) followLibrary(n *Snapshot) {
	query := n.Library.Query
	type about struct {
		query   string
		version int
	}
	s.look("library", about{query, s.facts.shelf}, immediate, func(context.Context) func(*Snapshot) {
		found, all := s.lib.Search(query), s.lib.Search("")
		return func(n *Snapshot) { n.Library.Entries, n.Library.Total = found, len(all) }
	})
}

// Show puts a run on the stage; "" clears it.
func (s *Studio) Show(id library.ID) {
	e, _ := s.lib.Get(id)
	s.change(func(n *Snapshot) { s.show(n, e) })
}

// show puts e on the stage and begins to load its video. s.mu is held.
func (s *Studio) show(n *Snapshot, e library.Entry) {
	n.Stage = Stage{Entry: e, Loading: e.ID != ""}
	s.due("stage")
}

// followStage loads the video on the stage.
func (s *Studio) followStage(n *Snapshot) {
	e := n.Stage.Entry
	s.look("stage", e.ID, immediate, func(context.Context) func(*Snapshot) {
		if e.ID == "" {
			return func(*Snapshot) {}
		}
		v, err := s.lib.Video(e.ID)
		path := s.keptPath(e)
		return func(n *Snapshot) {
			n.Stage = Stage{Entry: n.Stage.Entry, Video: v, Camera: path}
			if err != nil && e.State == library.Done {
				s.notice(n, Warning, FramesGone, map[string]any{"Title": e.Title()}, err.Error())
			}
		}
	})
}

// keptPath returns the camera path on which a run was made.
func (s *Studio) keptPath(e library.Entry) CameraPath {
	c := CameraPath{Kind: CameraNone, Path: e.Settings.Job.ActionPath, Name: e.Settings.Camera}
	path, err := camera.Open(filepath.Join(s.lib.Folder(e.ID), keptCamera))
	if err != nil {
		return c
	}
	if c.Kind = CameraFolder; c.Name != "" {
		c.Kind = CameraBuiltin
	}
	frames := e.Frames
	if frames == 0 {
		frames = e.Settings.Job.Frames
	}
	fillPath(&c, path, path.EffectiveFrames(frames), c.Kind == CameraFolder)
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
	s.chores.add(func() {
		in := sane(inputsOf(e.Settings))
		dir := s.lib.Folder(id)
		if kept := filepath.Join(dir, keptPicture); !exists(in.Picture) && exists(kept) {
			in.Picture = kept
		}
		if kept := filepath.Join(dir, keptCamera); in.Camera.Kind == CameraFolder && !exists(in.Camera.Folder) && exists(kept) {
			in.Camera.Folder = kept
		}
		s.touch(func(n *Snapshot) {
			s.fill(n, func(to *Inputs) { *to = in })
			if folder := e.Settings.Checkpoint; folder != "" {
				n.Settings.ModelFolder = folder
			} else {
				n.Form.Inputs.Demo = n.Settings.ModelFolder != ""
			}
			s.notice(n, Info, SettingsCopied, map[string]any{"Title": e.Title()}, "")
		})
	})
}

// inputsOf returns the inputs that settings came from.
func inputsOf(settings library.Settings) Inputs {
	in := inputsOfJob(settings.Job)
	in.SeedLocked = true
	in.Quant = settings.Quant
	if settings.Camera != "" {
		in.Camera = Camera{Kind: CameraBuiltin, Name: settings.Camera}
	}
	return in
}

// Delete takes a run out of the library and moves its files to the trash.
func (s *Studio) Delete(id library.ID) {
	s.chores.add(func() {
		e, _ := s.lib.Get(id)
		err := s.lib.Delete(id, s.o.Trash)
		s.change(func(n *Snapshot) {
			title := map[string]any{"Title": e.Title()}
			if err != nil {
				s.notice(n, Error, DeleteFailed, title, err.Error())
				return
			}
			s.facts.shelf++
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
