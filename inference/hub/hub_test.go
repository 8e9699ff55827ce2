package hub

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/hub/hubtest"
	"gimbal/inference/weights"
)

const (
	commit = hubtest.Commit
	repo   = "robbyant/lingbot-world-base-cam"
	token  = hubtest.Token
)

// fakeHub is a hub with one repository.
type fakeHub struct {
	*hubtest.Hub
	files hubtest.Repo
}

func newFakeHub(t *testing.T) *fakeHub {
	files := hubtest.Repo{
		"high_noise_model/diffusion_pytorch_model.safetensors": hubtest.Random(1_000_000), "low_noise_model/diffusion_pytorch_model.safetensors": hubtest.Random(700_001),
		"high_noise_model/config.json": []byte(`{"dim": 1}`), "google/umt5-xxl/spiece.model": hubtest.Random(30_000), "empty.txt": {}, "a file #1?.json": []byte("{}"),
		".gitattributes": []byte("x"), "assets/teaser.png": hubtest.Random(99),
	}
	return &fakeHub{hubtest.New(map[string]hubtest.Repo{repo: files}).Start(t), files}
}

func (h *fakeHub) client(t *testing.T, change ...func(*Options)) *Client {
	t.Helper()
	o := Options{Endpoint: h.URL + "/", Chunk: 100_000, Backoff: time.Millisecond, Idle: 5 * time.Second, Token: token}
	for _, f := range change {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h *fakeHub) listing(t *testing.T, c *Client, s Source) Listing {
	t.Helper()
	l, err := c.List(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// check holds a folder to what the hub has, and to nothing else but notes.
func (h *fakeHub) check(t *testing.T, dir string) {
	t.Helper()
	found := 0
	filepath.WalkDir(dir, func(path string, d os.DirEntry, walk error) error {
		rel, _ := filepath.Rel(dir, path)
		if walk != nil || d.IsDir() || strings.HasPrefix(rel, ".cache") {
			return walk
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(data, h.files[filepath.ToSlash(rel)]) {
			t.Errorf("%s differs from the hub's, %v", rel, err)
		}
		found++
		return nil
	})
	if found != len(h.files)-2 {
		t.Errorf("%d files, want %d", found, len(h.files)-2)
	}
	if chunks, _ := filepath.Glob(filepath.Join(dir, cacheFolder, "*", "*.chunks")); len(chunks) > 0 {
		t.Errorf("left %v", chunks)
	}
	for _, what := range h.Noted() {
		t.Error(what)
	}
}

func quiet(Progress) {}

func TestGet(t *testing.T) {
	h := newFakeHub(t)
	c := h.client(t)
	l := h.listing(t, c, Source{Repo: repo})
	if l.Commit != commit || l.Licence != "apache-2.0" || l.Bytes() != 1_730_013 {
		t.Errorf("listed %s %s, %d bytes", l.Commit, l.Licence, l.Bytes())
	}
	dir := filepath.Join(t.TempDir(), "models", "new")
	var mu sync.Mutex
	last := int64(-1)
	err := c.Get(t.Context(), l, dir, func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Done < last || p.Done > p.Total || p.Total != l.Bytes() || p.Came > p.Done || p.Checking && p.Came > 0 {
			t.Errorf("progress %+v after %d", p, last)
		}
		last = p.Done
	})
	if err != nil || last != l.Bytes() {
		t.Fatalf("%d bytes of %d: %v", last, l.Bytes(), err)
	}
	h.check(t, dir)
	if got := weights.HubHash(filepath.Join(dir, "high_noise_model/diffusion_pytorch_model.safetensors")); len(got) != 64 {
		t.Errorf("inspect --full does not find the hash: %q", got)
	}
	before := h.Served()
	if err := c.Get(t.Context(), l, dir, quiet); err != nil || h.Served() != before {
		t.Errorf("a second time: %v, %d bytes more", err, h.Served()-before)
	}
}

// TestPart takes some of a repository to a folder of the model's.
func TestPart(t *testing.T) {
	h := newFakeHub(t)
	c := h.client(t)
	dir := t.TempDir()
	l := h.listing(t, c, Source{Repo: repo, Into: "x", Only: []string{"google/"}})
	if err := c.Get(t.Context(), l, dir, quiet); err != nil || len(l.Files) != 1 {
		t.Fatal(l.Files, err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "x", "google", "umt5-xxl", "spiece.model")); err != nil || !bytes.Equal(got, h.files["google/umt5-xxl/spiece.model"]) {
		t.Errorf("differs, %v", err)
	}
}

// TestFaults fetches over a network that does all that networks do.
func TestFaults(t *testing.T) {
	for name, fault := range map[string]func(h *fakeHub) hubtest.Fault{
		"throttled": func(*fakeHub) hubtest.Fault {
			return func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n%3 == 0 {
					w.Header().Set("Retry-After", "0")
					http.Error(w, "slow down", http.StatusTooManyRequests)
				}
				return n%3 == 0
			}
		},
		"errors of the server": func(*fakeHub) hubtest.Fault {
			return func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n%2 == 0 {
					http.Error(w, "oh", http.StatusBadGateway)
				}
				return n%2 == 0
			}
		},
		"cut short": func(h *fakeHub) hubtest.Fault {
			return func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n%2 == 1 || !hubtest.Large(r.URL.Path) {
					return false
				}
				data := h.files[strings.TrimPrefix(r.URL.Path, "/blobs/"+commit+"/"+repo+"/")]
				var first, last int
				fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
				w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(data)))
				w.Header().Set("Content-Length", fmt.Sprint(last-first+1))
				w.WriteHeader(http.StatusPartialContent)
				w.Write(data[first : first+(last-first+1)/2])
				panic(http.ErrAbortHandler)
			}
		},
		"no ranges": func(h *fakeHub) hubtest.Fault {
			return func(w http.ResponseWriter, r *http.Request, n int) bool {
				if !hubtest.Large(r.URL.Path) {
					return false
				}
				w.Write(h.files[strings.TrimPrefix(r.URL.Path, "/blobs/"+commit+"/"+repo+"/")])
				return true
			}
		},
		"stalled": func(*fakeHub) hubtest.Fault {
			return func(w http.ResponseWriter, r *http.Request, n int) bool {
				if n%5 == 0 {
					<-r.Context().Done()
				}
				return n%5 == 0
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newFakeHub(t)
			h.Answer(fault(h))
			c := h.client(t, func(o *Options) { o.Idle = 200 * time.Millisecond })
			dir := t.TempDir()
			if err := c.Get(t.Context(), h.listing(t, c, Source{Repo: repo}), dir, quiet); err != nil {
				t.Fatal(err)
			}
			h.check(t, dir)
		})
	}
}

