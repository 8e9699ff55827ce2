package hubtest

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Client lets the hub be asked without a network, by a client for the address h.URL, so that
// tests on a clock of their own (testing/synctest) can.
func (h *Hub) Client() *http.Client {
	h.URL, h.store = "http://hub.test", "http://store.test"
	return &http.Client{Transport: memory{h}}
}

type memory struct{ h *Hub }

// RoundTrip implements http.RoundTripper.
func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	serve := m.h.ServeHTTP
	if r.URL.Host == "store.test" {
		serve = m.h.serveStored
	}
	reader, writer := io.Pipe()
	a := &answer{header: http.Header{}, body: writer, ready: make(chan struct{})}
	go func() {
		defer func() {
			if recover() != nil {
				writer.CloseWithError(io.ErrUnexpectedEOF)
			}
		}()
		serve(a, r)
		a.WriteHeader(http.StatusOK)
		writer.Close()
	}()
	context.AfterFunc(r.Context(), func() { reader.CloseWithError(r.Context().Err()) })
	select {
	case <-a.ready:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	length, err := strconv.ParseInt(a.header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	return &http.Response{
		StatusCode: a.status, Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: reader, ContentLength: length, Request: r,
	}, nil
}

// answer is what a handler writes to.
type answer struct {
	header http.Header
	status int
	body   *io.PipeWriter
	once   sync.Once
	ready  chan struct{} // closed when the header is written
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.once.Do(func() {
		a.status = status
		close(a.ready)
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
