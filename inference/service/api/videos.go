package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"gimbal/inference/output"
	"gimbal/inference/service/jobs"
)

// create queues a video.
func (s *Server) create(w http.ResponseWriter, r *http.Request, u User) error {
	answered, err := s.room(u) // before anything is uploaded
	if err != nil {
		return err
	}
	defer answered(nil)
	in, err := s.read(w, r)
	if err != nil {
		return err
	}
	defer in.remove()
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	job, err := s.check(ctx, in)
	if err != nil {
		return err
	}
	job.User = u.Name
	if job.Inputs, err = s.keep(ctx, in); err != nil {
		return err
	}
	done, err := s.o.Store.Submit(ctx, job)
	if err != nil {
		return err
	}
	answered(&done)
	w.Header().Set("Location", "/v1/videos/"+string(done.ID))
	answer(w, http.StatusCreated, s.detailed(&done))
	return nil
}

// detailed is view with the place in the queue.
func (s *Server) detailed(j *jobs.Job) Video {
	v := view(j)
	if j.Status == jobs.Queued {
		n := s.index.position(j)
		v.Position = &n
	}
	return v
}

// Lengths of lists.
const (
	defaultList = 50
	longestList = 200
)

func (s *Server) list(w http.ResponseWriter, r *http.Request, u User) error {
	if err := s.index.known(); err != nil {
		return err
	}
	query := r.URL.Query()
	limit := defaultList
	if text := query.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > longestList {
			return badRequest("limit: %.40q, want a number from 1 to %d", text, longestList)
		}
		limit = n
	}
	status, before := jobs.Status(query.Get("status")), jobs.ID(query.Get("before"))
	list := s.index.all(func(j *jobs.Job) bool {
		return j.User == u.Name && (status == "" || j.Status == status) && (before == "" || j.ID < before)
	})
	more := len(list) > limit
	videos := make([]Video, 0, limit)
	for _, j := range list[:min(limit, len(list))] {
		videos = append(videos, view(j))
	}
	answer(w, http.StatusOK, map[string]any{"object": "list", "data": videos, "has_more": more})
	return nil
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, u User) error {
	j, err := s.index.get(jobs.ID(r.PathValue("id")), u)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, s.detailed(j))
	return nil
}

// resume queues a video once more that was cancelled or failed: it goes on at its last step.
func (s *Server) resume(w http.ResponseWriter, r *http.Request, u User) error {
	j, err := s.index.get(jobs.ID(r.PathValue("id")), u)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	answered, err := s.room(u)
	if err != nil {
		return err
	}
	defer answered(nil)
	changed, err := s.o.Store.Resume(ctx, j.ID)
	switch {
	case errors.Is(err, jobs.ErrDone), errors.Is(err, jobs.ErrRunning):
		return &Error{Status: http.StatusConflict, Code: "not_resumable", Message: err.Error()}
	case err != nil:
		return err
	}
	answered(&changed)
	answer(w, http.StatusAccepted, s.detailed(&changed))
	return nil
}

// room says whether a user may have one more video under way, and the disk bears it. The caller
// says what came of it, see index.ask.
func (s *Server) room(u User) (answered func(*jobs.Job), err error) {
	if err := output.CheckRoom(output.Need{Folder: s.o.Temp, Bytes: s.o.Reserve}); err != nil {
		return nil, err
	}
	if err := s.index.known(); u.Limit > 0 && err != nil {
		return nil, err
	}
	if answered = s.index.ask(u); answered == nil {
		return nil, &Error{Status: http.StatusTooManyRequests, Code: "too_many", Message: "as many of your videos as may be are waiting or being made: try again when one is done"}
	}
	return answered, nil
}

// remove cancels a video that is not done, and deletes one that is: unless it is only to be
// cancelled, as by somebody to whom it was not done yet.
func (s *Server) remove(w http.ResponseWriter, r *http.Request, u User) error {
	j, err := s.index.get(jobs.ID(r.PathValue("id")), u)
	if err != nil {
		return err
	}
	only := r.URL.Query().Get("only")
	if only != "" && only != "cancel" {
		return badRequest("only: %.40q, want cancel", only)
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	changed, err := s.o.Store.Cancel(ctx, j.ID)
	switch {
	case err == nil:
		s.index.put(changed)
		answer(w, http.StatusAccepted, s.detailed(&changed))
		return nil
	case !errors.Is(err, jobs.ErrFinal):
		return err
	case only != "":
		return &Error{Status: http.StatusConflict, Code: "ended", Message: err.Error()}
	}
	if err := s.o.Store.Delete(ctx, j.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