// TestResume ends at any place and goes on there, without what is there coming once more.
func TestResume(t *testing.T) {
	h := newFakeHub(t)
	c := h.client(t, func(o *Options) { o.Parallel = 2 })
	l := h.listing(t, c, Source{Repo: repo})
	dir := t.TempDir()
	for stop := 1; stop < 18; stop += 4 {
		ctx, cancel := context.WithCancel(t.Context())
		h.Answer(func(_ http.ResponseWriter, r *http.Request, n int) bool {
			if n == stop {
				cancel()
				<-r.Context().Done()
			}
			return n == stop
		})
		if err := c.Get(ctx, l, dir, quiet); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		cancel()
	}
	h.Answer(nil)
	// A program that is killed may leave a line half written, and the last chunk's bytes unsure.
	lists, _ := filepath.Glob(filepath.Join(dir, cacheFolder, "*", "*.chunks"))
	for _, path := range lists {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("1")
		f.Close()
	}
	if err := c.Get(t.Context(), l, dir, quiet); err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	if most := l.Bytes() + 12*c.o.Chunk; h.Served() > most {
		t.Errorf("%d bytes came for %d, want at most %d", h.Served(), l.Bytes(), most)
	}
}

func TestRefusals(t *testing.T) {
	h := newFakeHub(t)
	none := func(o *Options) { o.Token = "" }

	var access *AccessError
	if _, err := h.client(t).List(t.Context(), Source{Repo: "nobody/nothing"}, ""); !errors.As(err, &access) || access.Gated || !strings.Contains(err.Error(), "HF_TOKEN does not give access") {
		t.Errorf("a model that is not there: %v", err)
	}
	h.Gated = true
	if _, err := h.client(t, none).List(t.Context(), Source{Repo: repo}, ""); !errors.As(err, &access) || !access.Gated || !strings.Contains(err.Error(), h.URL+"/"+repo) {
		t.Errorf("a gated one: %v", err)
	}
	c := h.client(t)
	l := h.listing(t, c, Source{Repo: repo})
	h.Gated = false

	t.Run("wrong hash", func(t *testing.T) {
		dir := t.TempDir()
		wrong := l
		wrong.Files = slices.Clone(l.Files)
		i := slices.IndexFunc(wrong.Files, func(f File) bool { return f.SHA256 != "" })
		wrong.Files[i].SHA256 = strings.Repeat("0", 64)
		var hash *HashError
		if err := c.Get(t.Context(), wrong, dir, quiet); !errors.As(err, &hash) {
			t.Errorf("error %v", err)
		}
		for _, suffix := range []string{"", ".part"} {
			if _, err := os.Stat(filepath.Join(dir, wrong.Files[i].Path) + suffix); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("there is %s%s, %v", wrong.Files[i].Path, suffix, err)
			}
		}
		if err := c.Get(t.Context(), l, dir, quiet); err != nil {
			t.Fatal(err)
		}
		h.check(t, dir)
	})
	t.Run("another file", func(t *testing.T) {
		for _, text := range []string{`{"dim": 2}`, "a letter"} {
			dir := t.TempDir()
			path := filepath.Join(dir, "high_noise_model", "config.json")
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
				t.Fatal(err)
			}
			var other *OtherFileError
			if err := c.Get(t.Context(), l, dir, quiet); !errors.As(err, &other) || other.Path != path {
				t.Errorf("error %v", err)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != text {
				t.Errorf("the file holds %q, %v", got, err)
			}
		}
	})
	t.Run("no room", func(t *testing.T) {
		huge := l
		huge.Files = []File{{Path: "huge.bin", Size: 1 << 60, SHA256: strings.Repeat("0", 64)}}
		var disk *inference.DiskError
		big := h.client(t, func(o *Options) { o.Chunk = 1 << 50 })
		if err := big.Get(t.Context(), huge, t.TempDir(), quiet); !errors.As(err, &disk) && err == nil {
			t.Errorf("error %v", err)
		}
	})
	t.Run("two at a time", func(t *testing.T) {
		dir := t.TempDir()
		g := &getting{c: c, l: l, root: dir}
		unlock, err := g.lock()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), l, dir, quiet); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("error %v", err)
		}
		unlock()
	})
	t.Run("a page in between", func(t *testing.T) {
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>Log in to this network</html>") }))
		defer page.Close()
		if _, err := h.client(t, func(o *Options) { o.Endpoint = page.URL }).List(t.Context(), Source{Repo: repo}, ""); err == nil || !strings.Contains(err.Error(), "log-in page") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		gone := httptest.NewServer(nil)
		gone.Close()
		var network *NetworkError
		if _, err := h.client(t, func(o *Options) { o.Endpoint = gone.URL }).List(t.Context(), Source{Repo: repo}, ""); !errors.As(err, &network) || network.Tries != mostTries {
			t.Errorf("error %v", err)
		}
	})
	t.Run("paths out of the folder", func(t *testing.T) {
		for _, bad := range []string{"../x", "/etc/passwd", "a/../../x", "a\\..\\x", "", "a//b"} {
			if err := (File{Path: bad, Blob: commit}).check(); err == nil {
				t.Errorf("took %q", bad)
			}
		}
	})
}

