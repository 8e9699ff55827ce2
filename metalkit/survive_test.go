//go:build !darwin && !cuda

package metalkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/dry"
	"gimbal/metalkit/internal/driver/soft"
	"gimbal/metalkit/internal/roofline"
)

// faulty is the software driver with a fault: fail may say what becomes of a run, which has
// happened if it happens half.
type faulty struct {
	*soft.Driver
	limits driver.Limits
	runs   int
	fail   func(run int, dispatches []driver.Dispatch) (half bool, err error)
}

func (d *faulty) Limits() driver.Limits {
	l := d.Driver.Limits()
	l.CommandBufferFLOPs = d.limits.CommandBufferFLOPs
	return l
}

func (d *faulty) Run(ctx context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	d.runs++
	half, err := d.fail(d.runs, dispatches)
	if err == nil || half {
		n := len(dispatches)
		if err != nil {
			n = (n + 1) / 2
		}
		seconds, failed := d.Driver.Run(ctx, label, dispatches[:n])
		return seconds, errors.Join(failed, err)
	}
	return 0, err
}

func newFaulty(t *testing.T, fail func(run int, dispatches []driver.Dispatch) (bool, error)) *faulty {
	t.Helper()
	drv, err := soft.New(2, false)
	if err != nil {
		t.Fatal(err)
	}
	return &faulty{Driver: drv, fail: fail}
}

// watchdog is what macOS 26 says when it stops a command buffer.
var watchdog = &driver.StoppedError{TooLong: true, Text: "Impacting Interactivity (0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)"}

// TestStopped stops a submission on its way: where nothing was overwritten that it reads, it
// ends as if it had not been; else whoever submitted it is told.
func TestStopped(t *testing.T) {
	for _, inPlace := range []bool{false, true} {
		for _, stops := range []int{1, 2} {
			t.Run(fmt.Sprint(inPlace, stops), func(t *testing.T) {
				log := new(bytes.Buffer)
				left := 0
				drv := newFaulty(t, func(int, []driver.Dispatch) (bool, error) {
					if left == 0 {
						return false, nil
					}
					left--
					return true, watchdog
				})
				dev := openOver(t, drv, Options{Log: slog.New(slog.NewTextHandler(log, nil))})
				const m, n = 40, 24
				x, y, z := allocMat(t, dev, device.F32, m, n), allocMat(t, dev, device.F32, m, n), allocMat(t, dev, device.F32, m, n)
				values := make([]float32, m*n)
				for i := range values {
					values[i] = float32(i%7) - 3
				}
				fill(t, dev, x, values)
				left = stops
				err := dev.Do(t.Context(), "block 3", func(e device.Encoder) {
					e.Record(device.Binary{A: x, B: x, Y: y, Op: device.Add})
					if inPlace {
						e.Record(device.Binary{A: y, B: x, Y: y, Op: device.Mul})
					}
					e.Record(device.Binary{A: x, B: y, Y: z, Op: device.Add})
				})
				if again := !inPlace && stops == 1; again != (err == nil) || again == errors.Is(err, device.ErrInterrupted) {
					t.Fatalf("got %v", err)
				}
				if dev.pace.share != math.Pow(0.5, float64(stops-left)) || !strings.Contains(log.String(), "ImpactingInteractivity") {
					t.Errorf("a share of %g is left, the log says %q", dev.pace.share, log)
				}
				if err != nil {
					if !strings.Contains(err.Error(), "block 3") || !strings.Contains(err.Error(), "let the display sleep") {
						t.Error(err)
					}
					return
				}
				got := make([]float32, m*n)
				if err := dev.Read(t.Context(), device.Bytes(got), z.Buf); err != nil {
					t.Fatal(err)
				}
				for i, v := range got {
					if v != 3*values[i] {
						t.Fatalf("element %d is %g, want %g", i, v, 3*values[i])
					}
				}
			})
		}
	}
}

// TestHang gives up a command buffer that does not end, sooner once the context has, and
// frees nothing that the GPU may use.
func TestHang(t *testing.T) {
	for _, cancelled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			stuck := make(chan bool)
			drv := &stuckDriver{nullDriver: nullDriver{max: driver.Limits{WorkingSet: 1 << 30}}, stuck: stuck}
			dev, err := open(drv, Options{})
			if err != nil {
				t.Fatal(err)
			}
			x := allocMat(t, dev, device.F32, 8, 8)
			ctx, cancel := context.WithCancel(t.Context())
			want := patience
			if cancelled {
				cancel()
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				want = time.Second + patienceAtLast
			}
			defer cancel()
			began := time.Now()
			work := func(e device.Encoder) { e.Record(device.Unary{X: x, Y: x, F: device.SiLU}) }
			err = dev.Do(ctx, "block 3", work)
			if !errors.Is(err, device.ErrDeviceLost) || !strings.Contains(err.Error(), "resume the run") || time.Since(began) != want {
				t.Errorf("after %v, want %v: %v", time.Since(began), want, err)
			}
			if err := dev.Do(t.Context(), "block 4", work); !errors.Is(err, device.ErrDeviceLost) {
				t.Errorf("then %v", err)
			}
			x.Buf.Release()
			if err := dev.Close(); err != nil || drv.freed > 0 || drv.closed {
				t.Errorf("%d pieces of memory are given back, closed: %v, %v", drv.freed, drv.closed, err)
			}
			close(stuck)
		})
	}
}

// stuckDriver runs nothing before stuck is closed.
type stuckDriver struct {
	nullDriver
	stuck  chan bool
	freed  int
	closed bool
}

