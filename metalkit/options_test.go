package metalkit

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// TestHighWatermark allocates up to the limit, and one page more.
func TestHighWatermark(t *testing.T) {
	const set = 1 << 20
	for _, c := range []struct {
		opts Options
		want int64 // bytes; 0 for no limit
	}{
		{Options{}, 58 * driver.PageSize}, {Options{HighWatermark: 1}, set}, {Options{HighWatermark: 0.5}, set / 2}, {Options{HighWatermark: 1.75}, set / 4 * 7},
		{Options{HighWatermark: math.Inf(1)}, 0}, {Options{HighWatermark: 0.5, MemoryLimit: set / 4}, set / 4},
	} {
		dev, err := open(&nullDriver{max: driver.Limits{WorkingSet: set}}, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if want := set; c.want > set || c.want == 0 {
			if got := dev.Info().WorkingSet; got != int64(want) {
				t.Errorf("%+v: a working set of %d, want %d", c.opts, got, want)
			}
		}
		full := c.want
		if full == 0 {
			full = 64 * set
		}
		desc := device.Desc{Label: "test", DType: device.U8, Shape: []int{int(full)}}
		if _, err := dev.Alloc(desc); err != nil {
			t.Errorf("%+v: %v", c.opts, err)
		}
		desc.Shape[0] = 1
		if _, err := dev.Alloc(desc); (c.want != 0) != errors.Is(err, device.ErrOutOfMemory) {
			t.Errorf("%+v: one page more than %d gives %v", c.opts, c.want, err)
		}
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, wrong := range []Options{{HighWatermark: -1}, {HighWatermark: math.NaN()}, {MemoryLimit: -1}, {Compute: device.I8}} {
		if _, err := open(&nullDriver{}, wrong); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}

// TestLargestBuffer asks for more in one piece than the GPU takes.
func TestLargestBuffer(t *testing.T) {
	const most = 1 << 20
	dev, err := open(&nullDriver{max: driver.Limits{WorkingSet: 1 << 30, MaxBuffer: most}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	desc := device.Desc{Label: "big", DType: device.U8, Shape: []int{most}}
	if _, err := dev.Alloc(desc); err != nil {
		t.Error(err)
	}
	desc.Shape[0]++
	if _, err := dev.Alloc(desc); !errors.Is(err, device.ErrOutOfMemory) || !strings.Contains(err.Error(), `"big"`) {
		t.Errorf("%d bytes: %v", most+1, err)
	}
	if _, err := dev.Map(desc, make([]byte, most+1), nil); !errors.Is(err, device.ErrOutOfMemory) {
		t.Errorf("a map of %d bytes: %v", most+1, err)
	}
}

// TestCapture captures the first of the submissions that have the label.
func TestCapture(t *testing.T) {
	file := filepath.Join(t.TempDir(), "block.gputrace")
	opts := Options{Capture: file, CaptureLabel: "blocks.0"}
	if _, err := open(&nullDriver{}, opts); err == nil || !strings.Contains(err.Error(), "MTL_CAPTURE_ENABLED=1") {
		t.Errorf("without the environment variable: %v", err)
	}
	t.Setenv(captureVariable, "1")
	for _, wrong := range []string{"block.trace", t.TempDir()} {
		if _, err := open(&nullDriver{}, Options{Capture: wrong}); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	drv := &nullDriver{max: driver.Limits{WorkingSet: 1 << 20}}
	dev, err := open(drv, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"embeddings", "blocks.0", "blocks.1", "blocks.0"} {
		if err := dev.Do(t.Context(), label, func(device.Encoder) { drv.events = append(drv.events, label) }); err != nil {
			t.Fatal(err)
		}
	}
	want := "embeddings blocks.0 capture stop blocks.1 blocks.0"
	if got := strings.Join(drv.events, " "); got != want {
		t.Errorf("happened: %s; want %s", got, want)
	}
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
	if dev, err = open(&nullDriver{}, opts); err != nil {
		t.Fatal(err)
	}
	if err := dev.Close(); err == nil || !strings.Contains(err.Error(), "blocks.0") {
		t.Errorf("nothing was captured, and Close says %v", err)
	}
}

// TestCaptureUnsupported asks a driver that has no captures.
func TestCaptureUnsupported(t *testing.T) {
	t.Setenv(captureVariable, "1")
	dev, err := open(&nullDriver{max: driver.Limits{WorkingSet: 1}, blind: true}, Options{Capture: filepath.Join(t.TempDir(), "a.gputrace"), CaptureLabel: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	if err := dev.Do(t.Context(), "x", func(device.Encoder) {}); !errors.Is(err, device.ErrUnsupported) {
		t.Errorf("a capture without the means: %v", err)
	}
}
