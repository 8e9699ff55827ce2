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

// unnamed is how long a file may be in the store before a record names it.
const unnamed = time.Hour

// Sweep forgets jobs that ended before old, and removes the files that no record names.
func (s *Store) Sweep(ctx context.Context, old time.Time) error {
	files, err := s.files.List(ctx) // before the records: what is put meanwhile is not on the list
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := s.List(ctx)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, j := range all {
		if j.Status.Final() && j.Ended.Before(old) {
			if err := s.Delete(ctx, j.ID); err == nil || errors.Is(err, ErrNotFound) {
				continue
			}
		}
		for _, name := range j.objects() {
			named[name] = true
		}
	}
	var errs []error
	for _, f := range files {
		if !named[f.Name] && time.Since(f.ModTime) > unnamed {
			errs = append(errs, s.files.Delete(ctx, f.Name))
		}
	}
	return errors.Join(errs...)
}

// Mend queues jobs again that wait or run and have no message, without which no worker would
// ever take them: a machine that loses its power may lose the last seconds of what was written.
func (s *Store) Mend(ctx context.Context) error {
	all, err := s.List(ctx) // before the messages: what is submitted meanwhile is not on the list
	if err != nil {
		return err
	}
	lives, err := s.lives(ctx)
	if err != nil {
		return err
	}
	for _, j := range all {
		if life, ok := lives[j.ID]; j.Status.Final() || ok && life >= j.Resumed {
			continue
		}
		now, err := s.Get(ctx, j.ID)
		if errors.Is(err, ErrNotFound) || err == nil && now.Status.Final() {
			continue // it ended meanwhile
		}
		if err == nil {
			s.o.Log.Warn("a job was without a message and is queued again", "job", j.ID)
			err = s.publish(ctx, now, fmt.Sprintf("%s-%d-%d", j.ID, now.Resumed, time.Now().UnixNano()))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lives returns the jobs that have messages, and for which of their lives.
func (s *Store) lives(ctx context.Context) (map[ID]int, error) {
	stream, err := s.js.Stream(ctx, streamName)
	if err != nil {
		return nil, err
	}
	found := map[ID]int{}
	for seq := uint64(1); ; {
		msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(jobSubject+".>")) // that one, or the next that there is
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		life, _ := strconv.Atoi(msg.Header.Get(resumedHeader)) // 0 for a job's first
		found[ID(msg.Data)] = max(life, found[ID(msg.Data)])
		seq = msg.Sequence + 1
	}
}

// publish queues a job's message, once for each name.
func (s *Store) publish(ctx context.Context, j Job, name string) error {
	msg := nats.NewMsg(subject(j.Priority, j.Model))
	msg.Data = []byte(j.ID)
	if j.Resumed > 0 {
		msg.Header.Set(resumedHeader, strconv.Itoa(j.Resumed))
	}
	_, err := s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(name))
	return full(err)
}
