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

// Sweep forgets jobs that ended before old, and removes the files that no record names and
// what is left of those that were not put to their end.
func (s *Store) Sweep(ctx context.Context, old time.Time) error {
	files, err := s.files.List(ctx) // before the records: what is put meanwhile is not on the list
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
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
		if named[f.Name] || time.Since(f.ModTime) <= s.o.Unnamed {
			continue
		}
		now, err := s.find(ctx, Object{SHA256: f.Name})
		switch {
		case errors.Is(err, jetstream.ErrObjectNotFound): // another server was faster
		case err != nil:
			errs = append(errs, err)
		case time.Since(now.ModTime) > s.o.Unnamed: // or somebody put it once more
			errs = append(errs, s.files.Delete(ctx, f.Name))
		}
	}
	return errors.Join(append(errs, s.sweepChunks(ctx))...)
}

// sweepChunks removes the chunks of files that are not there: whoever put them was lost.
func (s *Store) sweepChunks(ctx context.Context) error {
	stream := s.streams[filesStream]
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(chunksSubject+">"))
	if err != nil {
		return err
	}
	files, err := s.files.List(ctx) // after the chunks: a file that was put meanwhile has its own
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return err
	}
	for _, f := range files {
		delete(info.State.Subjects, chunksSubject+f.NUID)
	}
	var errs []error
	for subject := range info.State.Subjects {
		first, err := s.message(ctx, filesStream, subject, 1)
		if err == nil && time.Since(first.Time) > s.o.Unnamed {
			errs = append(errs, stream.Purge(ctx, jetstream.WithPurgeSubject(subject)))
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
	found := map[ID]int{}
	err := s.scan(ctx, streamName, jobSubject+".>", func(msg *jetstream.RawStreamMsg) {
		life, _ := strconv.Atoi(msg.Header.Get(resumedHeader)) // 0 for a job's first
		found[ID(msg.Data)] = max(life, found[ID(msg.Data)])
	})
	return found, err
}

// scan tells of every message of a stream that has one of the subjects, in order.
func (s *Store) scan(ctx context.Context, stream, subjects string, tell func(*jetstream.RawStreamMsg)) error {
	for seq := uint64(1); ; {
		msg, err := s.message(ctx, stream, subjects, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		tell(msg)
		seq = msg.Sequence + 1
	}
}

// message returns the message of a subject that has this number, or the next that there is.
func (s *Store) message(ctx context.Context, stream, subject string, seq uint64) (msg *jetstream.RawStreamMsg, err error) {
	err = s.tryFor(ctx, readTime, func(ctx context.Context) (err error) {
		msg, err = s.streams[stream].GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
		return err
	})
	return msg, err
}

// publish queues a job's message, once for each name.
func (s *Store) publish(ctx context.Context, j Job, name string) error {
	msg := nats.NewMsg(subject(j.Priority, j.Model))
	msg.Data = []byte(j.ID)
	if j.Resumed > 0 {
		msg.Header.Set(resumedHeader, strconv.Itoa(j.Resumed))
	}
	return full(s.try(ctx, func(ctx context.Context) error {
		_, err := s.js.PublishMsg(ctx, msg, jetstream.WithMsgID(name))
		return err
	}))
}
