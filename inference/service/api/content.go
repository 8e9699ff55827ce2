package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"gimbal/inference/service/jobs"
)

// parts are the files of a video that is done: what they are called and their types.
var parts = map[string]struct{ file, kind string }{
	"video":         {"video.mp4", "video/mp4"},
	"contact_sheet": {"video.png", "image/png"},
	"sidecar":       {"video.json", "application/json"},
	"frames":        {"frames.zip", "application/zip"},
}

// content answers with a file of a video, or with ranges of it.
func (s *Server) content(w http.ResponseWriter, r *http.Request, u User) error {
	j, err := s.index.get(jobs.ID(r.PathValue("id")), u)
	if err != nil {
		return err
	}
	name := cmp.Or(r.URL.Query().Get("part"), "video")
	part, ok := parts[name]
	if !ok {
		return badRequest("part: %.40q, want video, contact_sheet, sidecar or frames", name)
	}
	o, ok := j.Results[part.file]
	if !ok && j.Status == jobs.Done {
		return &Error{Status: http.StatusConflict, Code: "not_kept", Message: "the frames were not kept: ask for them by keep_frames when the video is made"}
	}
	if !ok {
		return &Error{Status: http.StatusConflict, Code: "not_done", Message: fmt.Sprintf("the video is not there: its status is %q", j.Status)}
	}
	w.Header().Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", string(j.ID)+filepath.Ext(part.file)))
	return s.serve(w, r, o, part.kind, "private, max-age=86400, immutable")
}

// preview answers with the preview of the last step, the latent's frames side by side.
func (s *Server) preview(w http.ResponseWriter, r *http.Request, u User) error {
	j, err := s.index.get(jobs.ID(r.PathValue("id")), u)
	if err != nil {
		return err
	}
	o, ok := j.Preview["preview.png"]
	if !ok {
		o, ok = j.Results["video.png"]
	}
	if !ok {
		return &Error{Status: http.StatusNotFound, Code: "no_preview", Message: "there is no preview yet"}
	}
	return s.serve(w, r, o, "image/png", "no-cache")
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, o jobs.Object, kind, caching string) error {
	f, err := s.cache.open(r.Context(), o)
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("ETag", `"`+o.SHA256+`"`)
	h.Set("Cache-Control", caching)
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(uploadTime))
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// maxCache is how many files of the store are kept on disk, ready to be sent.
const maxCache = 32

// cache keeps files of the store that were asked for, so that ranges can be read.
type cache struct {
	dir   string
	store *jobs.Store
	mu    sync.Mutex
	locks map[string]*sync.Mutex // of files being fetched
	order []string               // names, the last asked for at the end
}

func newCache(dir string, s *jobs.Store) *cache {
	return &cache{dir: dir, store: s, locks: map[string]*sync.Mutex{}}
}

// open opens a file of the store.
func (c *cache) open(ctx context.Context, o jobs.Object) (*os.File, error) {
	c.mu.Lock()
	lock := c.locks[o.SHA256]
	if lock == nil {
		lock = &sync.Mutex{}
		c.locks[o.SHA256] = lock
	}
	c.mu.Unlock()
	lock.Lock()
	defer lock.Unlock()
	path := filepath.Join(c.dir, o.SHA256)
	f, err := os.Open(path)
	if err != nil {
		if err := c.store.GetFile(ctx, o, path); err != nil {
			return nil, err
		}
		f, err = os.Open(path)
	}
	if err == nil {
		c.used(o.SHA256)
	}
	return f, err
}

// used notes that a file was asked for; those that were not for long go. Whoever has one
// open keeps it.
func (c *cache) used(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.order = append(slices.DeleteFunc(c.order, func(n string) bool { return n == name }), name)
	for len(c.order) > maxCache {
		os.Remove(filepath.Join(c.dir, c.order[0]))
		delete(c.locks, c.order[0])
		c.order = c.order[1:]
	}
}
