package wan_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
)

// random returns n values of a normal distribution.
func random(seed uint64, n int) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return values
}

// setUp returns a case with a camera path, and its expert on a new device.
func setUp(tb testing.TB) (ditCase, *wan.Model, device.Device) {
	tb.Helper()
	dev := openDevice(tb)
	c := cameraCase(tb)
	return c, loadModel(tb, dev, openExpert(tb, c.expert)), dev
}

func TestContextsDoNotMix(t *testing.T) {
	c, m, _ := setUp(t)
	words := m.Config.TextLen / 3
	other := wan.Context{Tokens: words, States: random(1, m.TextDim*words)}
	for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
		c.in.Reuse = reuse
		var alone [2][]float32
		for i, text := range []wan.Context{c.in.Contexts[0], other} {
			in := c.in
			in.Contexts = []wan.Context{text}
			alone[i] = velocity(t, newSession(t, m, in), c.x, c.t, 0)
		}
		if e := golden.RelL2(alone[0], alone[1]); e < 1e-4 {
			t.Fatalf("reuse %+v: the contexts make no difference (%.1g)", reuse, e)
		}
		in := c.in
		in.Contexts = []wan.Context{c.in.Contexts[0], other}
		both := newSession(t, m, in)
		for _, i := range []int{0, 1, 0, 0, 1} {
			golden.Check(t, "velocity", velocity(t, both, c.x, c.t, i), alone[i], 1e-6)
		}
	}
}

func TestSessionHasNoMemory(t *testing.T) {
	c, m, _ := setUp(t)
	for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
		c.in.Reuse = reuse
		s := newSession(t, m, c.in)
		for i, at := range []float64{999, 500.5, 0, c.t, 999} {
			x := random(uint64(i%4), len(c.x))
			fresh := newSession(t, m, c.in)
			if !slices.Equal(velocity(t, s, x, at, 0), velocity(t, fresh, x, at, 0)) {
				t.Errorf("reuse %+v, t %g: another result than a fresh session's", reuse, at)
			}
		}
	}
}

func TestVelocityInPlace(t *testing.T) {
	c, m, _ := setUp(t)
	s := newSession(t, m, c.in)
	want := velocity(t, s, c.x, c.t, 0)
	x := slices.Clone(c.x)
	if err := s.Velocity(t.Context(), x, c.t, 0, x); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(x, want) {
		t.Error("another result in place")
	}
}

func TestInspectErrorEndsForward(t *testing.T) {
	c, m, _ := setUp(t)
	s := newSession(t, m, c.in)
	enough := errors.New("enough")
	calls := 0
	s.Inspect = func(int, func() ([]float32, error)) error {
		calls++
		return enough
	}
	err := s.Velocity(t.Context(), c.x, c.t, 0, make([]float32, len(c.x)))
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%d calls, error %v", calls, err)
	}
}

