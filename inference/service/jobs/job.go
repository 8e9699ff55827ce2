package jobs

import (
	"errors"
	"time"

	"gimbal/inference"
	"gimbal/inference/service/cause"
)

// ID names a job. IDs sort by the time at which jobs were submitted.
type ID string

// Status says what became of a job.
type Status string

// The statuses. The last three are final.
const (
	Queued    Status = "queued" // or lost its worker, and waits for another one
	Running   Status = "running"
	Done      Status = "done"
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// Final reports whether nothing comes after it.
func (s Status) Final() bool { return s == Done || s == Failed || s == Cancelled }

// Priority says which jobs are taken first.
type Priority string

// The priorities.
const (
	High   Priority = "high"
	Normal Priority = "normal"
	Low    Priority = "low"
)

// Priorities are all, the one that is taken first at the front.
var Priorities = []Priority{High, Normal, Low}

// Object is a file in the store.
type Object struct {
	SHA256 string `json:"sha256"` // of its contents, in hexadecimal: its name
	Size   int64  `json:"size"`   // bytes
}

// Files are objects by what they are to a job: "picture" and "camera/poses.npy" go in,
// "state.safetensors" is a run's, "video.mp4" comes out.
type Files map[string]Object

// Job is the record of a job.
type Job struct {
	ID       ID        `json:"id"`
	Revision uint64    `json:"-"` // of the record; a later one is larger
	User     string    `json:"user,omitempty"`
	Priority Priority  `json:"priority"`
	Model    string    `json:"model"`  // fingerprint of the checkpoint
	Name     string    `json:"name"`   // of the model, as the user knows it
	Inputs   Files     `json:"inputs"` //
	Created  time.Time `json:"created"`

	// Settings are the job's without the names of files, which are a worker's own; a LoRA's is
	// its name. LoRAs are the fingerprints of those that the worker must have, by these names.
	Settings inference.Job     `json:"settings"`
	LoRAs    map[string]string `json:"loras,omitempty"`

	// KeepFrames wants the video's frames as PNG files among the results.
	KeepFrames bool `json:"keep_frames,omitempty"`

	Status Status `json:"status"`
	// Resumed is how often the job ended and was queued again.
	Resumed int  `json:"resumed,omitempty"`
	Cancel  bool `json:"cancel,omitempty"` // its user wants it to end
	// Worker works on it, for the Attempt'th time; Lost workers came no further than the step
	// that the job is at.
	Worker  string    `json:"worker,omitempty"`
	Attempt int       `json:"attempt,omitempty"`
	Lost    int       `json:"lost,omitempty"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`

	Phase     string        `json:"phase,omitempty"` // kind of the event that came last
	Step      int           `json:"step"`            // steps done
	Steps     int           `json:"steps"`
	Expert    string        `json:"expert,omitempty"`       // that made the last step
	Seconds   float64       `json:"step_seconds,omitempty"` // it took
	Decoded   int           `json:"decoded,omitempty"`      // frames of the video so far
	Remaining time.Duration `json:"remaining_ns,omitempty"` // until the last step is done
	Notices   []string      `json:"notices,omitempty"`
	Size      Size          `json:"size,omitzero"`
	Failure   *Failure      `json:"failure,omitempty"` // of a job that failed, or why its last worker gave it back

	// State is the run's folder after Step, from which another worker goes on.
	State   Files `json:"state,omitempty"`
	Preview Files `json:"preview,omitempty"` // "preview.png", of the last step
	Results Files `json:"results,omitempty"`
}

// Size is that of a video, known once its run is prepared.
type Size struct {
	Width        int `json:"width"`  // pixels
	Height       int `json:"height"` // pixels
	Frames       int `json:"frames"`
	LatentFrames int `json:"latent_frames"`
}

// Failure says why a job failed.
type Failure struct {
	Setting string       `json:"setting,omitempty"` // which is to blame; "" for none
	Text    string       `json:"text"`
	Cause   *cause.Cause `json:"cause,omitempty"` // the same for programs; nil for what is of no kind
}

// objects returns the names of all objects that the record names.
func (j *Job) objects() (names []string) {
	for _, files := range []Files{j.Inputs, j.State, j.Preview, j.Results} {
		for _, o := range files {
			names = append(names, o.SHA256)
		}
	}
	return names
}

// Errors of this package. Others are JetStream's, and nothing was changed.
var (
	ErrNotFound = errors.New("there is no such job")
	ErrFinal    = errors.New("the job has ended")
	ErrRunning  = errors.New("the job has not ended")
	ErrDone     = errors.New("the job is done")
	// ErrLost says that a job is not this worker's any more.
	ErrLost = errors.New("another worker has the job")
	// ErrAway says that JetStream did not answer in time: it is not known whether anything was
	// changed.
	ErrAway = errors.New("the jobs cannot be reached now")
	// ErrFull says that the store has no room for a file.
	ErrFull = errors.New("the store of jobs is full: delete videos that are no longer needed, or give it more room")
)
