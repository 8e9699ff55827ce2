package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"gimbal/inference/service/jobs"
)

// breath is how often a stream says that it lives.
const breath = 15 * time.Second

// events streams a user's videos, or one of them, as server-sent events: "video" with a
// Video as it is now and after every change, "deleted" with an id. The stream of one video
// ends when it has ended.
func (s *Server) events(w http.ResponseWriter, r *http.Request, u User) error {
	id := jobs.ID(r.PathValue("id"))
	if id != "" {
		if _, err := s.index.get(id, u); err != nil {
			return err
		}
	} else if err := s.index.known(); err != nil {
		return err
	}
	l := s.index.listen(func(j *jobs.Job) bool { return j.User == u.Name && (id == "" || j.ID == id) })
	defer s.index.unlisten(l)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy's
	out := http.NewResponseController(w)
	tick := time.NewTicker(breath)
	defer tick.Stop()
	send := func(text string) bool {
		out.SetWriteDeadline(time.Now().Add(2 * breath))
		_, err := fmt.Fprint(w, text)
		return err == nil && out.Flush() == nil
	}
	if !send(": the videos as they are, and every change\n\n") {
		return nil
	}
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-tick.C:
			if !send(":\n\n") {
				return nil
			}
		case <-l.changed:
			order, changes := l.take()
			over := false
			for _, one := range order {
				text, final := event(one, changes[one])
				if !send(text) {
					return nil
				}
				over = final
			}
			if over && id != "" {
				return nil
			}
		}
	}
}

// event writes a change, and reports whether it is the video's last.
func event(id jobs.ID, j *jobs.Job) (text string, final bool) {
	name, v := "deleted", any(map[string]jobs.ID{"id": id})
	if j != nil {
		name, v = "video", view(j)
	}
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("event: %s\ndata: %s\n\n", name, data), j == nil || j.Status.Final()
}
