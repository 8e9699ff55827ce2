package hub

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gimbal/inference/engine"
	"gimbal/inference/hub/hubtest"
	"gimbal/inference/output"
)

// small is a model of two repositories, of which the second gives its assets.
func small(t *testing.T) (Model, *hubtest.Hub) {
	t.Helper()
	m, _ := FindModel("lingbot-world-v2-1.3b-causal-fast")
	return m, hubtest.New(map[string]hubtest.Repo{
		m.Sources[0].Repo: {"transformers/diffusion_pytorch_model.safetensors": hubtest.Random(500_000), "LICENSE": []byte("Share alike.")},
		m.Sources[1].Repo: {
			"Wan2.1_VAE.pth": hubtest.Random(300_000), "google/umt5-xxl/spiece.model": hubtest.Random(7_000),
			"transformers/diffusion_pytorch_model.safetensors": hubtest.Random(900_000), "LICENSE": []byte("not of the model"),
		},
	}).Start(t)
}

// TestOffer fetches a model of two repositories as one.
func TestOffer(t *testing.T) {
	m, h := small(t)
	c, err := New(Options{Endpoint: h.URL, Chunk: 100_000, Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Offer(t.Context(), m, "")
	if err != nil || o.Bytes() != 807_012 || o.Licence() != "CC BY-NC-SA 4.0" {
		t.Fatalf("%d bytes under %q, %v", o.Bytes(), o.Licence(), err)
	}
	if text, err := c.LicenceText(t.Context(), o); text != "Share alike." || err != nil {
		t.Errorf("the licence is %q, %v", text, err)
	}
	dir := filepath.Join(t.TempDir(), "new")
	if got := c.Missing(o, dir); got != o.Bytes() {
		t.Errorf("%d bytes are missing of nothing, want %d", got, o.Bytes())
	}
	var last Progress
	if err := c.Fetch(t.Context(), o, dir, func(p Progress) {
		if p.Done < last.Done || p.Total != o.Bytes() {
			t.Errorf("progress %+v after %+v", p, last)
		}
		last = p
	}); err != nil || last.Done != o.Bytes() || last.Came != o.Bytes() || last.Checking {
		t.Fatalf("progress %+v, %v", last, err)
	}
	if got := c.Missing(o, dir); got != 0 {
		t.Errorf("%d bytes are missing of all", got)
	}
	vae := filepath.Join(dir, "Wan2.1_VAE.pth")
	if got, err := os.ReadFile(vae); err != nil || !bytes.Equal(got, h.Repos[m.Sources[1].Repo]["Wan2.1_VAE.pth"]) {
		t.Errorf("the VAE differs, %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "LICENSE")); err != nil || string(text) != "Share alike." {
		t.Errorf("the licence on disk is %q, %v", text, err)
	}
	if err := c.Discard(o, dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(vae); err != nil {
		t.Error("what is complete was discarded")
	}
}

// TestDiscard removes what is unfinished, and nothing else.
func TestDiscard(t *testing.T) {
	m, h := small(t)
	h.Slow(200_000)
	c, err := New(Options{Endpoint: h.URL, Chunk: 100_000, Backoff: time.Millisecond, Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Offer(t.Context(), m, "")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mine := filepath.Join(dir, "letter.part")
	if err := os.WriteFile(mine, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	stop := cancelAt(t, 200_000)
	if err := c.Fetch(stop.ctx, o, dir, stop.progress); err == nil {
		t.Fatal("it was not stopped")
	}
	if got := c.Missing(o, dir); got >= o.Bytes() || got < o.Bytes()-400_000 {
		t.Errorf("%d bytes are missing of %d, of which some 200 kB came", got, o.Bytes())
	}
	if err := c.Discard(o, dir); err != nil {
		t.Fatal(err)
	}
	if got := c.Missing(o, dir); got < o.Bytes()-100 {
		t.Errorf("%d bytes are missing of %d that were discarded", got, o.Bytes())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", "*.part")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error("a file of the user's was removed")
	}
}

// TestMeter measures over the last while what comes, not what was there.
func TestMeter(t *testing.T) {
	var m Meter
	if m.Rate() != 0 || m.Left() != 0 {
		t.Error("it knows something of nothing")
	}
	begun := time.Unix(1, 0)
	at := func(seconds int, came int64) {
		m.Add(begun.Add(time.Duration(seconds)*time.Second), Progress{Done: 1000 + came, Total: 5000, Came: came})
	}
	at(0, 0)
	at(10, 100)
	if m.Rate() != 10 || m.Left() != 390*time.Second {
		t.Errorf("%g bytes a second, %v left", m.Rate(), m.Left())
	}
	at(20, 1100)
	at(30, 2100)
	at(40, 3100)
	if m.Rate() != 100 || m.Left() != 9*time.Second {
		t.Errorf("%g bytes a second, %v left", m.Rate(), m.Left())
	}
	at(80, 3100)
	at(120, 3100)
	if m.Rate() != 0 || m.Left() != 0 {
		t.Errorf("where nothing comes: %g bytes a second, %v left", m.Rate(), m.Left())
	}
}

// TestVariants holds the models to what the engine says of them.
func TestVariants(t *testing.T) {
	for _, m := range Models {
		v, ok := engine.FindVariant(m.Variant)
		if !ok || m.Licence != "" && (m.Licence != v.Licence || m.Title != v.Title) || m.NonCommercial == v.Commercial() {
			t.Errorf("%+v is said to be %+v", m, v)
		}
	}
}

// TestFull tells a person, and keeps what came, where the disk has no room from the start.
func TestFull(t *testing.T) {
	m, h := small(t)
	c, err := New(Options{Endpoint: h.URL})
	if err != nil {
		t.Fatal(err)
	}
	o, err := c.Offer(t.Context(), m, "")
	if err != nil {
		t.Fatal(err)
	}
	o.Listings[1].Files = slices.Clone(o.Listings[1].Files)
	o.Listings[1].Files[0].Size = 1 << 60
	if err := c.Fetch(t.Context(), o, t.TempDir(), quiet); !output.Full(err) || h.Served() > 0 {
		t.Errorf("error %v, and %d bytes came", err, h.Served())
	}
}
