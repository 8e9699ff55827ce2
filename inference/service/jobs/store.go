package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Names in JetStream. Subjects of jobs are gimbal.jobs.PRIORITY.MODEL.
const (
	streamName  = "GIMBAL_JOBS"
	recordsName = "gimbal_jobs"
	modelsName  = "gimbal_models"
	filesName   = "gimbal_files"
	jobSubject  = "gimbal.jobs"
	newSubject  = "gimbal.new" // that there is a new job

	// As JetStream calls the streams in which it keeps buckets.
	recordsStream = "KV_" + recordsName
	modelsStream  = "KV_" + modelsName
	filesStream   = "OBJ_" + filesName
)

// Options say how a Store keeps jobs. All processes on one JetStream give the same.
type Options struct {
	// Replicas is on how many servers of a cluster everything is; 0 for one.
	Replicas int
	// MaxBytes limits the object store; 0 for none but the disk's.
	MaxBytes int64
	// Lease is how long a worker may be silent before its job is another one's; 0 for 30 s.
	Lease time.Duration
	// MaxLost is how many workers a job may lose at one step before it fails; 0 for ten.
	MaxLost int
	// Unnamed is how long a file may be in the store before a record names it; 0 for an hour.
	Unnamed time.Duration
	Log     *slog.Logger
}

// Store is the jobs in a JetStream.
type Store struct {
	o       Options
	nc      *nats.Conn
	js      jetstream.JetStream
	records jetstream.KeyValue
	models  jetstream.KeyValue
	files   jetstream.ObjectStore
	streams map[string]jetstream.Stream // in which all of them are, by name

	consumers sync.Map // jetstream.Consumer by subject
}

// Open opens the jobs behind a connection, and makes room for them at the first time.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Store, error) {
	o.Replicas = max(o.Replicas, 1)
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.MaxLost == 0 {
		o.MaxLost = 10
	}
	if o.Unnamed == 0 {
		o.Unnamed = time.Hour
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	s := &Store{o: o, nc: nc, js: js, streams: map[string]jetstream.Stream{}}
	for _, room := range []struct {
		what, stream string
		make         func(context.Context) error
	}{
		{"the stream of jobs", streamName, func(ctx context.Context) error {
			_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
				Name: streamName, Subjects: []string{jobSubject + ".>"}, Retention: jetstream.WorkQueuePolicy,
				Storage: jetstream.FileStorage, Replicas: o.Replicas, Discard: jetstream.DiscardNew,
			})
			return err
		}},
		{"the records of jobs", recordsStream, func(ctx context.Context) (err error) {
			s.records, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: recordsName, Replicas: o.Replicas, Storage: jetstream.FileStorage})
			return err
		}},
		{"the list of models", modelsStream, func(ctx context.Context) (err error) {
			s.models, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: modelsName, Replicas: o.Replicas, Storage: jetstream.FileStorage, TTL: modelLease})
			return err
		}},
		{"the store of files", filesStream, func(ctx context.Context) (err error) {
			s.files, err = js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
				Bucket: filesName, Replicas: o.Replicas, Storage: jetstream.FileStorage, MaxBytes: o.MaxBytes,
			})
			return err
		}},
	} {
		// A cluster takes its time to find itself, and to write all of it.
		err := s.tryFor(ctx, 3*tryTime, func(ctx context.Context) (err error) {
			if err = room.make(ctx); err == nil {
				s.streams[room.stream], err = js.Stream(ctx, room.stream)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", room.what, err)
		}
	}
	return s, nil
}

// Submit queues a job whose Inputs are in the store, and returns its record. Of the record
// given, what only a worker knows is not used.
func (s *Store) Submit(ctx context.Context, j Job) (Job, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, err
	}
	if j.Priority == "" {
		j.Priority = Normal
	}
	j = Job{
		ID: ID(id.String()), User: j.User, Priority: j.Priority, Model: j.Model, Name: j.Name, Inputs: j.Inputs, Settings: j.Settings, LoRAs: j.LoRAs, KeepFrames: j.KeepFrames,
		Created: time.Now().UTC(), Status: Queued, Steps: j.Settings.Steps,
	}
	text, err := json.Marshal(j)
	if err != nil {
		return Job{}, err
	}
	// The message first: one without a record is thrown away, a record without one would wait for ever.
	if err = s.publish(ctx, j, string(j.ID)); err != nil {
		return Job{}, err
	}
	err = s.try(ctx, func(ctx context.Context) (err error) {
		j.Revision, err = s.records.Create(ctx, string(j.ID), text)
		return err
	})
	if err != nil && !errors.Is(err, jetstream.ErrKeyExists) { // by a try whose answer was lost
		return Job{}, full(err)
	}
	return j, s.nc.Publish(newSubject, nil)
}

// resumedHeader says for which of a job's lives a message is.
const resumedHeader = "Gimbal-Resumed"

