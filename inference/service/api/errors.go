package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"gimbal/inference"
	"gimbal/inference/output"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/jobs"
)

// Error is what went wrong, in the one form that all answers have.
type Error struct {
	Status  int    `json:"-"` // of HTTP
	Code    string `json:"code"`
	Message string `json:"message"`
	Setting string `json:"setting,omitempty"` // that is to blame, by its flag's name
	// Details are all mistakes, where there are several.
	Details []Detail `json:"details,omitempty"`
	// Cause is the same for programs; nil for what is of no kind.
	Cause *cause.Cause `json:"cause,omitempty"`
}

// Detail is a mistake in one setting.
type Detail struct {
	Setting string `json:"setting"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

func invalid(setting, format string, args ...any) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_setting", Setting: setting, Message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "bad_request", Message: fmt.Sprintf(format, args...)}
}

// asError returns what a client is told of an error.
func asError(err error) *Error {
	var known *Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &large):
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: fmt.Sprintf("the request is larger than %s", inference.Size(large.Limit))}
	case errors.Is(err, jobs.ErrNotFound):
		return &Error{Status: http.StatusNotFound, Code: "not_found", Message: "there is no such video"}
	case errors.Is(err, jobs.ErrFull), output.Full(err):
		return &Error{Status: http.StatusInsufficientStorage, Code: "store_full", Message: jobs.ErrFull.Error()}
	case errors.Is(err, jobs.ErrNoWorker):
		return &Error{Status: http.StatusServiceUnavailable, Code: "no_worker", Message: err.Error()}
	case errors.Is(err, jobs.ErrAway), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrConnectionClosed):
		return errAway
	}
	if all := inference.SettingErrors(err); len(all) > 0 {
		e := &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_setting", Setting: all[0].Setting, Message: all[0].Error(), Cause: cause.Of(err, nil)}
		if len(all) > 1 {
			for _, one := range all {
				e.Details = append(e.Details, Detail{one.Setting, one.Error()})
			}
		}
		return e
	}
	return &Error{Status: http.StatusInternalServerError, Code: "internal", Message: "the server failed; its log says why"}
}

// fail answers with an error.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	if e.Status == http.StatusInternalServerError && r.Context().Err() == nil {
		s.o.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	if e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	answer(w, e.Status, map[string]*Error{"error": e})
}

func notFound(_ http.ResponseWriter, r *http.Request, _ User) error {
	return &Error{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("%s %.100q: there is nothing; /openapi.json says what there is", r.Method, r.URL.Path)}
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // all that is answered can be written as JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
	w.WriteHeader(status)
	w.Write(append(text, '\n')) // or the client is gone
}