// TestCache uses what Hugging Face's programs have, without a copy, if its hash is right.
func TestCache(t *testing.T) {
	h := newFakeHub(t)
	cache := t.TempDir()
	c := h.client(t, func(o *Options) { o.Cache = cache })
	l := h.listing(t, c, Source{Repo: repo})
	blobs := filepath.Join(cache, "models--robbyant--lingbot-world-base-cam", "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range l.Files {
		data := slices.Clone(h.files[f.Path])
		if strings.HasPrefix(f.Path, "low_noise_model/d") {
			data[5]++ // damaged there
		}
		if err := os.WriteFile(filepath.Join(blobs, f.etag()), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := c.Get(t.Context(), l, dir, quiet); err != nil {
		t.Fatal(err)
	}
	h.check(t, dir)
	if got, want := h.Served(), int64(len(h.files["low_noise_model/diffusion_pytorch_model.safetensors"])); got != want {
		t.Errorf("%d bytes came, want the %d of the file that is damaged in the cache", got, want)
	}
}

func TestFromEnvironment(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HF_HOME", home)
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if o := FromEnvironment(); o.Token != "hf_kept" || o.Cache != filepath.Join(home, "hub") || o.Endpoint != "" {
		t.Errorf("%+v", o)
	}
	t.Setenv("HF_TOKEN", "hf_set")
	t.Setenv("HF_ENDPOINT", "https://hf-mirror.com/")
	c, err := New(FromEnvironment())
	if err != nil || c.o.Token != "hf_set" || c.Page("a/b") != "https://hf-mirror.com/a/b" {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := New(Options{Endpoint: "hf-mirror.com"}); err == nil {
		t.Error("took an address without http")
	}
}

func TestModels(t *testing.T) {
	names := map[string]bool{}
	for _, m := range Models {
		if names[m.Name] || len(m.Sources) == 0 || m.NonCommercial != strings.Contains(m.Licence, "NC") {
			t.Errorf("%+v", m)
		}
		names[m.Name] = true
	}
	if m, ok := FindModel("LingBot-World-Fast"); !ok || len(m.Sources) != 2 || m.Sources[0].Into != "lingbot_world_fast" {
		t.Errorf("%+v, %v", m, ok)
	}
	if m, ok := FindModel("someone/some.model-1"); !ok || m.Name != "some.model-1" || m.Sources[0].Repo != "someone/some.model-1" {
		t.Errorf("%+v, %v", m, ok)
	}
	for _, bad := range []string{"", "nothing", "a/", "/b", "a/b/c", "a/b?x", "https://x/y"} {
		if m, ok := FindModel(bad); ok {
			t.Errorf("%q is %+v", bad, m)
		}
	}
}

// stopper ends a fetch when so many bytes came.
type stopper struct {
	ctx    context.Context
	cancel func()
	at     int64
}

func cancelAt(t *testing.T, bytes int64) *stopper {
	ctx, cancel := context.WithCancel(t.Context())
	return &stopper{ctx, cancel, bytes}
}

func (s *stopper) progress(p Progress) {
	if p.Came >= s.at {
		s.cancel()
	}
}
