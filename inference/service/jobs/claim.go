package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Claim is a job that this worker has.
type Claim struct {
	Job Job // as it was when it was taken

	s   *Store
	msg jetstream.Msg
}

// idle is how often a worker that has nothing to do looks for jobs that lost theirs.
const idle = time.Second

// longElection is how long a cluster may lack a server that leads before that is worth a word.
const longElection = 15 * time.Second

// Next waits for a job of one of the models, by their fingerprints, and takes it for the
// worker of the given name. Jobs of a higher priority come first. Jobs that it is not able to
// make are left to others; nil for all.
func (s *Store) Next(ctx context.Context, worker string, models []string, able func(*Job) bool) (*Claim, error) {
	wake := make(chan *nats.Msg, 1)
	sub, err := s.nc.ChanSubscribe(newSubject, wake)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe()
	timer := time.NewTicker(idle)
	defer timer.Stop()
	var failing time.Time // since when; zero for not
	for {
		c, err := s.take(ctx, worker, models, able)
		if c != nil || ctx.Err() != nil {
			return c, ctx.Err()
		}
		switch {
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case !away(err) || time.Since(failing) > longElection:
			s.o.Log.Warn("looking for jobs", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		case <-wake:
		}
	}
}

// take takes a job if there is one, else nil.
func (s *Store) take(ctx context.Context, worker string, models []string, able func(*Job) bool) (*Claim, error) {
	for _, priority := range Priorities {
		for _, model := range models {
			msg, err := s.fetch(ctx, priority, model)
			if err != nil {
				return nil, err
			}
			if msg == nil {
				continue
			}
			c := &Claim{s: s, msg: msg}
			c.Job, err = s.claim(ctx, msg, worker, able)
			switch {
			case err == nil:
				return c, nil
			case errors.Is(err, errOthers):
				if err := msg.NakWithDelay(idle); err != nil {
					return nil, err
				}
				continue
			case errors.Is(err, ErrFinal) || errors.Is(err, ErrNotFound) && !fresh(msg):
				return nil, c.ack(ctx)
			}
			return nil, errors.Join(err, msg.NakWithDelay(idle))
		}
	}
	return nil, nil
}

// fresh reports whether a message's record may be on its way.
func fresh(msg jetstream.Msg) bool {
	meta, err := msg.Metadata()
	return err != nil || time.Since(meta.Timestamp) < time.Minute
}

// fetch takes the next message of a subject, nil for none.
func (s *Store) fetch(ctx context.Context, priority Priority, model string) (jetstream.Msg, error) {
	subject := subject(priority, model)
	consumer, err := s.consumer(ctx, subject, fmt.Sprintf("%s-%s", priority, model))
	if err != nil {
		return nil, err
	}
	batch, err := consumer.FetchNoWait(1)
	if err == nil {
		for msg := range batch.Messages() {
			return msg, nil
		}
		err = batch.Error()
	}
	if err != nil { // it may not be there any more
		s.consumers.Delete(subject)
	}
	return nil, err
}

// consumer returns the one that all workers take a subject's messages from. It is made once:
// the server writes it to its disk.
func (s *Store) consumer(ctx context.Context, subject, name string) (jetstream.Consumer, error) {
	if known, ok := s.consumers.Load(subject); ok {
		return known.(jetstream.Consumer), nil
	}
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	c, err := s.js.CreateOrUpdateConsumer(ctx, streamName, jetstream.ConsumerConfig{
		Durable: name, FilterSubject: subject, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.o.Lease, MaxDeliver: -1, MaxAckPending: -1, Replicas: s.o.Replicas,
	})
	if err == nil {
		s.consumers.Store(subject, c)
	}
	return c, err
}

// errOthers says that a job is for other workers, or not yet for anybody.
var errOthers = errors.New("not for this worker")

// claim makes the job of a message the worker's. ErrFinal says that nothing is to be done
// about it.
func (s *Store) claim(ctx context.Context, msg jetstream.Msg, worker string, able func(*Job) bool) (Job, error) {
	life, _ := strconv.Atoi(msg.Headers().Get(resumedHeader)) // 0 for a job's first
	j, err := s.change(ctx, ID(msg.Data()), func(j *Job) error {
		switch {
		case life > j.Resumed && fresh(msg): // Resume is at it
			return errOthers
		case life != j.Resumed || j.Status.Final():
			return ErrFinal
		case !j.Cancel && able != nil && !able(j):
			return errOthers
		}
		if j.Status == Running {
			j.Lost++
		}
		switch {
		case j.Cancel:
			j.end(Cancelled)
		case j.Lost > s.o.MaxLost:
			j.end(Failed)
			j.Failure = j.gaveUp()
		default:
			j.Status, j.Worker, j.Phase, j.Preview, j.Decoded = Running, worker, "", nil, 0
			j.Attempt++
			if j.Started.IsZero() {
				j.Started = time.Now().UTC()
			}
		}
		return nil
	})
	if err == nil && j.Status.Final() {
		err = ErrFinal
	}
	return j, err
}

// Keep keeps the job this worker's until ctx ends. It returns ErrLost when it is another
// one's, and ErrCancelled when its user wants it to end.
func (c *Claim) Keep(ctx context.Context) error {
	watch, err := c.s.records.Watch(ctx, string(c.Job.ID))
	if err != nil {
		return err
	}
	defer watch.Stop()
	look := func(j *Job) error {
		switch {
		case j.Revision < c.Job.Revision: // of a server of a cluster that lags behind
			return nil
		case !c.mine(j):
			return ErrLost
		case j.Cancel:
			return ErrCancelled
		}
		return nil
	}
	beat := time.NewTicker(c.s.o.Lease / 3)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
			if err := c.msg.InProgress(); err != nil {
				c.s.o.Log.Warn("keeping a job", "job", c.Job.ID, "err", err)
			}
			if j, err := c.s.Get(ctx, c.Job.ID); err == nil { // should the watch have missed something
				if err := look(&j); err != nil {
					return err
				}
			}
		case entry, ok := <-watch.Updates():
			if !ok {
				return errors.New("the connection to the jobs was closed")
			}
			if entry == nil {
				continue
			}
			var j Job
			if entry.Operation() != jetstream.KeyValuePut || decode(entry, &j) != nil {
				return ErrLost
			}
			if err := look(&j); err != nil {
				return err
			}
		}
	}
}

