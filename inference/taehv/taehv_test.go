package taehv

import (
	"context"
	"errors"
	"image/color"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/plan"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// The cases are a NumPy run of the public code on random weights: taew2_1 in F16 reads
// normalised latents, lighttaew2_1 those of the VAE.
var cases = []string{"taew2_1", "lighttaew2_1"}

// reference is a case, with its decoder on a device.
type reference struct {
	*Model
	stats   vae.Statistics
	latent  []float32
	f, h, w int
	store   *weights.Store
}

func load(t *testing.T, dev device.Device, name string) *reference {
	t.Helper()
	store := open(t, name)
	r := &reference{store: open(t, name+"_case")}
	r.stats = vae.Statistics{Mean: r.floats(t, "mean"), Std: r.floats(t, "std")}
	r.latent = r.floats(t, "latent")
	shape, err := r.store.Tensor("latent")
	if err != nil {
		t.Fatal(err)
	}
	r.f, r.h, r.w = shape.Shape[1], shape.Shape[2], shape.Shape[3]
	if r.Model, err = Load(t.Context(), dev, store, r.stats); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Model.Close)
	return r
}

func open(t *testing.T, name string) *weights.Store {
	t.Helper()
	store, err := weights.Open(filepath.Join("testdata", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func (r *reference) floats(t *testing.T, name string) []float32 {
	t.Helper()
	tensor, err := r.store.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	values, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func openCPU(t testing.TB) device.Device {
	t.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// collector puts pictures [3, h, w] together to a video [3, f, h, w].
type collector struct {
	pictures [][]float32
}

func (c *collector) emit(_ int, rgb []float32) error {
	c.pictures = append(c.pictures, append([]float32(nil), rgb...))
	return nil
}

func (c *collector) video() (all []float32) {
	for channel := range 3 {
		for _, p := range c.pictures {
			n := len(p) / 3
			all = append(all, p[channel*n:][:n]...)
		}
	}
	return all
}

const bound = 1e-5

func TestReference(t *testing.T) { checkReference(t, openCPU(t), bound) }

func checkReference(t *testing.T, dev device.Device, bound float64) {
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			r := load(t, dev, name)
			var whole, parts collector
			if err := r.Decode(t.Context(), r.latent, r.f, r.h, r.w, vae.DecodeOptions{}, whole.emit); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "video", whole.video(), r.floats(t, "video"), bound)
			t.Logf("relative error %.2g", golden.RelL2(whole.video(), r.floats(t, "video")))
			d := r.NewDecoder()
			defer d.Close()
			plane := r.h * r.w
			for f := range r.f { // frame by frame
				part := make([]float32, 0, r.channels*plane)
				for z := range r.channels {
					part = append(part, r.latent[(z*r.f+f)*plane:][:plane]...)
				}
				if err := d.Decode(t.Context(), part, 1, r.h, r.w, parts.emit); err != nil {
					t.Fatal(err)
				}
			}
			if golden.RelL2(parts.video(), whole.video()) != 0 {
				t.Error("frame by frame, the video is another")
			}
			previews, err := r.Previews(t.Context(), r.latent, r.f, r.h, r.w)
			if err != nil {
				t.Fatal(err)
			}
			want := r.floats(t, "preview")
			for f, img := range previews {
				for y := range 4 * r.h {
					for x := range 4 * r.w {
						got := img.At(x, y).(color.RGBA)
						for c, v := range []uint8{got.R, got.G, got.B} {
							exact := 127.5 * (want[((c*r.f+f)*4*r.h+y)*4*r.w+x] + 1)
							if d := float32(v) - exact; d > 0.51 || d < -0.51 {
								t.Fatalf("preview %d at %d, %d: %d, want %v", f, x, y, v, exact)
							}
						}
					}
				}
			}
			if len(previews) != r.f {
				t.Errorf("%d previews, want %d", len(previews), r.f)
			}
		})
	}
}

// TestMemory checks that memory does not grow with the length of a video.
func TestMemory(t *testing.T) {
	dev := openCPU(t)
	r := load(t, dev, cases[0])
	var peaks [2]int64
	for i, f := range []int{3, 9} {
		latent := make([]float32, r.channels*f*r.h*r.w)
		err := r.Decode(t.Context(), latent, f, r.h, r.w, vae.DecodeOptions{}, func(int, []float32) error {
			peaks[i] = max(peaks[i], dev.Info().Allocated)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if peaks[0] != peaks[1] {
		t.Errorf("3 frames take %d bytes and 9 take %d", peaks[0], peaks[1])
	}
}

// TestPlan checks that a plan is what decoding takes.
func TestPlan(t *testing.T) {
	dev := openCPU(t)
	decode := func(dev device.Device, latent []float32, f, h, w int, stats vae.Statistics) (*Model, error) {
		m, err := Load(t.Context(), dev, open(t, cases[0]), stats)
		if err != nil {
			return nil, err
		}
		err = m.Decode(t.Context(), latent, f, h, w, vae.DecodeOptions{}, func(int, []float32) error { return nil })
		if err == nil {
			_, err = m.Previews(t.Context(), latent, f, h, w)
		}
		return m, err
	}
	r := load(t, dev, cases[0])
	r.Model.Close()
	before := dev.Info().Peak
	m, err := decode(dev, r.latent, r.f, r.h, r.w, r.stats)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	count := plan.NewDevice(dev, false)
	phase, err := count.Phase("decode", 1, func() error {
		m, err := decode(count, nil, r.f, r.h, r.w, r.stats)
		if err == nil {
			m.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if took := dev.Info().Peak; took == before || phase.Buffers != took {
		t.Errorf("planned %d bytes of buffers, took %d", phase.Buffers, took)
	}
}

func TestErrors(t *testing.T) {
	dev := openCPU(t)
	r := load(t, dev, cases[0])
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	emit := func(int, []float32) error { return nil }
	if err := r.Decode(ctx, r.latent, r.f, r.h, r.w, vae.DecodeOptions{}, emit); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := r.Decode(t.Context(), r.latent[1:], r.f, r.h, r.w, vae.DecodeOptions{}, emit); err == nil {
		t.Error("a latent of another size is decoded")
	}
	stop := errors.New("stop")
	if err := r.Decode(t.Context(), r.latent, r.f, r.h, r.w, vae.DecodeOptions{}, func(int, []float32) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
	other := r.stats
	other.Mean = other.Mean[1:]
	if _, err := Load(t.Context(), dev, open(t, cases[0]), other); err == nil || !strings.Contains(err.Error(), "taew2_1") {
		t.Errorf("for another VAE: %v", err)
	}
	// A name says what type does not.
	dir := t.TempDir()
	for name, want := range map[string]bool{"taew2_1.safetensors": false, "lighttaew2_1.safetensors": true, "decoder.safetensors": true} {
		data, err := os.ReadFile(filepath.Join("testdata", "lighttaew2_1.safetensors"))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		store, err := weights.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if raw(store) != want {
			t.Errorf("%s reads the VAE's latents: %v, want %v", name, !want, want)
		}
		store.Close()
	}
}

// TestPreviewer makes previews part by part, of each of which there are versions before it is
// done: they are those of the whole latent.
func TestPreviewer(t *testing.T) {
	r := load(t, openCPU(t), cases[0])
	const parts, of = 4, 3
	plane := r.h * r.w
	whole := randoms(7, r.channels*parts*of*plane)
	want, err := r.Model.Previews(t.Context(), whole, parts*of, r.h, r.w)
	if err != nil {
		t.Fatal(err)
	}
	p := r.NewPreviewer()
	defer p.Close()
	for k := range parts {
		part := make([]float32, r.channels*of*plane)
		for c := range r.channels {
			copy(part[c*of*plane:(c+1)*of*plane], whole[(c*parts+k)*of*plane:])
		}
		for try := range uint64(3) {
			if _, err := p.Previews(t.Context(), randoms(10+try, len(part)), of, r.h, r.w, false); err != nil {
				t.Fatal(err)
			}
		}
		got, err := p.Previews(t.Context(), part, of, r.h, r.w, true)
		if err != nil {
			t.Fatal(err)
		}
		for i, picture := range got {
			if !reflect.DeepEqual(picture, want[k*of+i]) {
				t.Errorf("the preview of frame %d is not that of the whole latent", k*of+i)
			}
		}
	}
}

func randoms(seed uint64, n int) []float32 {
	r, values := rand.New(rand.NewPCG(seed, 1)), make([]float32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return values
}
