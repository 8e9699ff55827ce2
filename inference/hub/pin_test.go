package hub

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/inference/hub/hubtest"
)

// TestBegun moves the hub on to another commit between two sessions of a download: the second
// goes on at the first's, and says so if that is gone.
func TestBegun(t *testing.T) {
	for _, gone := range []bool{false, true} {
		m, h := small(t)
		c, err := New(Options{Endpoint: h.URL, Chunk: 100_000, Parallel: 1, Backoff: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		offer := func() Offer {
			o, err := c.Offer(t.Context(), m, "")
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		ctx, cancel := context.WithCancel(t.Context())
		h.Answer(func(_ http.ResponseWriter, r *http.Request, n int) bool {
			if n == 4 { // within the first repository's weights
				cancel()
				<-r.Context().Done()
			}
			return n == 4
		})
		dir := t.TempDir()
		if err := c.Fetch(ctx, offer(), dir, quiet); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		h.Answer(nil)
		const weights = "transformers/diffusion_pytorch_model.safetensors"
		own, before := m.Sources[0].Repo, h.Repos
		h.Head, h.Repos = strings.Repeat("b", 40), maps.Clone(before)
		h.Repos[own] = hubtest.Repo{weights: hubtest.Random(400_000), "LICENSE": []byte("Another.")}
		if !gone {
			h.Old = map[string]map[string]hubtest.Repo{hubtest.Commit: before}
		}
		want, err := before[own][weights], c.Fetch(t.Context(), offer(), dir, quiet)
		if gone {
			var e *GoneError
			if !errors.As(err, &e) || e.Commit != hubtest.Commit || e.Repo != own {
				t.Fatalf("a download whose commit is gone gives %v", err)
			}
			if newest, err := c.Offer(t.Context(), m, "main"); err != nil || newest.Listings[0].Commit != h.Head {
				t.Fatal(err)
			} else if same, err := c.Begun(t.Context(), newest, dir); err != nil || same.Listings[0].Commit != h.Head {
				t.Errorf("a revision that is asked for is not taken: %v", err)
			}
			if err := c.Discard(offer(), dir); err != nil {
				t.Fatal(err)
			}
			os.Remove(filepath.Join(dir, "LICENSE")) // which was complete, and is another
			want, err = h.Repos[own][weights], c.Fetch(t.Context(), offer(), dir, quiet)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, weights)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("gone %v: %d bytes, want %d; %v", gone, len(got), len(want), err)
		}
		if pins, _ := filepath.Glob(filepath.Join(dir, cacheFolder, "*.commit")); len(pins) > 0 {
			t.Errorf("left %v", pins)
		}
	}
}