// ErrCancelled says that a job's user wants it to end.
var ErrCancelled = errors.New("the job was cancelled")

func (c *Claim) mine(j *Job) bool { return j.Status == Running && j.Attempt == c.Job.Attempt }

// Update changes the job's record, or returns ErrLost.
func (c *Claim) Update(ctx context.Context, edit func(*Job)) error {
	_, err := c.s.change(ctx, c.Job.ID, func(j *Job) error {
		if !c.mine(j) {
			return ErrLost
		}
		step := j.Step
		if edit(j); j.Step > step && !j.Status.Final() {
			j.Lost, j.Failure = 0, nil
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return ErrLost
	}
	return err
}

// End ends the job as done, failed or cancelled.
func (c *Claim) End(ctx context.Context, status Status, edit func(*Job)) error {
	err := c.Update(ctx, func(j *Job) {
		edit(j)
		j.end(status)
	})
	if err != nil { // the message is the other worker's: without it the job would be lost with that one
		return err
	}
	return c.ack(ctx) // or the next one finds that it has ended
}

// ack takes the job's message off the queue.
func (c *Claim) ack(ctx context.Context) error { return c.s.try(ctx, c.msg.DoubleAck) }

// Release gives the job back to the queue, for another worker to go on with. failure is why it
// failed here, which may not be so elsewhere or later; nil if it did not.
func (c *Claim) Release(ctx context.Context, failure *Failure) error {
	err := c.Update(ctx, func(j *Job) {
		if j.Status, j.Worker, j.Remaining = Queued, "", 0; failure != nil {
			j.Lost++
			j.Failure = failure
		}
	})
	if errors.Is(err, ErrLost) {
		return err // so is the message
	}
	if failure != nil {
		return errors.Join(err, c.msg.NakWithDelay(idle))
	}
	return errors.Join(err, c.msg.Nak())
}

// gaveUp says why nobody works on a job any more that lost so many workers.
func (j *Job) gaveUp() *Failure {
	f := &Failure{Text: fmt.Sprintf("%d workers were lost while they worked at step %d", j.Lost, j.Step+1)}
	if j.Worker != "" {
		f.Text += ": the last of them was " + j.Worker
	}
	if last := j.Failure; last != nil {
		f.Text = fmt.Sprintf("%d workers were lost or failed at step %d; the last that said why: %s", j.Lost, j.Step+1, last.Text)
		f.Setting, f.Cause = last.Setting, last.Cause
	}
	return f
}