func TestCancel(t *testing.T) {
	c, m, dev := setUp(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	before := dev.Info().Allocated
	if _, err := m.NewSession(cancelled, c.in); !errors.Is(err, context.Canceled) {
		t.Errorf("NewSession: error %v", err)
	}
	if after := dev.Info().Allocated; after != before {
		t.Errorf("a session that failed holds %d bytes", after-before)
	}

	s := newSession(t, m, c.in)
	want := velocity(t, s, c.x, c.t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocks := 0
	s.Inspect = func(int, func() ([]float32, error)) error {
		blocks++
		cancel()
		return nil
	}
	out := make([]float32, len(c.x))
	if err := s.Velocity(ctx, c.x, c.t, 0, out); !errors.Is(err, context.Canceled) || blocks != 1 {
		t.Errorf("Velocity: error %v after %d blocks", err, blocks)
	}
	if slices.ContainsFunc(out, func(v float32) bool { return v != 0 }) {
		t.Error("Velocity failed and wrote to out")
	}
	s.Inspect = nil
	if !slices.Equal(velocity(t, s, c.x, c.t, 0), want) {
		t.Error("another result after a cancelled forward")
	}
}

func TestBadInput(t *testing.T) {
	c, m, _ := setUp(t)
	short := func(v []float32) []float32 { return v[1:] }
	for name, tt := range map[string]struct {
		change func(in *wan.Input)
		want   string
	}{
		"no frames":        {func(in *wan.Input) { in.F = 0 }, "latent of 0 frames"},
		"negative rows":    {func(in *wan.Input) { in.H = -m.Patch[1] }, "rows"},
		"too many columns": {func(in *wan.Input) { in.W = 1025 * m.Patch[2] }, "columns"},
		"huge":             {func(in *wan.Input) { in.F, in.H, in.W = 1<<40, 1<<40, 1<<40 }, "latent of 1099511627776 frames"},
		"odd rows":         {func(in *wan.Input) { in.H += m.Patch[1] - 1 }, "rows"},
		"picture":          {func(in *wan.Input) { in.Y = short(in.Y) }, "image conditioning"},
		"no picture":       {func(in *wan.Input) { in.Y = nil }, "image conditioning"},
		"no context":       {func(in *wan.Input) { in.Contexts = nil }, "text contexts: found none"},
		"half a token":     {func(in *wan.Input) { in.Contexts = []wan.Context{{Tokens: 1, States: make([]float32, m.TextDim-1)}} }, "text context 0"},
		"negative tokens":  {func(in *wan.Input) { in.Contexts = []wan.Context{{Tokens: -1}} }, "text context 0"},
		"context too long": {func(in *wan.Input) {
			n := m.Config.TextLen + 1
			in.Contexts = []wan.Context{{}, {Tokens: n, States: make([]float32, n*m.TextDim)}}
		}, "text context 1"},
		"camera rays":       {func(in *wan.Input) { in.Plucker = short(in.Plucker) }, "camera rays"},
		"empty camera rays": {func(in *wan.Input) { in.Plucker = []float32{} }, "camera rays"},
		"no camera rays":    {func(in *wan.Input) { in.Plucker = nil }, "camera rays"},
		"no camera path":    {func(in *wan.Input) { in.Camera = false }, "camera rays"},
	} {
		in := c.in
		tt.change(&in)
		s, err := m.NewSession(t.Context(), in)
		if err == nil {
			s.Close()
			t.Errorf("%s: no error", name)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %q lacks %q", name, err, tt.want)
		}
	}

	s := newSession(t, m, c.in)
	n := len(c.x)
	for name, err := range map[string]error{
		"short latent":   s.Velocity(t.Context(), c.x[1:], 1, 0, make([]float32, n)),
		"short velocity": s.Velocity(t.Context(), c.x, 1, 0, make([]float32, n-1)),
		"context -1":     s.Velocity(t.Context(), c.x, 1, -1, make([]float32, n)),
		"context 1":      s.Velocity(t.Context(), c.x, 1, 1, make([]float32, n)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// An empty text is all padding.
func TestEmptyContext(t *testing.T) {
	c, m, _ := setUp(t)
	c.in.Contexts = []wan.Context{{}}
	got := velocity(t, newSession(t, m, c.in), c.x, c.t, 0)
	c.in.Contexts = []wan.Context{{Tokens: m.Config.TextLen, States: make([]float32, m.Config.TextLen*m.TextDim)}}
	c.in.Reuse = wan.Reuse{}
	golden.Check(t, "velocity", got, velocity(t, newSession(t, m, c.in), c.x, c.t, 0), bound)
}

func TestMemory(t *testing.T) {
	dev := openDevice(t)
	c := cameraCase(t)
	e := openExpert(t, c.expert)
	m, err := wan.Load(t.Context(), dev, e.Store, e.Config)
	if err != nil {
		t.Fatal(err)
	}
	loaded := dev.Info().Allocated
	if loaded > e.Store.Bytes()/4 {
		t.Errorf("%d bytes on the device for %d of weights: copied, not mapped", loaded, e.Store.Bytes())
	}
	for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
		c.in.Reuse = reuse
		s, err := m.NewSession(t.Context(), c.in)
		if err != nil {
			t.Fatal(err)
		}
		step := func() { velocity(t, s, c.x, c.t, 0) }
		step()
		first := dev.Info()
		early := allocated(step)
		for range 5 {
			step()
		}
		late := allocated(step)
		if last := dev.Info(); last.Allocated != first.Allocated || last.Peak != first.Peak {
			t.Errorf("reuse %+v: device memory grew from %+v to %+v", reuse, first, last)
		}
		if late > early+early/4 {
			t.Errorf("reuse %+v: a step allocated %d bytes, a later one %d", reuse, early, late)
		}
		s.Close()
		if left := dev.Info().Allocated; left != loaded {
			t.Errorf("reuse %+v: %d bytes left after Close", reuse, left-loaded)
		}
	}
	m.Close()
	if left := dev.Info().Allocated; left != 0 {
		t.Errorf("%d bytes left after Close", left)
	}
}

// allocated returns the bytes that f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// scarce is a device short of memory.
type scarce struct {
	device.Device
	refuse     string // part of the labels of buffers that do not fit
	workingSet int64  // 0 for the device's own
}

func (d scarce) Alloc(desc device.Desc) (device.Buffer, error) {
	if d.refuse != "" && strings.Contains(desc.Label, d.refuse) {
		return nil, device.ErrOutOfMemory
	}
	return d.Device.Alloc(desc)
}

func (d scarce) Info() device.Info {
	info := d.Device.Info()
	if d.workingSet != 0 {
		info.WorkingSet = d.workingSet
	}
	return info
}

// Where the device cannot hold the camera branch of all blocks, the rest is
// computed anew, and the velocity stays the same.
func TestCameraOfSomeBlocks(t *testing.T) {
	c, m, dev := setUp(t)
	// As many tokens as make a block's scale and shift larger than its weights.
	for c.in.H*c.in.W <= m.Config.Dim*m.Patch[1]*m.Patch[2] {
		c.in.H += m.Patch[1]
		c.in.W += m.Patch[2]
	}
	positions := c.in.F * c.in.H * c.in.W
	c.in.Y = random(1, (m.Config.InDim-m.Config.OutDim)*positions)
	c.in.Plucker = random(2, m.CameraChannels*positions)
	c.x = random(3, m.Config.OutDim*positions)

	whole := newSession(t, m, c.in)
	want := velocity(t, whole, c.x, c.t, 0)
	held := dev.Info().Allocated
	whole.Close()
	held -= dev.Info().Allocated

	last := fmt.Sprintf("blocks.%d.", m.Config.NumLayers-1)
	for name, short := range map[string]scarce{
		"no room for the last block's scale":  {refuse: last + "camera_scale"},
		"no room for the first block's shift": {refuse: "blocks.0.camera_shift"},
		"a small working set":                 {workingSet: 1},
	} {
		short.Device = dev
		before := dev.Info().Allocated
		m := loadModel(t, short, openExpert(t, c.expert))
		loaded := dev.Info().Allocated
		s := newSession(t, m, c.in)
		if kept := dev.Info().Allocated - loaded; kept >= held {
			t.Errorf("%s: the session holds %d bytes, with room for all %d", name, kept, held)
		}
		golden.Check(t, name, velocity(t, s, c.x, c.t, 0), want, 1e-6)
		s.Close()
		m.Close()
		if left := dev.Info().Allocated - before; left != 0 {
			t.Errorf("%s: %d bytes left after Close", name, left)
		}
	}
}
