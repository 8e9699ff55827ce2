package wan_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// rewrite returns a copy of e whose tensors went through change, which returns
// false for those to leave out.
func rewrite(tb testing.TB, e weights.Expert, change func(t *weights.Tensor) bool) weights.Expert {
	tb.Helper()
	var sources []weights.Source
	for _, name := range e.Store.Names() {
		t, err := e.Store.Tensor(name)
		if err != nil {
			tb.Fatal(err)
		}
		if change(&t) {
			sources = append(sources, t.Source())
		}
	}
	path := filepath.Join(tb.TempDir(), "model.safetensors")
	if err := weights.WriteSafetensors(path, sources, nil); err != nil {
		tb.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	return weights.Expert{Store: store, Config: e.Config}
}

func TestLoadNamesAllBadTensors(t *testing.T) {
	dev := openDevice(t)
	e := openExpert(t, cameraCase(t).expert)
	last := fmt.Sprintf("blocks.%d.", e.Config.NumLayers-1)
	missing := []string{"patch_embedding.weight", "blocks.0.self_attn.norm_k.weight", "head.modulation", last + "cam_shift_layer.bias"}
	misshapen := []string{last + "ffn.2.weight", "time_projection.1.bias"}
	bad := rewrite(t, e, func(t *weights.Tensor) bool {
		if slices.Contains(misshapen, t.Name) {
			t.Shape = []int{1, t.Shape[0] / 2}
			t.Data = t.Data[:t.Shape[1]*t.DType.Size()]
		}
		return !slices.Contains(missing, t.Name)
	})
	_, err := wan.Load(t.Context(), dev, bad.Store, bad.Config)
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range append(missing, misshapen...) {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "text_embedding") {
		t.Errorf("the error names a good tensor: %v", err)
	}
	if held := dev.Info().Allocated; held != 0 {
		t.Errorf("a model that failed to load holds %d bytes", held)
	}
}

func TestLoadRefusesOddPatches(t *testing.T) {
	dev := openDevice(t)
	e := openExpert(t, cameraCase(t).expert)
	for _, name := range []string{"patch_embedding.weight", "patch_embedding_wancamctrl.weight"} {
		bad := rewrite(t, e, func(t *weights.Tensor) bool {
			if t.Name == name {
				t.Shape = []int{t.Shape[0], len(t.Data) / t.DType.Size() / t.Shape[0]}
				if name != "patch_embedding.weight" {
					t.Shape[1]--
					t.Data = t.Data[:t.Shape[0]*t.Shape[1]*t.DType.Size()]
				}
			}
			return true
		})
		_, err := wan.Load(t.Context(), dev, bad.Store, bad.Config)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q shape", name)) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestLoadChecksConfig(t *testing.T) {
	dev := openDevice(t)
	e := openExpert(t, cameraCase(t).expert)
	for want, change := range map[string]func(c *wan.Config){
		"num_heads":                     func(c *wan.Config) { c.NumHeads = c.Dim - 1 },
		"freq_dim":                      func(c *wan.Config) { c.FreqDim++ },
		"out_dim":                       func(c *wan.Config) { c.OutDim = c.InDim + 1 },
		"num_layers":                    func(c *wan.Config) { c.NumLayers-- },
		`dim of its config.json: found`: func(c *wan.Config) { c.Dim *= 2 },
		`ffn_dim of its config.json`:    func(c *wan.Config) { c.FFNDim-- },
		fmt.Sprintf(`35 tensors, such as "blocks.%d.`, e.Config.NumLayers): func(c *wan.Config) { c.NumLayers++ },
	} {
		cfg := e.Config
		change(&cfg)
		if _, err := wan.Load(t.Context(), dev, e.Store, cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func TestLoadCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := openExpert(t, cameraCase(t).expert)
	if _, err := wan.Load(ctx, openDevice(t), e.Store, e.Config); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestNoCameraBranch(t *testing.T) {
	dev := openDevice(t)
	c := cameraCase(t)
	e := openExpert(t, c.expert)
	plain := loadModel(t, dev, rewrite(t, e, func(t *weights.Tensor) bool {
		return !strings.Contains(t.Name, "cam") && !strings.HasPrefix(t.Name, "c2ws")
	}))
	if plain.CameraChannels != 0 {
		t.Errorf("%d camera channels", plain.CameraChannels)
	}
	if _, err := plain.NewSession(t.Context(), c.in); !errors.Is(err, wan.ErrNoCamera) {
		t.Errorf("error %v", err)
	}
	c.in.Camera, c.in.Plucker = false, nil
	got := velocity(t, newSession(t, plain, c.in), c.x, c.t, 0)
	want := velocity(t, newSession(t, loadModel(t, dev, e), c.in), c.x, c.t, 0)
	if !slices.Equal(got, want) {
		t.Error("another result than with the branch and no camera path")
	}
}
