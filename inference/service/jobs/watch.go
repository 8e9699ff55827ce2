package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// List returns all jobs in the order in which they were submitted.
func (s *Store) List(ctx context.Context) ([]Job, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all []Job
	err := s.Watch(ctx, func(c Change) {
		if c.Job != nil {
			all = append(all, *c.Job)
		}
		if c.Complete {
			stop()
		}
	})
	if err != nil && !(errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Job) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// Change is a job's record as it is now.
type Change struct {
	ID  ID
	Job *Job // nil for a job that was deleted
	// Complete says, once and with no job, that all jobs there were have been told.
	Complete bool
}

// errBehind says that what tells of changes has stopped: its server may be lost.
var errBehind = errors.New("changes of the jobs are not told any more")

// pulse is how often Watch looks whether all that changed was told.
const pulse = 2 * time.Second

// Watch tells of every job that there is, and then of every change, until ctx ends: its
// error is then ctx's. Of changes in quick succession, some may be left out, but never the
// last.
func (s *Store) Watch(ctx context.Context, tell func(Change)) error {
	w, err := s.records.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer w.Stop()
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	var told, due uint64 // revisions
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if told < due && len(w.Updates()) == 0 {
				return errBehind
			}
			if last, err := s.lastRevision(ctx); err == nil { // or nobody can say now
				due = last
			}
		case entry, ok := <-w.Updates():
			if !ok {
				return cmp.Or(ctx.Err(), errors.New("the connection to the jobs was closed"))
			}
			if entry == nil {
				tell(Change{Complete: true})
				continue
			}
			told = max(told, entry.Revision())
			if entry.Operation() != jetstream.KeyValuePut {
				tell(Change{ID: ID(entry.Key())})
				continue
			}
			var j Job
			if err := decode(entry, &j); err != nil {
				s.o.Log.Error("a job that cannot be read", "err", err)
				continue
			}
			tell(Change{ID: j.ID, Job: &j})
		}
	}
}

// lastRevision is that of the last change of any job.
func (s *Store) lastRevision(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, pulse)
	defer cancel()
	info, err := s.streams[recordsStream].Info(ctx)
	if err != nil {
		return 0, err
	}
	return info.State.LastSeq, nil
}