func (d *stuckDriver) Run(context.Context, string, []driver.Dispatch) (float64, error) {
	<-d.stuck
	return 0, nil
}
func (d *stuckDriver) Free(driver.Memory) { d.freed++ }
func (d *stuckDriver) Close()             { d.closed = true }

// TestPace plans blocks at real sizes for GPUs that are slower than their peak: no command
// buffer is longer than half as much again as it should be, from the first one on.
func TestPace(t *testing.T) {
	for _, share := range []float64{0.9, 0.5, 0.35} { // of the peak
		chip, _ := FindChip("Apple M1")
		var longest float64
		drv := &pacedDriver{Driver: dry.New(planLimits(chip))}
		dev := openOver(t, drv, Options{Compute: device.BF16, Fixed: true})
		drv.seconds = func(dispatches int) float64 {
			all := 0.0
			for _, p := range dev.enc.plan[drv.done : drv.done+dispatches] {
				all += dev.shareOfCommandBuffer(p) * roofline.CommandBufferSeconds / share
			}
			drv.done += dispatches
			longest = max(longest, all)
			return all
		}
		x, w, y := allocMat(t, dev, device.BF16, 4096, 5120), allocMat(t, dev, device.BF16, 5120, 5120), allocMat(t, dev, device.BF16, 4096, 5120)
		for range 5 {
			drv.done = 0
			err := dev.Do(t.Context(), "block", func(e device.Encoder) {
				e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y})
				e.Record(device.Attention{Q: y, K: x, V: x, O: y, Heads: 40, Scale: 1})
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := 1 / share; longest > 1.5*roofline.CommandBufferSeconds || share < 0.5 && math.Abs(dev.pace.slow-want) > 0.3*want {
			t.Errorf("at %g of the peak: %.3f s, taken to be %g times slower", share, longest, dev.pace.slow)
		}
	}
}

type pacedDriver struct {
	dry.Driver
	done    int // dispatches of the submission
	seconds func(dispatches int) float64
}

func (d *pacedDriver) Limits() driver.Limits {
	l := d.Driver.Limits()
	l.Timed = true
	return l
}

func (d *pacedDriver) Run(_ context.Context, _ string, dispatches []driver.Dispatch) (float64, error) {
	return d.seconds(len(dispatches)), nil
}

// TestRunSurvives makes a small video while the system stops the GPU's work now and then, and
// while it does so always or the GPU is lost in the middle of it, after which it is resumed: what
// comes out is that of an undisturbed run.
func TestRunSurvives(t *testing.T) {
	if testing.Short() {
		t.Skip("makes several videos")
	}
	t.Parallel()
	demo, err := assets.UnpackDemo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, c := range []struct {
		name string
		fail func(run int) error
		ends error  // of the first try; nil where it succeeds
		says string // of it, or of a notice
	}{
		{"undisturbed", func(int) error { return nil }, nil, ""},
		{"stopped now and then", func(run int) error {
			if run == 5 || run == 30 || run == 31 || run%400 == 0 {
				return watchdog
			}
			return nil
		}, nil, "begun again"},
		{"stopped always", func(run int) error {
			if run > 60 {
				return watchdog
			}
			return nil
		}, device.ErrInterrupted, "let the display sleep"},
		{"lost", func(run int) error {
			if run >= 100 {
				return fmt.Errorf("the GPU was taken away: %w", device.ErrDeviceLost)
			}
			return nil
		}, device.ErrDeviceLost, "taken away"},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := inference.DefaultJob()
			job.Image = filepath.Join(demo.Pictures, "meadow.png")
			job.Prompt, job.NegativePrompt = demo.Settings.Prompt, demo.Settings.NegativePrompt
			job.Output = filepath.Join(t.TempDir(), "demo.mp4")
			job.Recipe, err = engine.ReadRecipe(demo.Checkpoint)
			job.Frames, job.Steps, job.MaxArea = 5, 2, 32*32
			said := ""
			notice := func(e inference.Event) {
				if n, ok := e.(inference.Notice); ok {
					said += n.Text
				}
			}
			fail := c.fail
			drv := newFaulty(t, func(run int, _ []driver.Dispatch) (bool, error) { return true, fail(run) })
			opts := Options{Log: slog.New(slog.DiscardHandler)}
			_, err := generate(t, openOver(t, drv, opts), demo.Checkpoint, func(p *engine.Pipeline) (inference.Saved, error) {
				return p.Generate(t.Context(), job, "", notice)
			})
			if err != nil {
				said += err.Error()
			}
			if (c.ends == nil) != (err == nil) || !errors.Is(err, c.ends) || !strings.Contains(said, c.says) {
				t.Fatalf("got %v, %q", err, said)
			}
			var paused *inference.PausedError
			if errors.As(err, &paused) {
				fresh := newFaulty(t, func(int, []driver.Dispatch) (bool, error) { return false, nil })
				_, err = generate(t, openOver(t, fresh, opts), demo.Checkpoint, func(p *engine.Pipeline) (inference.Saved, error) {
					return p.Resume(t.Context(), paused.Dir, notice)
				})
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(job.Output)
			if want == nil {
				want = got
			}
			t.Logf("%d command buffers", drv.runs)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d runs: another video, %v", drv.runs, err)
			}
		})
	}
}

// generate has a pipeline on dev work.
func generate(t *testing.T, dev device.Device, checkpoint string, work func(*engine.Pipeline) (inference.Saved, error)) (inference.Saved, error) {
	t.Helper()
	p, err := engine.Load(t.Context(), dev, checkpoint, inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	return work(p)
}