// Resume queues a job that was cancelled or failed once more: it goes on at its last saved
// step. ErrRunning says that it has not ended, ErrDone that it is done.
func (s *Store) Resume(ctx context.Context, id ID) (Job, error) {
	j, err := s.Get(ctx, id)
	if err != nil {
		return j, err
	}
	if err := j.resume(); err != nil {
		return j, err
	}
	// The message first, as in Submit: before its life begins, nobody takes it.
	life := j.Resumed
	if err := s.publish(ctx, j, fmt.Sprintf("%s-%d", id, life)); err != nil {
		return j, err
	}
	j, err = s.change(ctx, id, func(j *Job) error {
		if j.Resumed >= life {
			return nil // somebody else was faster
		}
		return j.resume()
	})
	if err != nil {
		return j, err
	}
	return j, s.nc.Publish(newSubject, nil)
}

// resume begins another life of a job that ended without a video.
func (j *Job) resume() error {
	switch {
	case j.Status == Done:
		return ErrDone
	case !j.Status.Final():
		return ErrRunning
	}
	j.Status, j.Cancel, j.Lost, j.Failure, j.Worker, j.Ended, j.Phase = Queued, false, 0, nil, "", time.Time{}, ""
	j.Resumed++
	return nil
}

func subject(p Priority, model string) string { return fmt.Sprintf("%s.%s.%s", jobSubject, p, model) }

// Get returns a job's record, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id ID) (Job, error) {
	j, _, err := s.get(ctx, id)
	return j, err
}

func (s *Store) get(ctx context.Context, id ID) (j Job, revision uint64, err error) {
	var entry jetstream.KeyValueEntry
	err = s.tryFor(ctx, readTime, func(ctx context.Context) (err error) {
		entry, err = s.records.Get(ctx, string(id))
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return j, 0, ErrNotFound
	}
	if err != nil {
		return j, 0, err
	}
	return j, entry.Revision(), decode(entry, &j)
}

func decode(entry jetstream.KeyValueEntry, j *Job) error {
	if err := json.Unmarshal(entry.Value(), j); err != nil {
		return fmt.Errorf("the record of job %s: %w", entry.Key(), err)
	}
	j.Revision = entry.Revision()
	return nil
}

// change changes a job's record on the revision that it read, and returns it. An error of
// edit ends it.
func (s *Store) change(ctx context.Context, id ID, edit func(*Job) error) (Job, error) {
	for {
		j, revision, err := s.get(ctx, id)
		if err == nil {
			err = edit(&j)
		}
		if err != nil {
			return j, err
		}
		text, err := json.Marshal(j)
		if err != nil {
			return j, err
		}
		err = s.try(ctx, func(ctx context.Context) (err error) {
			j.Revision, err = s.records.Update(ctx, string(id), text, revision)
			return err
		})
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) { // or somebody was faster
			return j, full(err)
		}
	}
}

// Cancel ends a job: at once where it waits, soon where a worker is at it. ErrFinal says that
// it has ended already.
func (s *Store) Cancel(ctx context.Context, id ID) (Job, error) {
	return s.change(ctx, id, func(j *Job) error {
		if j.Status.Final() {
			return ErrFinal
		}
		if j.Cancel = true; j.Status == Queued {
			j.end(Cancelled)
		}
		return nil
	})
}

// end ends a job.
func (j *Job) end(status Status) {
	j.Status, j.Ended, j.Remaining = status, time.Now().UTC(), 0
	if j.Preview = nil; status == Done { // others may be resumed
		j.State = nil
	}
	if status != Failed {
		j.Failure = nil
	}
}

// Delete forgets a job that has ended, or ErrRunning.
func (s *Store) Delete(ctx context.Context, id ID) error {
	for tried := false; ; tried = true {
		j, revision, err := s.get(ctx, id)
		if errors.Is(err, ErrNotFound) && tried {
			return nil
		}
		if err == nil && !j.Status.Final() {
			err = ErrRunning
		}
		if err != nil {
			return err
		}
		err = s.try(ctx, func(ctx context.Context) error {
			return s.records.Purge(ctx, string(id), jetstream.LastRevision(revision))
		})
		if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) { // or it changed, or a try's answer was lost
			return err
		}
	}
}

// full turns JetStream's ways to say that there is no room into ErrFull.
func full(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == errAccount || api.ErrorCode == errResources || api.ErrorCode == errStorage || api.ErrorCode == errStreamFull) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

// Error codes of the NATS server (server/errors.json).
const (
	errAccount     = 10002 // resource limits exceeded for account
	errNoPeers     = 10005 // no suitable peers for placement: they are not there yet
	errUnavailable = 10008 // JetStream system temporarily unavailable
	errResources   = 10023 // insufficient resources
	errStorage     = 10047 // insufficient storage resources available
	errStreamFull  = 10077 // maximum bytes exceeded
	errOffline     = 10118 // stream is offline
	errNotReady    = 10163 // expected last sequence per subject temporarily unavailable
)
