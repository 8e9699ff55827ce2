package runstate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/weights"
)

const (
	stateFile    = "state.safetensors"
	previousFile = "previous.safetensors" // the state before, should the newer be damaged
	nextFile     = "next.safetensors"     // being written
	lockFile     = "lock"
	version      = "1"
)

// State is what is saved: settings as JSON, the number of steps done, and tensors.
type State struct {
	Settings json.RawMessage
	Step     int
	Tensors  map[string][]float32
}

// Run is a run's folder, held by this process.
type Run struct {
	dir  string
	lock *flock.Flock
}

// Create makes the folder dir for a new run. It fails as Check does; a folder left by a
// process that died before its first Save is taken over.
func Create(dir string) (*Run, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	if err := Check(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	return hold(dir)
}

// Check returns an error if the folder dir cannot be that of a new run: an
// *inference.BusyError if a living process works on a run there, os.ErrExist if there is
// the state of one that nobody works on, and another if there is anything else.
func Check(dir string) error {
	switch _, err := os.Lstat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("run folder: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err == nil {
		lock, err := tryLock(dir)
		if err != nil {
			return err
		}
		if err := lock.Close(); err != nil {
			return err
		}
	}
	switch {
	case stillborn(dir):
		return nil
	case hasState(dir) != nil:
		return fmt.Errorf("run folder %s: there is something else of this name; move it away or choose another name", dir)
	}
	return fmt.Errorf("run folder %s: %w", dir, os.ErrExist)
}

// stillborn reports whether dir is empty, or a run's folder without a state.
func stillborn(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err == nil
	}
	_, noLock := os.Stat(filepath.Join(dir, lockFile))
	return noLock == nil && errors.Is(hasState(dir), fs.ErrNotExist)
}

// IsRun reports whether dir is the folder of a run with a state.
func IsRun(dir string) bool { return hasState(dir) == nil }

// hasState returns nil if there is a state in dir, whole or not.
func hasState(dir string) error {
	_, err := os.Stat(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) { // killed between Save's renames
		_, err = os.Stat(filepath.Join(dir, previousFile))
	}
	return err
}

// Open takes the folder of a run that another process began. It fails if there
// is no state in it, with an *inference.BusyError if a living process holds it.
func Open(dir string) (*Run, error) {
	if err := hasState(dir); errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("run folder %s: there is none of this name: it goes when its video is done", dir)
		}
		return nil, fmt.Errorf("run folder %s: it holds no %s, so there is no run to go on with", dir, stateFile)
	} else if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	return hold(dir)
}

// holder is what a lock's file says of the process that has it.
type holder struct {
	PID   int       `json:"pid"`
	Host  string    `json:"host"`
	Since time.Time `json:"since"`
}

// tryLock locks a folder that no living process holds.
func tryLock(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, lockFile))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("run folder %s: %w", dir, err)
	}
	if held {
		return lock, nil
	}
	var by holder // nobody, where it has not been written yet
	if text, err := os.ReadFile(lock.Path()); err == nil {
		_ = json.Unmarshal(text, &by)
	}
	return nil, &inference.BusyError{Dir: dir, PID: by.PID, Host: by.Host, Since: by.Since}
}

func hold(dir string) (*Run, error) {
	lock, err := tryLock(dir)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	text, err := json.Marshal(holder{os.Getpid(), host, time.Now().Truncate(time.Second)})
	if err == nil {
		_ = os.WriteFile(lock.Path(), text, 0o644) // it only tells others: a full disk is Save's affair
	}
	// What a killed Save left half written; a name that fails to match is no harm.
	leftovers, _ := filepath.Glob(filepath.Join(dir, "."+nextFile+"*"))
	for _, path := range leftovers {
		os.Remove(path)
	}
	return &Run{dir: dir, lock: lock}, nil
}

// Dir returns the folder.
func (r *Run) Dir() string { return r.dir }

// Save puts s on disk as the newest state and keeps the one before it. When it
// returns, s survives a kill; until then, the state before it does.
func (r *Run) Save(s State) error {
	var tensors []weights.Source
	for name, values := range s.Tensors {
		tensors = append(tensors, weights.Source{
			Name: name, DType: device.F32, Shape: []int{len(values)},
			Write: func(w io.Writer) error {
				_, err := w.Write(device.Bytes(values))
				return err
			},
		})
	}
	next, newest := filepath.Join(r.dir, nextFile), filepath.Join(r.dir, stateFile)
	err := weights.WriteSafetensors(next, tensors, map[string]string{
		"version": version, "settings": string(s.Settings), "step": strconv.Itoa(s.Step), "sha256": s.sum(),
	})
	if err == nil {
		err = os.Rename(newest, filepath.Join(r.dir, previousFile))
		if errors.Is(err, fs.ErrNotExist) { // the first state, or killed right here
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(next, newest)
	}
	if err != nil {
		return fmt.Errorf("saving the run's state: %w", err)
	}
	return nil
}

// sum returns a checksum of everything in s.
func (s State) sum() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d %s", s.Step, len(s.Settings), s.Settings)
	for _, name := range slices.Sorted(maps.Keys(s.Tensors)) {
		fmt.Fprintf(h, " %q %d ", name, len(s.Tensors[name]))
		h.Write(device.Bytes(s.Tensors[name]))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Load returns the state that was saved last, or if that is damaged or missing
// the one before it.
func (r *Run) Load() (State, error) {
	s, err := read(filepath.Join(r.dir, stateFile))
	if err == nil {
		return s, nil
	}
	s, errPrevious := read(filepath.Join(r.dir, previousFile))
	if errPrevious == nil {
		return s, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = errPrevious
	}
	return State{}, fmt.Errorf("the run's state: %w", err)
}

func read(path string) (State, error) {
	store, err := weights.Open(path)
	if err != nil {
		return State{}, err
	}
	defer store.Close()
	meta := store.Metadata()
	if meta["version"] != version {
		return State{}, fmt.Errorf("%s: version %q, want %q: it was not written by this Gimbal", path, meta["version"], version)
	}
	s := State{Settings: json.RawMessage(meta["settings"]), Tensors: map[string][]float32{}}
	if s.Step, err = strconv.Atoi(meta["step"]); err != nil || s.Step < 0 {
		return State{}, fmt.Errorf("%s: step %q, want a whole number", path, meta["step"])
	}
	for _, name := range store.Names() {
		tensor, err := store.Tensor(name)
		if err != nil {
			return State{}, err
		}
		if s.Tensors[name], err = tensor.Float32s(); err != nil {
			return State{}, err
		}
	}
	if s.sum() != meta["sha256"] {
		return State{}, fmt.Errorf("%s: its checksum is not that of its contents: the file is damaged", path)
	}
	return s, nil
}

// Close lets go of the folder and leaves it for Open.
func (r *Run) Close() error { return r.lock.Close() }

// Kept reports whether the folder is still there with a state: somebody may have removed
// it, and begun another run in its place.
func (r *Run) Kept() bool { return r.own() && hasState(r.dir) == nil }

// own reports whether the folder is the one that this process holds.
func (r *Run) own() bool {
	there, err := os.Stat(r.lock.Path())
	if err != nil || !r.lock.Locked() {
		return false
	}
	held, err := r.lock.Stat()
	return err == nil && os.SameFile(there, held)
}

// Remove deletes the folder of a run that is finished.
func (r *Run) Remove() error {
	var err error
	if r.own() {
		err = os.RemoveAll(r.dir)
	}
	return errors.Join(err, r.lock.Close())
}
