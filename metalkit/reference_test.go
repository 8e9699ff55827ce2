package metalkit

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/taehv"
	"gimbal/inference/umt5"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/wan/wantest"
	"gimbal/inference/weights"
	"gimbal/metalkit/internal/tune"
)

func openLayout(t *testing.T) *weights.Layout {
	t.Helper()
	layout, err := weights.OpenLayout(golden.Checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { layout.Close() })
	return layout
}

// eachCompute runs f with a device for every type to multiply in.
func eachCompute(t *testing.T, f func(t *testing.T, dev device.Device, bound float64)) {
	for _, c := range computes {
		if testing.Short() && c.dtype != device.F32 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f(t, openTest(t, Options{Compute: c.dtype}), c.bound)
		})
	}
}

func TestTransformerReference(t *testing.T) {
	t.Parallel()
	eachCompute(t, func(t *testing.T, dev device.Device, bound float64) {
		for _, c := range golden.Cases(t, "dit_") {
			t.Run(c.Name, func(t *testing.T) { checkForward(t, dev, c, bound) })
		}
	})
}

func TestLoRAReference(t *testing.T) {
	t.Parallel()
	eachCompute(t, wantest.CheckLoRAs)
}

// checkForward runs one forward and compares its result and the hidden state after
// every block.
func checkForward(t *testing.T, dev device.Device, c golden.Case, bound float64) {
	var scalars struct {
		Expert string
		T      float64
	}
	c.Scalars(t, &scalars)
	expert, ok := openLayout(t).Experts[scalars.Expert]
	if !ok {
		t.Fatalf("no expert %s", scalars.Expert)
	}
	m, err := wan.Load(t.Context(), dev, expert.Store, expert.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x, shape := c.F32(t, "x")
	in := wan.Input{F: shape[1], H: shape[2], W: shape[3], Reuse: wan.AllReuse}
	in.Y, _ = c.F32(t, "y")
	text, words := c.F32(t, "context")
	in.Contexts = []wan.Context{{Tokens: words[0], States: text}}
	in.Residuals = 1
	if slices.Contains(c.Names(), "plucker") {
		in.Camera = true
		in.Plucker, _ = c.F32(t, "plucker")
	}
	s, err := m.NewSession(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	blocks := 0
	s.Inspect = func(block int, hidden func() ([]float32, error)) error {
		got, err := hidden()
		name := fmt.Sprintf("block%d", block)
		want, _ := c.F32(t, name)
		golden.Check(t, name, got, want, bound)
		blocks++
		return err
	}
	out := make([]float32, len(x))
	if err := s.Velocity(t.Context(), x, scalars.T, 0, out); err != nil {
		t.Fatal(err)
	}
	want, _ := c.F32(t, "out")
	t.Logf("relative error %.2g", golden.RelL2(out, want))
	golden.Check(t, "out", out, want, bound)
	if blocks != expert.Config.NumLayers {
		t.Errorf("inspected %d blocks of %d", blocks, expert.Config.NumLayers)
	}
	s.Inspect = nil
	if err := s.Skip(t.Context(), x, scalars.T, 0, out); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "out by what the blocks added", out, want, bound)
	norms, err := s.Norms(t.Context(), 0)
	if err != nil || slices.ContainsFunc(norms, func(norm float32) bool { return !(norm > 0) }) {
		t.Errorf("norms %v, %v", norms, err)
	}
}

func TestVAEReference(t *testing.T) {
	t.Parallel()
	eachCompute(t, func(t *testing.T, dev device.Device, bound float64) {
		store, err := weights.Open(filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		v, err := vae.Load(t.Context(), dev, store, vae.WanStatistics())
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		for _, c := range golden.Cases(t, "vae_decode_") {
			t.Run(c.Name, func(t *testing.T) { checkDecode(t, v, c, bound) })
		}
		for _, c := range golden.Cases(t, "vae_encode_") {
			t.Run(c.Name, func(t *testing.T) { checkEncode(t, v, c, bound) })
		}
	})
}

func checkDecode(t *testing.T, v *vae.VAE, c golden.Case, bound float64) {
	latent, shape := c.F32(t, "latent")
	want, size := c.F32(t, "unclamped")
	frames, plane := size[1], size[2]*size[3]
	got := make([]float32, len(want))
	err := v.Decode(t.Context(), latent, shape[1], shape[2], shape[3], vae.DecodeOptions{Chunk: 1}, func(i int, rgb []float32) error {
		for channel := range 3 {
			copy(got[(channel*frames+i)*plane:], rgb[channel*plane:(channel+1)*plane])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("relative error %.2g", golden.RelL2(got, want))
	golden.Check(t, "video", got, want, bound)
}

func checkEncode(t *testing.T, v *vae.VAE, c golden.Case, bound float64) {
	video, size := c.F32(t, "video")
	want, _ := c.F32(t, "latent")
	frames, plane := size[1], size[2]*size[3]
	got, err := v.Encode(t.Context(), func(i int, rgb []float32) error {
		for channel := range 3 {
			copy(rgb[channel*plane:(channel+1)*plane], video[(channel*frames+i)*plane:])
		}
		return nil
	}, frames, size[2], size[3], 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("relative error %.2g", golden.RelL2(got, want))
	golden.Check(t, "latent", got, want, bound)
}

func TestTextReference(t *testing.T) {
	t.Parallel()
	eachCompute(t, func(t *testing.T, dev device.Device, bound float64) {
		enc, err := umt5.Load(t.Context(), dev, openLayout(t).Text)
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		for _, c := range golden.Cases(t, "t5_") {
			t.Run(c.Name, func(t *testing.T) {
				want, _ := c.F32(t, "context")
				got, err := enc.Encode(t.Context(), tokenIDs(t, c, len(want)/enc.Dim()))
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("relative error %.2g", golden.RelL2(got, want))
				golden.Check(t, "context", got, want, bound)
			})
		}
	})
}

// tokenIDs returns the first n ids of a case.
func tokenIDs(t *testing.T, c golden.Case, n int) []int32 {
	t.Helper()
	stored := c.Tensor(t, "ids")
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(binary.LittleEndian.Uint32(stored.Data[i*stored.DType.Size():])) // I64 begins with it, too
	}
	return ids
}

// TestTinyDecoderReference decodes the reference videos of the small decoder.
func TestTinyDecoderReference(t *testing.T) {
	t.Parallel()
	eachCompute(t, func(t *testing.T, dev device.Device, bound float64) {
		for _, name := range []string{"taew2_1", "lighttaew2_1"} {
			t.Run(name, func(t *testing.T) {
				open := func(name string) *weights.Store {
					store, err := weights.Open(filepath.Join("..", "inference", "taehv", "testdata", name+".safetensors"))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { store.Close() })
					return store
				}
				read := func(name string) ([]float32, []int) {
					tensor, err := open(name[:strings.Index(name, ".")] + "_case").Tensor(name[strings.Index(name, ".")+1:])
					if err != nil {
						t.Fatal(err)
					}
					values, err := tensor.Float32s()
					if err != nil {
						t.Fatal(err)
					}
					return values, tensor.Shape
				}
				mean, _ := read(name + ".mean")
				std, _ := read(name + ".std")
				latent, shape := read(name + ".latent")
				want, _ := read(name + ".video")
				m, err := taehv.Load(t.Context(), dev, open(name), vae.Statistics{Mean: mean, Std: std})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				got, plane := make([]float32, len(want)), 64*shape[2]*shape[3]
				err = m.Decode(t.Context(), latent, shape[1], shape[2], shape[3], vae.DecodeOptions{}, func(f int, rgb []float32) error {
					for c := range 3 {
						copy(got[(c*(4*shape[1]-3)+f)*plane:][:plane], rgb[c*plane:])
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("relative error %.2g", golden.RelL2(got, want))
				golden.Check(t, "video", got, want, bound)
			})
		}
	})
}

// TestMatmul2DReference goes through the transformer's cases, by products and by attention, and through
// the VAE's decoding by matmul2d wherever that fits.
func TestMatmul2DReference(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("in 16 bits")
	}
	const bound = 4.0 / (1 << 8) // as BF16's
	open := func(t *testing.T, op tune.Op, variant string) forcedDevice {
		dev := openTest(t, Options{Compute: device.BF16})
		if !dev.limits.Matmul2D {
			t.Skip("this GPU has no Neural Accelerators")
		}
		f := variantNamed(t, op, variant)
		t.Cleanup(func() {
			if !dev.ran(f) {
				t.Errorf("%s fits nothing", variant)
			}
		})
		return forcedDevice{dev, f}
	}
	for op, variant := range map[tune.Op]string{tune.Linear: "matmul2d 64x64x4", tune.Attention: "matmul2d 32x32x4"} {
		t.Run("transformer by "+string(op), func(t *testing.T) {
			dev := open(t, op, variant)
			for _, c := range golden.Cases(t, "dit_") {
				t.Run(c.Name, func(t *testing.T) { checkForward(t, dev, c, bound) })
			}
		})
	}
	t.Run("VAE", func(t *testing.T) {
		store, err := weights.Open(filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth"))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		v, err := vae.Load(t.Context(), open(t, tune.Conv, "matmul2d 64x64x32x4"), store, vae.WanStatistics())
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		for _, c := range golden.Cases(t, "vae_decode_") {
			t.Run(c.Name, func(t *testing.T) { checkDecode(t, v, c, bound) })
		}
	})
}
