package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"

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

// Watch tells of every job that there is, and then of every change, until ctx ends: its
// error is then ctx's. Of changes in quick succession, some may be left out, but never the
// last.
func (s *Store) Watch(ctx context.Context, tell func(Change)) error {
	w, err := s.records.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, ok := <-w.Updates():
			switch {
			case !ok:
				return cmp.Or(ctx.Err(), errors.New("the connection to the jobs was closed"))
			case entry == nil:
				tell(Change{Complete: true})
				continue
			case entry.Operation() != jetstream.KeyValuePut:
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
