// Package servicetest has a service for the tests of its clients.
package servicetest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gimbal/inference/engine/enginetest"
	"gimbal/inference/golden"
	"gimbal/inference/service/api"
	"gimbal/inference/service/broker"
	"gimbal/inference/service/jobs"
	"gimbal/inference/service/worker"
)

// Service is a server with a worker whose engine plays, and a model called tiny.
type Service struct {
	URL    string
	Engine *enginetest.Engine
	Store  *jobs.Store

	t       testing.TB
	handler http.Handler
	http    *httptest.Server
}

// Options say what a Service has beside its model.
type Options struct {
	Users []api.User
	LoRAs map[string]string // files by their names
	Store jobs.Options
	// NoWorker leaves the work undone.
	NoWorker bool
}

// Start starts a service, which ends with the test.
func Start(t testing.TB, o Options) *Service {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	b, err := broker.Start(broker.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(b.Stop)
	nc, err := b.Connect()
	must(t, err)
	t.Cleanup(nc.Close)
	o.Store.Log = log
	store, err := jobs.Open(t.Context(), nc, o.Store)
	must(t, err)
	server, err := api.New(api.Options{Store: store, Users: o.Users, Temp: t.TempDir(), MaxUpload: 1 << 20, Version: "1.2.3", Log: log})
	must(t, err)
	s := &Service{t: t, Engine: enginetest.New(), Store: store, handler: server}
	w, err := worker.New(t.Context(), worker.Options{
		Engine: s.Engine, Store: store, Models: []worker.Checkpoint{{Name: "tiny", Dir: filepath.Join(golden.Dir(t), "checkpoint-tiny")}},
		LoRAs: o.LoRAs, Dir: t.TempDir(), Name: "w", Log: log,
	})
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { server.Follow(ctx) })
	if !o.NoWorker {
		running.Go(func() { w.Run(ctx) })
	}
	s.http = httptest.NewServer(server)
	s.URL = s.http.URL
	t.Cleanup(func() {
		s.Away()
		stop()
		running.Wait()
	})
	s.Await("a model", func() bool {
		models, err := store.Models(t.Context())
		return err == nil && (o.NoWorker || len(models) == 1)
	})
	s.Await("health", func() bool {
		answer, err := http.Get(s.URL + "/healthz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Away ends all connections and takes no more, until Back. Jobs go on.
func (s *Service) Away() {
	s.http.Listener.Close()
	s.http.CloseClientConnections()
	s.http.Close()
}

// Back has the server take connections again, at the address of before.
func (s *Service) Back() {
	s.t.Helper()
	again := httptest.NewUnstartedServer(s.handler)
	listener, err := net.Listen("tcp", s.http.Listener.Addr().String())
	must(s.t, err)
	again.Listener.Close()
	again.Listener = listener
	again.Start()
	s.http = again
}

// Await waits until done.
func (s *Service) Await(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	s.t.Fatalf("waited for %s in vain", what)
}
