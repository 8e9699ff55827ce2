// Package hubtest plays Hugging Face's hub for tests: lists in pages, redirects of large files to
// another host, ranges, and all that goes wrong.
package hubtest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// Commit is that of every repository, unless Head says otherwise.
	Commit = "0123456789abcdef0123456789abcdef01234567"
	// Token gives access to what is gated.
	Token = "hf_secret"
)

// Repo is a repository's files, by their names.
type Repo map[string][]byte

// Fault answers a request for a file in place of the hub, or reports that it does not; n counts
// the requests.
type Fault func(w http.ResponseWriter, r *http.Request, n int) bool

// Hub is a hub. What it holds may be changed before it is asked.
type Hub struct {
	URL   string // of the hub; set by Start and Client
	Repos map[string]Repo
	Head  string                     // the commit at which Repos are; "" for Commit
	Old   map[string]map[string]Repo // what there was before, by commit
	Gated bool

	store string // address to which large files are redirected

	mu     sync.Mutex
	served map[string]int64 // bytes of files
	asked  int              // requests for files
	fault  Fault
	rate   int      // bytes of a second that one request gets; 0 for all there are
	noted  []string // what should not be
}

// New returns a hub that nobody can ask yet.
func New(repos map[string]Repo) *Hub { return &Hub{Repos: repos, served: map[string]int64{}} }

// Start lets the hub be asked at h.URL until the test ends.
func (h *Hub) Start(t testing.TB) *Hub {
	hub, store := httptest.NewServer(h), httptest.NewServer(http.HandlerFunc(h.serveStored))
	h.URL, h.store = hub.URL, store.URL
	t.Cleanup(hub.Close)
	t.Cleanup(store.Close)
	return h
}

// Random returns n bytes, always the same.
func Random(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rnd.Uint32())
	}
	return data
}

// Answer sets what answers requests for files from now on; nil for the hub.
func (h *Hub) Answer(fault Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked, h.fault = 0, fault
}

// Slow lets a request get so many bytes of a second; 0 for all there are.
func (h *Hub) Slow(rate int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rate = rate
}

// Noted returns what should not have happened.
func (h *Hub) Noted() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.noted)
}

// Served returns how many bytes of files were sent.
func (h *Hub) Served() (sum int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, n := range h.served {
		sum += n
	}
	return sum
}

// Large reports whether a file is among the large ones, which have a SHA-256.
func Large(name string) bool {
	return strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, ".pth")
}

// ServeHTTP implements http.Handler.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.Gated && r.Header.Get("Authorization") != "Bearer "+Token {
		w.Header().Set("X-Error-Code", "GatedRepo")
		http.Error(w, "Access to model is restricted", http.StatusUnauthorized)
		return
	}
	for commit, repos := range h.commits() {
		for name, repo := range repos {
			if rest, ok := strings.CutPrefix(r.URL.Path, "/"+name+"/resolve/"+commit+"/"); ok {
				if Large(rest) {
					http.Redirect(w, r, h.store+"/blobs/"+commit+"/"+name+"/"+rest, http.StatusFound)
					return
				}
				h.file(w, r, repo, rest)
				return
			}
			switch api := "/api/models/" + name; {
			case r.URL.Path == api+"/revision/"+commit, r.URL.Path == api+"/revision/main" && commit == cmp.Or(h.Head, Commit):
				fmt.Fprintf(w, `{"sha": %q, "cardData": {"license": "apache-2.0"}}`, commit)
				return
			case r.URL.Path == api+"/tree/"+commit:
				h.list(w, r, repo)
				return
			}
		}
	}
	w.Header().Set("X-Error-Code", "RepoNotFound")
	http.Error(w, "Repository not found", http.StatusUnauthorized)
}

// commits returns the repositories at every commit.
func (h *Hub) commits() map[string]map[string]Repo {
	all := maps.Clone(h.Old)
	if all == nil {
		all = map[string]map[string]Repo{}
	}
	all[cmp.Or(h.Head, Commit)] = h.Repos
	return all
}

// list lists the files in pages of three.
func (h *Hub) list(w http.ResponseWriter, r *http.Request, repo Repo) {
	var names []string
	for name := range repo {
		names = append(names, name)
	}
	slices.Sort(names)
	var page []map[string]any
	from := 0
	fmt.Sscan(r.URL.Query().Get("cursor"), &from)
	for _, name := range names[from:min(from+3, len(names))] {
		data := repo[name]
		entry := map[string]any{"type": "file", "path": name, "size": len(data), "oid": blobOf(data)}
		if Large(name) {
			sum := sha256.Sum256(data)
			entry["lfs"] = map[string]any{"oid": hex.EncodeToString(sum[:]), "size": len(data), "pointerSize": 130}
			entry["oid"] = blobOf([]byte("pointer"))
		}
		page = append(page, entry)
	}
	page = append(page, map[string]any{"type": "directory", "path": "google", "size": 0, "oid": Commit})
	if from+3 < len(names) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, h.URL, r.URL.Path, from+3))
	}
	json.NewEncoder(w).Encode(page)
}

// blobOf is git's name of contents.
func blobOf(data []byte) string {
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(sum[:])
}

func (h *Hub) serveStored(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		h.mu.Lock()
		h.noted = append(h.noted, "the token went to another host")
		h.mu.Unlock()
	}
	for commit, repos := range h.commits() {
		for name, repo := range repos {
			if rest, ok := strings.CutPrefix(r.URL.Path, "/blobs/"+commit+"/"+name+"/"); ok {
				h.file(w, r, repo, rest)
				return
			}
		}
	}
	http.NotFound(w, r)
}

func (h *Hub) file(w http.ResponseWriter, r *http.Request, repo Repo, name string) {
	h.mu.Lock()
	h.asked++
	n, fault, rate := h.asked, h.fault, h.rate
	h.mu.Unlock()
	if fault != nil && fault(w, r, n) {
		return
	}
	http.ServeContent(&counter{w, r.Context(), h, name, rate}, r, name, time.Time{}, bytes.NewReader(repo[name]))
}

// counter counts what is sent of a file, and sends it no faster than its rate.
type counter struct {
	http.ResponseWriter
	ctx  context.Context // of the request
	h    *Hub
	name string
	rate int
}

func (c *counter) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		piece := p[n:]
		if c.rate > 0 {
			piece = piece[:min(len(piece), max(1, c.rate/20))]
			select {
			case <-c.ctx.Done():
				return n, c.ctx.Err()
			case <-time.After(time.Duration(len(piece)) * time.Second / time.Duration(c.rate)):
			}
		}
		var some int
		some, err = c.ResponseWriter.Write(piece)
		if f, ok := c.ResponseWriter.(http.Flusher); ok && c.rate > 0 {
			f.Flush()
		}
		n += some
		c.h.mu.Lock()
		c.h.served[c.name] += int64(some)
		c.h.mu.Unlock()
	}
	return n, err
}
