package api

import (
	"time"

	"gimbal/inference"
	"gimbal/inference/service/jobs"
)

// Video is a job as clients see it.
type Video struct {
	ID       jobs.ID       `json:"id"`
	Object   string        `json:"object"` // "video"
	Status   jobs.Status   `json:"status"`
	Model    string        `json:"model"`
	Priority jobs.Priority `json:"priority"`
	Created  time.Time     `json:"created_at"`
	Started  *time.Time    `json:"started_at,omitempty"`
	Ended    *time.Time    `json:"ended_at,omitempty"`
	// Position is how many jobs wait before it; only while it waits.
	Position *int     `json:"position,omitempty"`
	Phase    string   `json:"phase,omitempty"` // kind of the engine's last event
	Step     int      `json:"step"`            // steps done
	Steps    int      `json:"steps"`
	Expert   string   `json:"expert,omitempty"`  // that made the last step
	Pace     float64  `json:"step_seconds"`      // that the last step took
	Decoded  int      `json:"decoded"`           // frames of the video so far
	Seconds  float64  `json:"remaining_seconds"` // until the last step is done; 0 if not known
	Preview  bool     `json:"preview"`           // there is one
	Notices  []string `json:"notices"`
	jobs.Size
	Error   *Error `json:"error,omitempty"` // why it failed
	Bytes   int64  `json:"bytes"`           // of the video, once it is there
	SHA256  string `json:"sha256,omitempty"`
	Worker  string `json:"worker,omitempty"`
	Attempt int    `json:"attempt"`

	Settings map[string]string `json:"settings"` // by their flags' names
}

// view returns a job as clients see it.
func view(j *jobs.Job) Video {
	v := Video{
		ID: j.ID, Object: "video", Status: j.Status, Model: j.Name, Priority: j.Priority, Created: j.Created,
		Phase: j.Phase, Step: j.Step, Steps: j.Steps, Seconds: j.Remaining.Seconds(), Preview: len(j.Preview) > 0,
		Expert: j.Expert, Pace: j.Seconds, Decoded: j.Decoded,
		Notices: append([]string{}, j.Notices...), Size: j.Size, Worker: j.Worker, Attempt: j.Attempt, Settings: map[string]string{},
	}
	if !j.Started.IsZero() {
		v.Started = &j.Started
	}
	if !j.Ended.IsZero() {
		v.Ended = &j.Ended
	}
	if f := j.Failure; f != nil && j.Status == jobs.Failed {
		v.Error = &Error{Code: "failed", Message: f.Text, Setting: f.Setting, Cause: f.Cause}
	}
	if o, ok := j.Results["video.mp4"]; ok {
		v.Bytes, v.SHA256 = o.Size, o.SHA256
	}
	for _, s := range Settings() {
		v.Settings[s.Name] = s.Text(j.Settings)
	}
	return v
}

// Settings are those that a request may have.
func Settings() (list []inference.Setting) {
	for _, s := range inference.Settings {
		if s.Flag && (s.Use == inference.NoFile || s.Name == "lora") || s.Env != "" {
			list = append(list, s)
		}
	}
	return list
}
