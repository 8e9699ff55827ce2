package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"gimbal/inference"
)

// Model is a checkpoint that a worker has.
type Model struct {
	Name        string           `json:"name"`
	Fingerprint string           `json:"fingerprint"`
	HasCamera   bool             `json:"has_camera"`
	ReadsKeys   bool             `json:"reads_keys,omitempty"` // it is told keys: an act checkpoint
	Variant     string           `json:"variant,omitempty"`    // name of the one of the family that it is
	Parts       []inference.Part `json:"parts,omitempty"`
	// LoRAs are the fingerprints of those that the worker has, by their names.
	LoRAs  map[string]string `json:"loras,omitempty"`
	Recipe inference.Recipe  `json:"recipe"`
	Worker string            `json:"worker"`
	Device string            `json:"device"`
	Memory int64             `json:"memory"` // bytes that a run may use; 0 if not known
}

// modelLease is how long a model is on the list after its worker told of it.
const modelLease = 30 * time.Second

// Announce puts a worker's models on the list of those that can be asked for, until ctx ends.
func (s *Store) Announce(ctx context.Context, models []Model) {
	tick := time.NewTicker(modelLease / 3)
	defer tick.Stop()
	for {
		for _, m := range models {
			text, err := json.Marshal(m)
			if err == nil {
				err = s.try(ctx, func(ctx context.Context) error {
					_, err := s.models.Put(ctx, key(m), text)
					return err
				})
			}
			if err != nil && ctx.Err() == nil {
				s.o.Log.Warn("telling which models are here", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			for _, m := range models {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
				s.models.Purge(ctx, key(m)) // or it is off the list when its lease ends
				cancel()
			}
			return
		case <-tick.C:
		}
	}
}

func key(m Model) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, m.Worker) + "." + m.Fingerprint
}

// Models returns the models that workers have now, by name.
func (s *Store) Models(ctx context.Context) ([]Model, error) {
	var all []Model
	err := s.scan(ctx, modelsStream, "$KV."+modelsName+".>", func(msg *jetstream.RawStreamMsg) {
		var m Model
		if json.Unmarshal(msg.Data, &m) == nil { // nothing, of one that was taken off the list
			all = append(all, m)
		}
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Model) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Worker, b.Worker))
	})
	return all, nil
}
