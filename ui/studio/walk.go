package studio

import (
	"context"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/live"
)

// Walk is what the page Live shows.
type Walk struct {
	Can  WalkCan
	On   bool   // a walk is under way
	Dir  string // its folder
	Idle bool   // it waits while nobody does anything
	live.State
	Kept   []live.Kept // walks on disk, the newest first
	Saving string      // what is being saved; "" for nothing
	Saved  int         // frames of it
	Total  int
}

// WalkCan says whether the model that runs can be walked by.
type WalkCan string

// What it can be.
const (
	WalkReady    WalkCan = "ready"
	WalkChecking WalkCan = "checking"
	WalkWhole    WalkCan = "whole"   // the model makes its videos in one go
	WalkServer   WalkCan = "server"  // it is on a server
	WalkNoModel  WalkCan = "model"   // it cannot be used
	WalkPicture  WalkCan = "picture" // there is no picture to start from
	WalkPrompt   WalkCan = "prompt"  // nor a prompt
)

// deriveWalk finds out whether there can be a walk.
func (s *Studio) deriveWalk(n *Snapshot) {
	causal := n.Model.Recipe.Causal.Mode != "" || slices.ContainsFunc(n.Model.Parts, func(p engine.Part) bool {
		return p.Name == causalPart && p.Path != "" && p.Err == nil
	})
	switch {
	case s.server(n) != "" || s.o.OpenWalk == nil:
		n.Walk.Can = WalkServer
	case n.Form.Checking:
		n.Walk.Can = WalkChecking
	case !n.Model.Whole && !causal:
		n.Walk.Can = WalkNoModel
	case !causal:
		n.Walk.Can = WalkWhole
	case n.Form.Picture.Width == 0:
		n.Walk.Can = WalkPicture
	case inference.Blank(n.Form.Inputs.Job.Prompt):
		n.Walk.Can = WalkPrompt
	default:
		n.Walk.Can = WalkReady
	}
}

// causalPart is what the engine calls the transformer of a causal model.
const causalPart = "causal_model"

// walksDir is the folder of walks in the program's own.
const walksDir = "walks"

// StartWalk begins a walk from the form's picture and prompt, in which in is held. It does nothing
// where there can be none, or there is one: a window may hear of that a moment later.
func (s *Studio) StartWalk(in live.Input) {
	s.mu.Lock()
	ok := s.now.Walk.Can == WalkReady && !s.begins && s.walk == nil
	s.begins = s.begins || ok
	r := engine.Request{Checkpoint: s.checkpoint(&s.now), Job: s.now.Form.Inputs.Job}
	r.Job.Assets = s.assets(&s.now)
	s.mu.Unlock()
	if !ok {
		return
	}
	dir := filepath.Join(s.o.Dir, walksDir, time.Now().Format("20060102-150405.000"))
	s.serial.enqueue(func() {
		s.beginWalk(dir, r)
		s.HoldWalk(in)
		s.mu.Lock()
		s.begins = false
		s.mu.Unlock()
	})
}

// ContinueWalk goes on with a walk on disk.
func (s *Studio) ContinueWalk(dir string) {
	s.serial.enqueue(func() {
		kept, err := live.Look(dir)
		if err != nil {
			s.walkFailed(err)
			return
		}
		s.beginWalk(dir, kept.Request())
	})
}

