package wan_test

import (
	"context"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// The sizes of a model of 1.3 billion parameters, but for its layers.
var benchDims = weights.Dims{Dim: 1536, FFN: 8960, Heads: 12, Layers: 2, Text: 4096}

// synthetic writes an expert of random bf16 weights, and loads it.
func synthetic(tb testing.TB, dev device.Device, d weights.Dims) *wan.Model {
	tb.Helper()
	sizes := d.ExpertSizes()
	path := filepath.Join(tb.TempDir(), "model.safetensors")
	if err := weights.WriteTemporary(path, sizes.Table().Random(tb.Context(), device.BF16), nil); err != nil {
		tb.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	return loadModel(tb, dev, weights.Expert{Store: store, Config: sizes.Config})
}

// benchInput is a clip of 5 frames with a camera path, a prompt and a negative
// prompt of usual lengths.
func benchInput(m *wan.Model, height, width int, reuse wan.Reuse) (in wan.Input, x []float32) {
	in = wan.Input{F: 2, H: height / 8, W: width / 8, Camera: true, Reuse: reuse}
	positions := in.F * in.H * in.W
	in.Y = random(1, (m.Config.InDim-m.Config.OutDim)*positions)
	in.Plucker = random(2, m.CameraChannels*positions)
	in.Contexts = []wan.Context{{Tokens: 60, States: random(3, 60*m.TextDim)}, {Tokens: 126, States: random(4, 126*m.TextDim)}}
	return in, random(5, m.Config.OutDim*positions)
}

// BenchmarkForward runs one forward of 3120 tokens with all reuse. It reports the
// rate of its multiplications as a part of that of one dense F32 product of the
// same device (dense-ratio), and the share of the time that each operation takes.
func BenchmarkForward(b *testing.B) {
	plain := openDevice(b)
	dev := &profiled{plain, newProfile()}
	m := synthetic(b, dev, benchDims)
	in, x := benchInput(m, 480, 832, wan.AllReuse)
	s := newSession(b, m, in)
	dense := denseTime(b, plain)
	dev.profile = newProfile()
	for b.Loop() {
		velocity(b, s, x, 500, 0)
	}
	seconds := b.Elapsed().Seconds()
	dense = (dense + denseTime(b, plain)) / 2
	b.ReportMetric(dev.profile.flop*dense/seconds, "dense-ratio")
	for op, t := range dev.profile.seconds {
		b.ReportMetric(100*t/seconds, op+"-%")
	}
}

// BenchmarkReuse compares 20 guided steps of 5 frames at 240x416, the session's
// preparation included, with all reuse and with none (speedup). It runs one step of
// each in turn and counts the fastest 20 times.
func BenchmarkReuse(b *testing.B) {
	const steps = 20
	d := benchDims
	d.Layers = 4
	m := synthetic(b, openDevice(b), d)
	type best struct{ prepare, step time.Duration }
	run := func(reuse wan.Reuse, t *best) {
		in, x := benchInput(m, 240, 416, reuse)
		start := time.Now()
		s := newSession(b, m, in)
		defer s.Close()
		t.prepare = min(t.prepare, time.Since(start))
		start = time.Now()
		for text := range in.Contexts {
			velocity(b, s, x, 500, text)
		}
		t.step = min(t.step, time.Since(start))
	}
	none, all := best{math.MaxInt64, math.MaxInt64}, best{math.MaxInt64, math.MaxInt64}
	for b.Loop() {
		run(wan.Reuse{}, &none)
		run(wan.AllReuse, &all)
	}
	b.ReportMetric((none.prepare+steps*none.step).Seconds()/(all.prepare+steps*all.step).Seconds(), "speedup")
}

// denseTime returns the seconds that a floating-point operation takes in large F32
// products.
func denseTime(b *testing.B, dev device.Device) float64 {
	b.Helper()
	const rows, in, out, times = 3120, 1536, 8960, 3
	mat := func(rows, cols int) device.Mat {
		buf, err := dev.Alloc(device.Desc{Label: "dense", DType: device.F32, Shape: []int{rows, cols}})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(buf.Release)
		return device.AsMat(buf)
	}
	l := device.Linear{X: mat(rows, in), Y: mat(rows, out), W: device.DenseWeight(mat(out, in))}
	start := time.Now()
	err := dev.Do(b.Context(), "dense", func(enc device.Encoder) {
		for range times {
			enc.Record(l)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(start).Seconds() / (times * 2 * rows * in * out)
}

// profiled times the operations of a device that runs each when it is recorded.
type profiled struct {
	device.Device
	profile profile
}

type profile struct {
	seconds map[string]float64 // by operation
	flop    float64            // of multiplications
}

func newProfile() profile { return profile{seconds: map[string]float64{}} }

func (d *profiled) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return d.Device.Do(ctx, label, func(enc device.Encoder) { f(timed{enc, &d.profile}) })
}

type timed struct {
	device.Encoder
	p *profile
}

func (t timed) Record(op device.Op) {
	switch op.(type) {
	case device.Linear, device.Attention:
		t.p.flop += float64(op.Cost().FLOPs)
	}
	start := time.Now()
	t.Encoder.Record(op)
	t.p.seconds[op.Name()] += time.Since(start).Seconds()
}

// BenchmarkLoRA runs forwards of 780 tokens through a block of the real model's size, with and
// without a LoRA of rank 64 on all its layers, in turn: lora-ratio is what it takes more.
func BenchmarkLoRA(b *testing.B) {
	const rank = 64
	dev := openDevice(b)
	d := weights.LingBotWorld
	d.Layers = 1
	sizes := d.ExpertSizes()
	write := func(name string, t weights.Table) string {
		path := filepath.Join(b.TempDir(), name)
		if err := weights.WriteTemporary(path, t.Random(b.Context(), device.BF16), nil); err != nil {
			b.Fatal(err)
		}
		return path
	}
	store, err := weights.Open(write("model.safetensors", sizes.Table()))
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	var factors weights.Table
	for _, spec := range sizes.Table() {
		module, ok := strings.CutSuffix(spec.Name, ".weight")
		if ok && spec.Role == weights.Linear && strings.HasPrefix(module, "blocks.") && !strings.Contains(module, "cam_") {
			factors = append(factors, weights.Spec{Name: module + ".lora_down.weight", Shape: []int{rank, spec.Shape[1]}},
				weights.Spec{Name: module + ".lora_up.weight", Shape: []int{spec.Shape[0], rank}})
		}
	}
	file, err := weights.OpenLoRA(write("lora.safetensors", factors))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	var a weights.Adaptation
	if _, err := a.Add(file, sizes, 0.1); err != nil {
		b.Fatal(err)
	}
	best := map[*weights.Adaptation]time.Duration{nil: math.MaxInt64, &a: math.MaxInt64}
	sessions := map[*weights.Adaptation]*wan.Session{}
	var x []float32
	for adapted := range best {
		m, err := wan.LoadAdapted(b.Context(), dev, store, sizes.Config, adapted)
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		var in wan.Input
		in, x = benchInput(m, 240, 416, wan.AllReuse)
		sessions[adapted] = newSession(b, m, in)
	}
	for b.Loop() {
		for adapted, s := range sessions {
			start := time.Now()
			velocity(b, s, x, 500, 0)
			best[adapted] = min(best[adapted], time.Since(start))
		}
	}
	b.ReportMetric(best[&a].Seconds()/best[nil].Seconds(), "lora-ratio")
}
