package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gimbal/inference"
	"gimbal/inference/service/broker"
)

// message is a jetstream.Msg of any contents.
type message struct {
	jetstream.Msg
	data   []byte
	header nats.Header
}

func (m message) Data() []byte         { return m.data }
func (m message) Headers() nats.Header { return m.header }

func (m message) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Timestamp: time.Now()}, nil
}

// FuzzClaim takes jobs by any messages, with any records: nothing panics, what is claimed
// runs, and what is not stays as it was.
func FuzzClaim(f *testing.F) {
	b, err := broker.Start(broker.Options{Dir: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(b.Stop)
	nc, err := b.Connect()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(nc.Close)
	s, err := Open(context.Background(), nc, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	const id = "0193-a"
	text, err := json.Marshal(Job{ID: id, Status: Queued, Settings: inference.DefaultJob()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(id), "", text)
	f.Add([]byte(id), "1", []byte(`{"status": "cancelled", "resumed": 1}`))
	f.Add([]byte(id), "x", []byte(`{"status": "running", "lost": 99, "attempt": -1}`))
	f.Add([]byte("*"), "-1", []byte(`{"status": "queued", "cancel": true}`))
	f.Add([]byte("a.>"), "", []byte("{"))
	f.Fuzz(func(t *testing.T, data []byte, life string, record []byte) {
		if len(record) > 1<<16 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := s.records.Put(ctx, id, record); err != nil {
			t.Fatal(err)
		}
		before, _ := s.Get(ctx, id)
		msg := message{data: data, header: nats.Header{resumedHeader: {life}}}
		j, err := s.claim(ctx, msg, "w", func(j *Job) bool { return len(j.LoRAs) == 0 })
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		now, errNow := s.Get(ctx, id)
		switch {
		case err == nil && (j.Status != Running || j.Worker != "w" || errNow != nil || now.Attempt != j.Attempt):
			t.Errorf("claimed: %+v, the record is %+v, %v", j, now, errNow)
		case errors.Is(err, errOthers) && now.Attempt != before.Attempt:
			t.Errorf("left to others: %+v, before %+v", now, before)
		}
	})
}
