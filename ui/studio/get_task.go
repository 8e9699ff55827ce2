package studio

import (
	"context"
	"errors"
	"sync"
	"time"

	"gimbal/inference/hub"
)

const (
	// getTick is how often the window hears how far a download is.
	getTick = 500 * time.Millisecond
	// getPause is waited before a network that is away is tried again.
	getPause = time.Minute
)

// getting is a download under way.
type getting struct {
	Download
	model hub.Model
	stop  context.CancelFunc
	done  chan struct{} // closed when nothing is written any more

	mu    sync.Mutex // guards what follows
	last  hub.Progress
	meter hub.Meter
}

// progress is told by the hub's client how far it is.
func (g *getting) progress(p hub.Progress) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = p
}

// BeginGet downloads the model that is chosen. It is the form's when it is complete.
func (s *Studio) BeginGet() {
	s.userChange(func(n *Snapshot) {
		if n.Get.CanBegin {
			n.Settings.Download = Download{Model: n.Get.Chosen, Folder: n.Get.Folder}
			n.Get.Task = Task{}
			s.get(n)
		}
	})
}

// PauseGet stops the download until it is told to go on.
func (s *Studio) PauseGet() {
	s.userChange(func(n *Snapshot) {
		if n.Get.Task.Active() {
			n.Settings.Download.Paused = true
			s.endGetting(n, TaskPaused)
		}
	})
}

// ResumeGet goes on with a download that is paused or failed.
func (s *Studio) ResumeGet() {
	s.userChange(func(n *Snapshot) {
		if n.Get.Task.Unfinished() && !n.Get.Task.Active() {
			n.Settings.Download.Paused = false
			s.get(n)
		}
	})
}

// goOnGetting goes on with what was not finished when the program ended.
func (s *Studio) goOnGetting(n *Snapshot) {
	d := n.Settings.Download
	m, known := hub.FindModel(d.Model)
	if !known || n.Get.Hub == "" {
		return
	}
	n.Get.Task = Task{State: TaskPaused, Title: m.Title, Folder: d.Folder, Resumed: true}
	n.Get.Chosen = d.Model
	if !d.Paused {
		s.get(n)
	}
}

// CancelGet gives the download up: what is unfinished on disk goes, complete files stay.
func (s *Studio) CancelGet() {
	s.userChange(func(n *Snapshot) {
		if !n.Get.Task.Unfinished() {
			return
		}
		d, before := n.Settings.Download, s.state.getting
		s.endGetting(n, TaskNone)
		n.Settings.Download, n.Get.Task = Download{}, Task{}
		s.notice(n, Info, DownloadDropped, map[string]any{"Path": d.Folder}, "")
		offer, known := s.state.offers[d.Model]
		if s.closed {
			return
		}
		g := &getting{stop: func() {}, done: make(chan struct{})} // the next download waits for this
		s.state.getting = g
		s.tasks.Go(func() {
			defer close(g.done)
			before.wait()
			c, err := s.hub()
			if m, ok := hub.FindModel(d.Model); err == nil && !known && ok {
				offer, err = c.Offer(s.life, m, "")
			}
			if err == nil {
				err = c.Discard(offer, d.Folder)
			}
			if err != nil {
				s.o.Log.Warn("discarding what was downloaded of a model", "folder", d.Folder, "err", err)
			}
			s.change(func(*Snapshot) { s.recheck("room") })
		})
	})
}

// endGetting has the download end, without waiting for it. s.mu is held.
func (s *Studio) endGetting(n *Snapshot, state TaskState) {
	n.Get.Task.State, n.Get.Task.Rate, n.Get.Task.Left = state, 0, 0
	if s.state.getting != nil {
		s.state.getting.stop()
	}
}

// wait waits until nothing is written any more.
func (g *getting) wait() {
	if g != nil {
		<-g.done
	}
}

