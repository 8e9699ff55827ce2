package cause_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/cause/causetest"
)

// TestTravel has an error of every kind travel, wrapped as the engine wraps it.
func TestTravel(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range causetest.Errors() {
		c := cause.Of(fmt.Errorf("step 3: %w", err), nil)
		if c == nil {
			t.Errorf("%v: of no kind", err)
			continue
		}
		seen[c.Kind] = true
		text, wrong := json.Marshal(c)
		if wrong != nil {
			t.Fatal(wrong)
		}
		var arrived *cause.Cause
		if err := json.Unmarshal(text, &arrived); err != nil {
			t.Fatal(err)
		}
		got := arrived.Err()
		if got == nil || got.Error() != err.Error() || reflect.TypeOf(got) != reflect.TypeOf(err) {
			t.Errorf("%T %v arrives as %T %v", err, err, got, got)
		}
	}
	for _, name := range cause.Kinds() {
		if !seen[name] {
			t.Errorf("no error of the kind %s is tried", name)
		}
	}
}

// TestWhole holds what travels to what was sent.
func TestWhole(t *testing.T) {
	for _, err := range []error{
		&inference.MemoryError{
			Plan:    inference.Plan{Width: 832, Height: 480, Frames: 81, Device: "M", Limit: 1 << 33, Phases: []inference.Phase{{Name: "sample", Times: 20, Buffers: 1 << 40}}},
			Choices: []inference.Choice{{Setting: "quant", Value: "nf4"}}, Frames: 41,
		},
		&inference.UnhealthyError{Step: 3, Expert: "high_noise_model", Where: "block 3", Found: "NaN"},
		&inference.DiskError{Folder: "x", Free: 1, Need: 1<<62 + 1},
		&mapped.LostError{Path: "model/a.safetensors"},
		&inference.BusyError{Dir: "a", Output: "b", PID: 7, Host: "c", Since: time.Unix(1e9, 0).UTC()},
		&inference.OtherCheckpointError{Run: "a", Checkpoint: "b"},
	} {
		if got := cause.Of(err, nil).Err(); !reflect.DeepEqual(got, err) {
			t.Errorf("%+v, want %+v", got, err)
		}
	}
	sent := &inference.SettingError{Setting: "frame_num", Mistake: inference.FramesNot4n1, Found: "40", Want: "4n+1", Args: map[string]any{"Below": 37, "Above": 1000001}}
	var got *inference.SettingError
	if !errors.As(cause.Of(sent, nil).Err(), &got) || got.Setting != sent.Setting || got.Mistake != sent.Mistake || got.Found != sent.Found || got.Want != sent.Want || fmt.Sprint(got.Args) != fmt.Sprint(sent.Args) {
		t.Errorf("%+v, want %+v", got, sent)
	}
}

// TestClean makes sure that what is nobody's business stays where it is.
func TestClean(t *testing.T) {
	clean := strings.NewReplacer("/home/ann/", "").Replace
	for _, err := range []error{
		&inference.DiskError{Folder: "/home/ann/runs"}, &inference.CheckpointError{Dir: "/home/ann/model", Err: errors.New("/home/ann/model/x is not there")},
		&inference.SettingError{Setting: "image", Mistake: inference.Unusable, Err: errors.New("/home/ann/picture is no picture")},
		&inference.MemoryError{Plan: inference.Plan{Disk: []inference.Disk{{Folder: "/home/ann/runs"}}}},
	} {
		if c := cause.Of(err, clean); strings.Contains(string(c.Values), "/home/ann") {
			t.Errorf("%T: %s", err, c.Values)
		}
	}
}

// TestNone is about errors of no kind, and of one that a newer service knows.
func TestNone(t *testing.T) {
	if c := cause.Of(errors.New("x"), nil); c != nil || c.Err() != nil {
		t.Errorf("%+v", c)
	}
	for _, c := range []*cause.Cause{{Kind: "new"}, {Kind: "busy"}, {Kind: "unhealthy", Values: json.RawMessage(`7`)}} {
		if err := c.Err(); err != nil {
			t.Errorf("%+v is %v", c, err)
		}
	}
	if !errors.Is(&cause.Remote{Where: "w", Text: "x", Err: fmt.Errorf("x: %w", device.ErrDeviceLost)}, device.ErrDeviceLost) || errors.Is(&cause.Remote{}, syscall.ENOSPC) {
		t.Error("what a remote error is")
	}
}
