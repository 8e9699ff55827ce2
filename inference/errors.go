package inference

import (
	"fmt"
	"strings"
	"time"
)

// Mistake is a kind of wrong value, for those who say it in words of their own.
type Mistake string

// The mistakes, and what Args of a SettingError hold besides Found.
const (
	Missing         Mistake = "missing"
	NotANumber      Mistake = "not_a_number"
	NotAWholeNumber Mistake = "not_a_whole_number"
	OutOfRange      Mistake = "out_of_range" // Low, High
	NotAChoice      Mistake = "not_a_choice" // Choices
	FramesNot4n1    Mistake = "frames_4n1"   // Below, Above
	Unusable        Mistake = "other"        // Text says why
)

// SettingError says what is wrong with a setting's value: what was found and what was
// expected in its place.
type SettingError struct {
	Setting string // its name in Settings
	Mistake Mistake
	Found   string
	Want    string
	Args    map[string]any // beside Found, by the mistake
	Err     error          // what lies behind it; nil for nothing
}

func (e *SettingError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Setting, e.Err)
	}
	return fmt.Sprintf("%s: %s, want %s", e.Setting, e.Found, e.Want)
}

// Unwrap returns what lies behind the error.
func (e *SettingError) Unwrap() error { return e.Err }

// SettingErrors returns the SettingErrors in err and in the errors that it joins or wraps.
func SettingErrors(err error) []*SettingError {
	switch e := err.(type) {
	case *SettingError:
		return []*SettingError{e}
	case interface{ Unwrap() []error }:
		var all []*SettingError
		for _, one := range e.Unwrap() {
			all = append(all, SettingErrors(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		return SettingErrors(e.Unwrap())
	}
	return nil
}

// CheckpointError says what is wrong with a checkpoint.
type CheckpointError struct {
	Dir string // its folder
	Err error
}

func (e *CheckpointError) Error() string { return fmt.Sprintf("checkpoint %s: %v", e.Dir, e.Err) }

// Unwrap returns what is wrong.
func (e *CheckpointError) Unwrap() error { return e.Err }

// PausedError says that a run ended early and that its state is kept.
type PausedError struct {
	Dir string // the run's folder, from which it can go on
	Err error  // why it ended
}

func (e *PausedError) Error() string {
	return fmt.Sprintf("%v (the run is kept in %s)", e.Err, e.Dir)
}

// Unwrap returns why the run ended.
func (e *PausedError) Unwrap() error { return e.Err }

// LostRunError says that a run ended early and that nothing of it is kept, as its folder
// was removed.
type LostRunError struct {
	Dir string // the run's folder
	Err error  // why it ended
}

func (e *LostRunError) Error() string {
	return fmt.Sprintf("%v (the run's folder %s is gone, so nothing of the run is kept)", e.Err, e.Dir)
}

// Unwrap returns why the run ended.
func (e *LostRunError) Unwrap() error { return e.Err }

// BusyError says that another process is working on a run.
type BusyError struct {
	Dir    string // the run's folder
	Output string // the video, where it is a new run that is asked for
	PID    int    // of the process; 0 if it is not known
	Host   string // the machine on which it runs
	Since  time.Time
}

func (e *BusyError) Error() string {
	by := "another process"
	if e.PID != 0 {
		by = fmt.Sprintf("process %d on %s since %s", e.PID, e.Host, e.Since.Format("2006-01-02 15:04:05"))
	}
	if e.Output == "" {
		return fmt.Sprintf("the run in %s is being worked on by %s: wait for it, or stop it and go on with it then", e.Dir, by)
	}
	return fmt.Sprintf("%s is being made by %s, in %s: wait for it, or choose another name for the video", e.Output, by, e.Dir)
}

// UnfinishedError says that another run of the same video was begun and not finished.
type UnfinishedError struct {
	Dir    string // its folder
	Output string // the video
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("%s holds an unfinished run of %s: go on with it, delete it, or choose another name for the video", e.Dir, e.Output)
}

// OtherCheckpointError says that a run cannot go on with this checkpoint.
type OtherCheckpointError struct {
	Run        string // the run's folder
	Checkpoint string // the folder of the checkpoint that was tried
}

func (e *OtherCheckpointError) Error() string {
	return fmt.Sprintf("the run in %s was made with another checkpoint than %s, or with other files in it; resume with the one it began with", e.Run, e.Checkpoint)
}

// UncalibratedError says that nothing is known of a checkpoint that a cache goes by.
type UncalibratedError struct {
	Checkpoint string
	Cache      string // its name
	Other      bool   // there is a calibration, but without what this cache wants
}

func (e *UncalibratedError) Error() string {
	if e.Other {
		return fmt.Sprintf("the calibration of %s holds nothing for %s: calibrate the checkpoint, or use EasyCache, which needs no calibration", e.Checkpoint, e.Cache)
	}
	return fmt.Sprintf("there is no calibration of %s for %s to go by: calibrate the checkpoint, or use EasyCache, which needs none", e.Checkpoint, e.Cache)
}

// MemoryError says that a job does not fit its device.
type MemoryError struct {
	Plan    Plan
	Choices []Choice // with which it would fit; none if no settings do
	Frames  int      // with which it would fit, besides Choices; 0 if nothing does
}

func (e *MemoryError) Error() string {
	with := make([]string, 0, len(e.Choices)+1)
	for _, c := range e.Choices {
		with = append(with, c.Setting+" "+c.Value)
	}
	if e.Frames > 0 {
		with = append(with, fmt.Sprintf("frame_num %d", e.Frames))
	}
	if len(with) == 0 {
		return e.Found() + "; no setting makes it fit: choose a smaller size"
	}
	return e.Found() + "; it fits with " + strings.Join(with, ", ")
}

// Found says what does not fit, without what to do.
func (e *MemoryError) Found() string {
	peak := e.Plan.Peak()
	return fmt.Sprintf("%d frames of %dx%d do not fit: found %s that %s would hold at its peak (%s of buffers, %s of the device's own, %s of the program), expected at most the %s of %s",
		e.Plan.Frames, e.Plan.Width, e.Plan.Height, Size(peak.Memory()), peak.Name,
		Size(peak.Buffers), Size(peak.Scratch), Size(peak.Host), Size(e.Plan.Limit), e.Plan.Device)
}

// DiskError says that a disk has no room for what a job writes.
type DiskError struct {
	Folder     string
	Free, Need int64 // bytes
}

func (e *DiskError) Error() string {
	return fmt.Sprintf("the disk of %s is full: found %s free, expected about %s: free some space or choose a folder on another disk",
		e.Folder, Size(e.Free), Size(e.Need))
}

// UnhealthyError says at which step a run stopped because the numbers went bad.
type UnhealthyError struct {
	Step   int    // 1 for the first step
	Expert string // folder of the expert
	Where  string // such as "block 3" or "output"
	Found  string // what was found
}

func (e *UnhealthyError) Error() string {
	return fmt.Sprintf("step %d, %s, %s: %s; the run was stopped, its state before this step is kept. "+
		"If the checkpoint is whole, try products in F32 or another device", e.Step, e.Expert, e.Where, e.Found)
}
