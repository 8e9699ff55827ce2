package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"gimbal/inference/service/jobs"
)

// Options say what the API serves, and to whom.
type Options struct {
	Store *jobs.Store
	// Users may use the API with their keys; none for everybody.
	Users []User
	// Temp is a folder for uploads and for files that were asked for.
	Temp string
	// MaxUpload limits a request in bytes; 0 for 64 MB.
	MaxUpload int64
	// Reserve is how many bytes of Temp's disk new jobs leave to those that are there; 0 for
	// 256 MB.
	Reserve int64
	// Version is the program's, for the OpenAPI document.
	Version string
	Log     *slog.Logger
}

// User is one who may use the API.
type User struct {
	Name string
	Key  string // given as "Authorization: Bearer KEY"
	// Limit is how many jobs may be under way or wait at once; 0 for no limit.
	Limit int
}

// Server answers HTTP requests.
type Server struct {
	o       Options
	index   *index
	cache   *cache
	metrics *metrics
	mux     *http.ServeMux
}

// Time limits.
const (
	uploadTime = 5 * time.Minute
	answerTime = 30 * time.Second // for what is not a stream
)

// New returns a Server. Serve keeps it up to date.
func New(o Options) (*Server, error) {
	if o.MaxUpload == 0 {
		o.MaxUpload = 64 << 20
	}
	if o.Reserve == 0 {
		o.Reserve = 256 << 20
	}
	s := &Server{o: o, index: newIndex(), cache: newCache(filepath.Join(o.Temp, "content"), o.Store), mux: http.NewServeMux()}
	s.metrics = newMetrics(s.index)
	for _, dir := range []string{s.uploads(), s.cache.dir} {
		if err := os.RemoveAll(dir); err != nil { // what a killed server left
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	s.routes()
	return s, nil
}

func (s *Server) uploads() string { return filepath.Join(s.o.Temp, "uploads") }

// Follow keeps up with the jobs until ctx ends, also when the connection to them is lost for
// a while.
func (s *Server) Follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.index.follow(ctx, s.o.Store)
		if ctx.Err() != nil {
			return
		}
		s.o.Log.Warn("following the jobs", "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// handler answers a request of a user.
type handler func(w http.ResponseWriter, r *http.Request, u User) error

func (s *Server) routes() {
	for pattern, h := range map[string]handler{
		"POST /v1/videos":             s.create,
		"GET /v1/videos":              s.list,
		"GET /v1/videos/{id}":         s.get,
		"DELETE /v1/videos/{id}":      s.remove,
		"GET /v1/videos/{id}/content": s.content,
		"GET /v1/videos/{id}/preview": s.preview,
		"GET /v1/videos/{id}/events":  s.events,
		"GET /v1/events":              s.events,
		"GET /v1/models":              s.models,
		"GET /v1/capabilities":        s.capabilities,
		"POST /v1/videos/{id}/resume": s.resume,
		"POST /v1/plan":               s.plan,
		"POST /v1/fit":                s.fit,
		"POST /v1/tokens":             s.tokens,
		"/v1/":                        notFound,
	} {
		s.mux.Handle(pattern, s.metrics.count(pattern, s.known(h)))
	}
	s.mux.HandleFunc("GET /healthz", s.health)
	s.mux.Handle("GET /metrics", s.known(func(w http.ResponseWriter, r *http.Request, _ User) error {
		s.metrics.ServeHTTP(w, r)
		return nil
	}))
	s.mux.HandleFunc("GET /openapi.json", s.document)
	s.mux.Handle("/", page())
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	s.mux.ServeHTTP(w, r)
}

// known lets users in, and writes the errors of h.
func (s *Server) known(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, ok := s.user(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, r, &Error{Status: http.StatusUnauthorized, Code: "unauthorized", Message: "want a known key in the header Authorization: Bearer KEY"})
			return
		}
		defer func() {
			if fault := recover(); fault != nil && fault != http.ErrAbortHandler {
				s.fail(w, r, fmt.Errorf("panic: %v\n%s", fault, debug.Stack()))
			}
		}()
		if err := h(w, r, u); err != nil {
			s.fail(w, r, err)
		}
	})
}

// user returns whose key a request has.
func (s *Server) user(r *http.Request) (User, bool) {
	if len(s.o.Users) == 0 {
		return User{}, true
	}
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	found, ok := User{}, false
	given := sha256.Sum256([]byte(key))
	for _, u := range s.o.Users {
		want := sha256.Sum256([]byte(u.Key))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 {
			found, ok = u, true
		}
	}
	return found, ok
}

// health says whether jobs can be reached.
func (s *Server) health(w http.ResponseWriter, r *http.Request) {
	if !s.index.ready() {
		s.fail(w, r, errAway)
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}
