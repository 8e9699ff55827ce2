package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"

	"gimbal/inference/service/jobs"
)

// index holds all jobs as they are now, so that requests ask nobody.
type index struct {
	mu        sync.Mutex
	jobs      map[jobs.ID]*jobs.Job // never written to
	complete  bool                  // all are here, and changes come
	begun     bool                  // it was complete once
	seen      map[jobs.ID]bool      // until all are here, those that there are
	asked     map[string]int        // jobs that users are asking for, by their names
	listeners map[*listener]bool
}

func newIndex() *index {
	return &index{jobs: map[jobs.ID]*jobs.Job{}, seen: map[jobs.ID]bool{}, asked: map[string]int{}, listeners: map[*listener]bool{}}
}

// follow keeps the index up to date until ctx ends or the connection is lost.
func (x *index) follow(ctx context.Context, s *jobs.Store) error {
	x.mu.Lock()
	clear(x.seen)
	x.mu.Unlock()
	defer func() {
		x.mu.Lock()
		x.complete = false
		x.mu.Unlock()
	}()
	return s.Watch(ctx, x.change)
}

// change takes what a Watch tells.
func (x *index) change(c jobs.Change) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !c.Complete {
		if !x.complete {
			x.seen[c.ID] = c.Job != nil
		}
		x.set(c.ID, c.Job)
		return
	}
	for id := range x.jobs {
		if !x.seen[id] {
			x.set(id, nil) // deleted while nobody looked
		}
	}
	x.complete, x.begun = true, true
}

// set keeps a job, or forgets it, and tells those who listen. x.mu is held.
func (x *index) set(id jobs.ID, j *jobs.Job) {
	old := x.jobs[id]
	if old != nil && j != nil && j.Revision < old.Revision {
		return // what comes late
	}
	if j == nil {
		delete(x.jobs, id)
	} else {
		x.jobs[id], old = j, j
	}
	for l := range x.listeners {
		if old != nil && l.wants(old) {
			l.add(id, j)
		}
	}
}

// put keeps a job that was changed here before the change comes back, unless it was deleted
// meanwhile.
func (x *index) put(j jobs.Job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.jobs[j.ID] != nil {
		x.set(j.ID, &j)
	}
}

// ask notes that a user asks for a job, until answered is called with it, or with nil for none;
// later calls do nothing. It is nil where the user has as many jobs as may be.
func (x *index) ask(u User) (answered func(*jobs.Job)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	has := x.list(func(j *jobs.Job) bool { return j.User == u.Name && !j.Status.Final() })
	if u.Limit > 0 && len(has)+x.asked[u.Name] >= u.Limit {
		return nil
	}
	x.asked[u.Name]++
	open := true
	return func(j *jobs.Job) {
		x.mu.Lock()
		defer x.mu.Unlock()
		if !open {
			return
		}
		open = false
		x.asked[u.Name]--
		if j == nil {
			return
		}
		if x.set(j.ID, j); !x.complete {
			x.seen[j.ID] = true // what is told of those that there are may leave it out
		}
	}
}

func (x *index) ready() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.complete
}

// get returns a user's job.
func (x *index) get(id jobs.ID, u User) (*jobs.Job, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	j := x.jobs[id]
	switch {
	case j != nil && j.User == u.Name:
		return j, nil
	case !x.complete: // it may be there
		return nil, errAway
	}
	return nil, jobs.ErrNotFound
}

// errAway is for requests that come before the jobs are known.
var errAway = &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "the jobs cannot be reached now: try again"}

// known returns errAway until all jobs were here once.
func (x *index) known() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.begun {
		return errAway
	}
	return nil
}

// all returns the jobs that are wanted, the newest first.
func (x *index) all(wanted func(*jobs.Job) bool) []*jobs.Job {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.list(wanted)
}

// list is all. x.mu is held.
func (x *index) list(wanted func(*jobs.Job) bool) (list []*jobs.Job) {
	for _, j := range x.jobs {
		if wanted(j) {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, func(a, b *jobs.Job) int { return strings.Compare(string(b.ID), string(a.ID)) })
	return list
}

// position returns how many jobs wait before one that waits, of the same model.
func (x *index) position(j *jobs.Job) int {
	rank := slices.Index(jobs.Priorities, j.Priority)
	return len(x.all(func(other *jobs.Job) bool {
		r := slices.Index(jobs.Priorities, other.Priority)
		return other.Status == jobs.Queued && other.Model == j.Model && (r < rank || r == rank && other.ID < j.ID)
	}))
}

// listener collects the changes of the jobs that it wants.
type listener struct {
	wants   func(*jobs.Job) bool
	changed chan struct{} // holds one when there are some
	mu      sync.Mutex
	changes map[jobs.ID]*jobs.Job // the last of each job; nil for a deleted one
	order   []jobs.ID
}

// listen returns a listener that begins with all jobs as they are. The caller ends it with
// unlisten.
func (x *index) listen(wants func(*jobs.Job) bool) *listener {
	l := &listener{wants: wants, changed: make(chan struct{}, 1), changes: map[jobs.ID]*jobs.Job{}}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, j := range slices.Backward(x.list(wants)) {
		l.add(j.ID, j)
	}
	x.listeners[l] = true
	return l
}

func (x *index) unlisten(l *listener) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.listeners, l)
}

func (l *listener) add(id jobs.ID, j *jobs.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.changes[id]; !ok {
		l.order = append(l.order, id)
	}
	l.changes[id] = j
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// take returns the changes since the last call.
func (l *listener) take() (order []jobs.ID, changes map[jobs.ID]*jobs.Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	order, changes = l.order, l.changes
	l.order, l.changes = nil, map[jobs.ID]*jobs.Job{}
	return order, changes
}
