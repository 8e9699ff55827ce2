package runstate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"unsafe"

	"github.com/gofrs/flock"

	"gimbal/inference/checkpoint"
	"gimbal/inference/device"
)

const (
	stateFile = "state.safetensors"
	lockFile  = "lock"
	version   = "1"
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

// Create makes the folder dir for a new run. It fails with os.ErrExist if there
// is one with a state in it, or with anything that is not a run's; a folder left
// by a process that died before its first Save is taken over.
func Create(dir string) (*Run, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, os.ErrExist) && stillborn(dir) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	return hold(dir)
}

// stillborn reports whether dir is empty, or a run's folder without a state.
func stillborn(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return err == nil
	}
	_, noLock := os.Stat(filepath.Join(dir, lockFile))
	_, noState := os.Stat(filepath.Join(dir, stateFile))
	return noLock == nil && errors.Is(noState, fs.ErrNotExist)
}

// Open takes the folder of a run that another process began. It fails if there
// is no state in it, or if a living process holds it.
func Open(dir string) (*Run, error) {
	if _, err := os.Stat(filepath.Join(dir, stateFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("run folder %s: it holds no %s, so there is no run to go on with", dir, stateFile)
	} else if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	return hold(dir)
}

func hold(dir string) (*Run, error) {
	lock := flock.New(filepath.Join(dir, lockFile))
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("run folder %s: %w", dir, err)
	}
	if !held {
		return nil, fmt.Errorf("run folder %s: another process is working on this run; wait for it or stop it", dir)
	}
	return &Run{dir: dir, lock: lock}, nil
}

// Dir returns the folder.
func (r *Run) Dir() string { return r.dir }

// Save puts s on disk in place of the state before it. When it returns, s
// survives a kill; until then, the state before it does.
func (r *Run) Save(s State) error {
	var tensors []checkpoint.Source
	for name, values := range s.Tensors {
		tensors = append(tensors, checkpoint.Source{
			Name: name, DType: device.F32, Shape: []int{len(values)},
			Write: func(w io.Writer) error {
				_, err := w.Write(bytesOf(values))
				return err
			},
		})
	}
	err := checkpoint.WriteSafetensors(filepath.Join(r.dir, stateFile), tensors, map[string]string{
		"version": version, "settings": string(s.Settings), "step": strconv.Itoa(s.Step),
	})
	if err != nil {
		return fmt.Errorf("saving the run's state: %w", err)
	}
	return nil
}

// Load returns the state that was saved last.
func (r *Run) Load() (State, error) {
	path := filepath.Join(r.dir, stateFile)
	store, err := checkpoint.OpenSafetensors(path)
	if err != nil {
		return State{}, fmt.Errorf("the run's state: %w", err)
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
	return s, nil
}

// Close lets go of the folder and leaves it for Open.
func (r *Run) Close() error { return r.lock.Close() }

// Remove deletes the folder of a run that is finished.
func (r *Run) Remove() error {
	return errors.Join(os.RemoveAll(r.dir), r.lock.Close())
}

// bytesOf views v as the little-endian bytes that all supported machines keep.
func bytesOf(v []float32) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), 4*len(v))
}
