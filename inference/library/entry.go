package library

import (
	"encoding/json"
	"strings"
	"time"

	"gimbal/inference"
)

// ID names a run. IDs sort by the time at which they were made.
type ID string

// State says how far a run came.
type State string

// The states.
const (
	Queued      State = "queued"
	Running     State = "running"
	Done        State = "done"
	Failed      State = "failed"
	Cancelled   State = "cancelled"
	Interrupted State = "interrupted" // the program ended before the run did
)

// Cause says why a run failed, for those who say it in words of their own.
type Cause string

// The causes.
const (
	OutOfMemory Cause = "out_of_memory"
	TooLarge    Cause = "too_large" // for the device, which was known before it began
	DeviceLost  Cause = "device_lost"
	GPUStopped  Cause = "gpu_stopped" // by the system, again and again
	Unhealthy   Cause = "unhealthy"   // the numbers went bad
	DiskFull    Cause = "disk_full"
	FilesLost   Cause = "files_lost" // weights could not be read any more
	Busy        Cause = "busy"       // another process makes the same video
	Other       Cause = "failed"
)

// Finished reports whether nothing more happens to a run in this state by itself.
func (s State) Finished() bool { return s != Queued && s != Running }

// Settings are what the user asked for: everything needed to fill the form again.
type Settings struct {
	// Job holds the paths that the user chose, not those of the library's copies.
	Job inference.Job `json:"job"`
	// Camera is the name of a built-in path; Job.ActionPath is empty then.
	Camera string `json:"camera,omitempty"`
	// Checkpoint is the model folder; "" for the demo model. On a server it is a model's name.
	Checkpoint string `json:"checkpoint,omitempty"`
	// Server is the address of the server that makes the video; "" for this machine.
	Server string `json:"server,omitempty"`
	// Group is the same for runs that were asked for together, to be compared; "" for one alone.
	// Place is a run's number among them, from 1.
	Group string `json:"group,omitempty"`
	Place int    `json:"place,omitempty"`
}

// UnmarshalJSON also reads settings of before the job said how weights are kept.
func (s *Settings) UnmarshalJSON(text []byte) error {
	type plain Settings
	if err := json.Unmarshal(text, (*plain)(s)); err != nil {
		return err
	}
	var old struct{ Quant inference.Quant }
	if err := json.Unmarshal(text, &old); err != nil {
		return err
	}
	if s.Job.Quant == inference.QuantNone {
		s.Job.Quant = old.Quant
	}
	return nil
}

// Entry is one run.
type Entry struct {
	ID       ID       `json:"id"`
	State    State    `json:"state"`
	Settings Settings `json:"settings"`

	Created  time.Time `json:"created"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	Seconds  float64   `json:"seconds,omitempty"` // of work, over all attempts

	Device string `json:"device,omitempty"`
	Width  int    `json:"width,omitempty"` // pixels
	Height int    `json:"height,omitempty"`
	Frames int    `json:"frames,omitempty"` // of the video
	Steps  int    `json:"steps_done,omitempty"`

	Video        string `json:"video,omitempty"` // path of the .mp4; there when State is Done
	ContactSheet string `json:"contact_sheet,omitempty"`
	Sidecar      string `json:"sidecar,omitempty"`
	RunDir       string `json:"run_dir,omitempty"` // folder of the state to resume from; "" if there is none

	Cause Cause  `json:"cause,omitempty"` // why it failed; "" also for runs of before causes were kept
	Error string `json:"error,omitempty"` // the same in the engine's words
}

// Title is a short name for the run: the beginning of its prompt.
func (e Entry) Title() string {
	const most = 60
	words := strings.Join(strings.Fields(e.Settings.Job.Prompt), " ")
	if runes := []rune(words); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return words
}

// CanResume reports whether the run can go on from a state that it saved.
func (e Entry) CanResume() bool {
	return e.RunDir != "" && (e.State == Interrupted || e.State == Cancelled || e.State == Failed)
}

// files returns what the run left in the user's own folders; "" for what it did not.
func (e Entry) files() []string { return []string{e.Video, e.ContactSheet, e.Sidecar, e.RunDir} }