// get starts the download that the settings name. s.mu is held.
func (s *Studio) get(n *Snapshot) {
	m, ok := hub.FindModel(n.Settings.Download.Model)
	if !ok || s.closed {
		return
	}
	before := s.state.getting
	ctx, stop := context.WithCancel(s.life)
	g := &getting{Download: n.Settings.Download, model: m, stop: stop, done: make(chan struct{})}
	s.state.getting = g
	task := &n.Get.Task
	task.State, task.Title, task.Folder, task.Problem, task.Rate, task.Left = TaskChecking, m.Title, g.Folder, Problem{}, 0, 0
	s.tasks.Go(func() {
		defer close(g.done)
		defer stop()
		before.wait()
		s.fetch(ctx, g)
	})
}

// fetch downloads until all is there or nothing helps. Where the network is away it waits.
func (s *Studio) fetch(ctx context.Context, g *getting) {
	ticking := time.NewTicker(getTick)
	defer ticking.Stop()
	stop, stopped := make(chan struct{}), make(chan struct{})
	defer func() {
		close(stop)
		<-stopped
	}()
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case now := <-ticking.C:
				s.showProgress(g, now)
			}
		}
	}()
	for {
		err := s.fetchOnce(ctx, g)
		if ctx.Err() != nil {
			return // whoever stopped it says what it is now
		}
		if away := (*hub.NetworkError)(nil); !errors.As(err, &away) {
			s.fetched(g, err)
			return
		}
		s.o.Log.Warn("downloading a model; trying again", "model", g.Model, "err", err)
		s.ofTask(g, func(n *Snapshot, t *Task) {
			t.State, t.Rate, t.Left, t.Problem = TaskWaiting, 0, 0, getProblem(n.Get.Hub, err)
		})
		select {
		case <-ctx.Done():
			return
		case <-time.After(getPause):
		}
	}
}

func (s *Studio) fetchOnce(ctx context.Context, g *getting) error {
	c, err := s.hub()
	if err != nil {
		return err
	}
	offer, err := c.Offer(ctx, g.model, "")
	if err != nil {
		return err
	}
	s.ofTask(g, func(_ *Snapshot, t *Task) {
		s.state.offers[g.Model], t.Total, t.State, t.Problem = offer, offer.Bytes(), TaskChecking, Problem{}
	})
	return c.Fetch(ctx, offer, g.Folder, g.progress)
}

// ofTask changes what is shown of a download while it is the one under way.
func (s *Studio) ofTask(g *getting, f func(n *Snapshot, t *Task)) {
	s.change(func(n *Snapshot) {
		if s.state.getting == g && n.Get.Task.Active() {
			f(n, &n.Get.Task)
		}
	})
}

// showProgress shows how far a download is.
func (s *Studio) showProgress(g *getting, now time.Time) {
	g.mu.Lock()
	last := g.last
	if last.Total == 0 {
		g.mu.Unlock()
		return
	}
	g.meter.Add(now, last)
	rate, left := g.meter.Rate(), g.meter.Left()
	g.mu.Unlock()
	s.ofTask(g, func(_ *Snapshot, t *Task) {
		t.Done, t.Total = last.Done, last.Total
		if t.State == TaskWaiting {
			return
		}
		t.Rate, t.Left, t.State = rate, left, TaskRunning
		if last.Checking {
			t.State = TaskChecking
		}
	})
}

// fetched shows how a download ended. A model that is complete is the form's.
func (s *Studio) fetched(g *getting, err error) {
	if err != nil {
		s.o.Log.Error("downloading a model", "model", g.Model, "err", err)
	}
	s.userChange(func(n *Snapshot) {
		if s.state.getting != g || !n.Get.Task.Active() {
			return
		}
		t := &n.Get.Task
		t.Rate, t.Left = 0, 0
		if err != nil {
			t.State, t.Problem = TaskFailed, getProblem(n.Get.Hub, err)
			return
		}
		t.State, t.Done = TaskDone, t.Total
		n.Settings.Download = Download{}
		s.notice(n, Info, ModelFetched, map[string]any{"Title": t.Title, "Path": g.Folder}, "")
		s.useModel(n, g.Folder)
		s.recheck("room", modelCheck(false))
	})
}