// beginWalk opens a walk in a folder. It is called by s.serial.
func (s *Studio) beginWalk(dir string, r engine.Request) {
	s.endWalk()
	request, ok, err := engine.WalkRequest(r)
	if err == nil && !ok {
		err = fmt.Errorf("the model in %s makes its videos in one go", r.Checkpoint)
	}
	if err != nil {
		s.walkFailed(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.walk = live.New(live.Options{
		Open: func(ctx context.Context) (live.Walker, error) { return s.o.OpenWalk(ctx, request) },
		Dir:  dir, Idle: s.now.Walk.Idle, Log: s.o.Log,
		Changed: s.notes.notify,
		Picture: s.walkPicture,
		Memory:  func() int64 { return s.o.Engine.Memory().Device },
	})
	s.now.Walk.On, s.now.Walk.Dir = true, dir
	s.now.Version++
	s.notes.notify()
}

// EndWalk ends the walk, which is kept unless nothing was made.
func (s *Studio) EndWalk() { s.serial.enqueue(s.endWalk) }

// endWalk is EndWalk, by s.serial.
func (s *Studio) endWalk() {
	s.mu.Lock()
	session := s.walk
	if session != nil {
		s.walk, s.now.Walk.State = nil, session.State() // which is shown until it has ended
	}
	s.mu.Unlock()
	if session == nil {
		return
	}
	dir, err := session.Dir(), session.Close()
	if kept, errLook := live.Look(dir); errLook == nil && kept.Chunks == 0 && kept.Ways == 0 {
		err = os.RemoveAll(dir) // ours, and nobody walked
	}
	if err != nil {
		s.o.Log.Error("ending a walk", "dir", dir, "err", err)
	}
	s.change(func(n *Snapshot) {
		n.Walk.On, n.Walk.Dir, n.Walk.State = false, "", live.State{}
		s.recheck(walksCheck)
	})
}

// walksCheck is the name of checkWalks.
const walksCheck = "walks"

// checkWalks looks for the walks on disk.
func (s *Studio) checkWalks() {
	s.check(walksCheck, true, immediate, func(context.Context) func(*Snapshot) {
		list := live.Walks(filepath.Join(s.o.Dir, walksDir))
		return func(n *Snapshot) { n.Walk.Kept = list }
	})
}

func (s *Studio) walkFailed(err error) {
	s.o.Log.Error("a walk", "err", err)
	s.change(func(n *Snapshot) { s.notice(n, Error, WalkFailed, map[string]any{"Text": err.Error()}, "") })
}

// OnWalkPicture has f called with every picture of walks when it is to be seen, by another
// goroutine.
func (s *Studio) OnWalkPicture(f func(live.Picture)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.picture = f
}

func (s *Studio) walkPicture(p live.Picture) {
	s.mu.Lock()
	f := s.picture
	s.mu.Unlock()
	if f != nil {
		f(p)
	}
}

// walking calls f with the session if there is one.
func (s *Studio) walking(f func(*live.Session)) {
	s.mu.Lock()
	session := s.walk
	s.mu.Unlock()
	if session != nil {
		f(session)
	}
}

// HoldWalk says what is held; see live.Session.Hold.
func (s *Studio) HoldWalk(in live.Input) { s.walking(func(w *live.Session) { w.Hold(in) }) }

// DragWalk turns the view by angles in radians; see live.Session.Drag.
func (s *Studio) DragWalk(right, up float64) {
	s.walking(func(w *live.Session) { w.Drag(right, up) })
}

// SayWalk changes the prompt of the walk.
func (s *Studio) SayWalk(prompt string) { s.walking(func(w *live.Session) { w.SetPrompt(prompt) }) }

// PauseWalk stops the walk where it is, or goes on.
func (s *Studio) PauseWalk(on bool) { s.walking(func(w *live.Session) { w.Pause(on) }) }

// GoWalk goes back to a chunk; -1 is the beginning.
func (s *Studio) GoWalk(chunk int) { s.walking(func(w *live.Session) { w.Go(chunk) }) }

// NameWalk names the way that a chunk is on.
func (s *Studio) NameWalk(chunk int, name string) {
	s.serial.enqueue(func() {
		s.walking(func(w *live.Session) {
			if err := w.Rename(chunk, name); err != nil {
				s.walkFailed(err)
			}
		})
	})
}

// IdleWalk has walks wait while nobody does anything, or go on.
func (s *Studio) IdleWalk(on bool) {
	s.change(func(n *Snapshot) { n.Walk.Idle = on })
	s.walking(func(w *live.Session) { w.SetIdle(on) })
}

// WalkThumb returns a small picture of the end of a chunk; nil for none.
func (s *Studio) WalkThumb(chunk int) (img image.Image) {
	s.walking(func(w *live.Session) { img = w.Thumb(chunk) })
	return img
}

// SaveWalk makes the video of the way to where the walk is, for the library and the folder for
// videos.
func (s *Studio) SaveWalk() {
	s.walking(func(w *live.Session) {
		n := w.State()
		at, chunks := n.At, slices.Index(n.Way, n.At)+1
		if at < 0 {
			return
		}
		var dir, demo string
		s.change(func(n *Snapshot) {
			dir, demo = n.Settings.OutputDir, s.state.demo.Checkpoint
			n.Walk.Saving = dir
		})
		s.background(func() {
			settings := walkSettings(w.Dir(), chunks, demo)
			_, err := s.queue.Make(settings, dir, nil, func(e library.Entry, frames string) (inference.Saved, error) {
				return w.SaveVideo(s.life, at, e.Settings.Job.Output, frames, s.walkSaving)
			})
			s.change(func(n *Snapshot) {
				n.Walk.Saving, n.Walk.Saved, n.Walk.Total = "", 0, 0
				if err != nil {
					s.notice(n, Error, WalkFailed, map[string]any{"Text": err.Error()}, "")
				} else {
					s.notice(n, Info, WalkSaved, map[string]any{"Path": dir}, "")
				}
			})
		})
	})
}

// walkSettings are what the library keeps of the video of the first chunks of the walk in a
// folder; no checkpoint is the demo's.
func walkSettings(dir string, chunks int, demo string) library.Settings {
	kept, err := live.Look(dir)
	if err != nil {
		return library.Settings{}
	}
	job := kept.Request().Job
	job.Prompt, job.Frames = kept.Prompt, engine.Shape{Chunk: kept.Chunk}.Frames(chunks)
	settings := library.Settings{Job: job}
	if kept.Checkpoint != demo {
		settings.Checkpoint = kept.Checkpoint
	}
	return settings
}

func (s *Studio) walkSaving(e inference.Event) {
	if d, ok := e.(inference.Decoding); ok {
		s.change(func(n *Snapshot) { n.Walk.Saved, n.Walk.Total = d.Frames, d.Total })
	}
}

// SaveWalkCamera writes the way to where the walk is as an action folder.
func (s *Studio) SaveWalkCamera(dir string) {
	s.saveCamera(dir, func() {
		s.change(func(n *Snapshot) { s.notice(n, Info, Exported, map[string]any{"Path": dir}, "") })
	})
}

// UseWalkCamera gives the way to where the walk is to the form, as its camera path.
func (s *Studio) UseWalkCamera() {
	dir := filepath.Join(s.o.Dir, "paths", time.Now().Format("20060102-150405.000"))
	s.saveCamera(dir, func() {
		s.SetCameraFolder(dir)
		s.set("camera_scale", fmt.Sprint(clip.WalkScale)) // as the walk was told it
	})
}

func (s *Studio) saveCamera(dir string, then func()) {
	s.walking(func(w *live.Session) {
		at := w.State().At
		s.background(func() {
			if err := w.SaveCamera(at, dir); err != nil {
				s.walkFailed(err)
				return
			}
			then()
		})
	})
}

// DeleteWalk puts a walk that is not under way into the trash.
func (s *Studio) DeleteWalk(dir string) {
	s.serial.enqueue(func() {
		if err := s.o.Trash.Trash(dir); err != nil {
			s.walkFailed(err)
		}
		s.change(func(*Snapshot) { s.recheck(walksCheck) })
	})
}
