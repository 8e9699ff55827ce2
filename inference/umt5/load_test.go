package umt5

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// edited returns a store of the golden tensors as edit changes them.
func edited(t *testing.T, edit func(map[string]weights.Tensor)) *weights.Store {
	t.Helper()
	from := openStore(t)
	tensors := map[string]weights.Tensor{}
	for _, name := range from.Names() {
		tensor, err := from.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		tensors[name] = tensor
	}
	edit(tensors)
	var sources []weights.Source
	for name, tensor := range tensors {
		tensor.Name = name
		sources = append(sources, tensor.Source())
	}
	path := filepath.Join(t.TempDir(), "text.safetensors")
	if err := weights.WriteSafetensors(path, sources, nil); err != nil {
		t.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestBadFiles(t *testing.T) {
	dev := openDevice(t)
	// cut drops the last row of a matrix.
	cut := func(name string) func(map[string]weights.Tensor) {
		return func(all map[string]weights.Tensor) {
			x := all[name]
			rows := x.Shape[0]
			x.Data = x.Data[:len(x.Data)/rows*(rows-1)]
			x.Shape = append([]int{rows - 1}, x.Shape[1:]...)
			all[name] = x
		}
	}
	drop := func(name string) func(map[string]weights.Tensor) {
		return func(all map[string]weights.Tensor) { delete(all, name) }
	}
	for _, test := range []struct {
		name string
		edit func(map[string]weights.Tensor)
		want []string
	}{
		{"no embedding", drop("token_embedding.weight"), []string{"token_embedding.weight", "none of this name"}},
		{"no query", drop("blocks.0.attn.q.weight"), []string{"blocks.0.attn.q.weight"}},
		{"no bias", drop("blocks.1.pos_embedding.embedding.weight"), []string{"blocks.1.pos_embedding.embedding.weight"}},
		{"no norm", drop("norm.weight"), []string{`"norm.weight"`}},
		{"no blocks", func(all map[string]weights.Tensor) {
			for name := range all {
				if strings.HasPrefix(name, "blocks.") {
					delete(all, name)
				}
			}
		}, []string{`10 tensors, such as "blocks.0.norm1.weight", "blocks.0.attn.q.weight"`}},
		{"a gap", func(all map[string]weights.Tensor) {
			for name := range all {
				if strings.HasPrefix(name, "blocks.1.") {
					delete(all, name)
				}
			}
		}, []string{`10 tensors, such as "blocks.1.norm1.weight"`, "is it of this model"}},
		{"a far block", func(all map[string]weights.Tensor) {
			all["blocks.1000000000.norm1.weight"] = all["norm.weight"]
		}, []string{"blocks.1000000000.norm1.weight", "counted from 0"}},
		{"short key", cut("blocks.0.attn.k.weight"), []string{"blocks.0.attn.k.weight", "shape"}},
		{"short fc1", cut("blocks.1.ffn.fc1.weight"), []string{"blocks.1.ffn.fc1.weight", "shape"}},
		{"short norm", cut("blocks.0.norm2.weight"), []string{"blocks.0.norm2.weight", "elements"}},
		{"uneven heads", cut("blocks.0.attn.q.weight"), []string{"blocks.0.attn.q.weight", "heads dividing"}},
		{"three buckets", func(all map[string]weights.Tensor) {
			const name = "blocks.0.pos_embedding.embedding.weight"
			x := all[name]
			x.Data = x.Data[:len(x.Data)/x.Shape[0]*3]
			x.Shape = []int{3, x.Shape[1]}
			all[name] = x
		}, []string{"pos_embedding", "found [3 "}},
		{"integers", func(all map[string]weights.Tensor) {
			x := all["token_embedding.weight"]
			x.DType, x.Shape = device.I8, []int{x.Shape[0], x.Shape[1] * x.DType.Size()}
			all["token_embedding.weight"] = x
		}, []string{"token_embedding.weight", "I8"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := edited(t, test.edit)
			before := dev.Info().Allocated
			enc, err := Load(t.Context(), dev, store)
			if err == nil {
				enc.Close()
				t.Fatal("no error")
			}
			for _, want := range append(test.want, store.Path()) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if after := dev.Info().Allocated; after != before {
				t.Errorf("%d bytes held after a failed Load", after-before)
			}
		})
	}
}

func TestBadIDs(t *testing.T) {
	enc, err := Load(t.Context(), openDevice(t), openStore(t))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for _, ids := range [][]int32{nil, {-1}, {1, int32(enc.sizes.Vocab)}} {
		if _, err := enc.Encode(t.Context(), ids); err == nil {
			t.Errorf("ids %v: no error", ids)
		}
	}
}

func TestRelease(t *testing.T) {
	dev := openDevice(t)
	enc, err := Load(t.Context(), dev, openStore(t))
	if err != nil {
		t.Fatal(err)
	}
	loaded := dev.Info().Allocated
	if vectors := int64(4 * enc.sizes.Dim * (2*len(enc.blocks) + 1)); loaded > 2*vectors+1<<12 {
		t.Errorf("%d bytes allocated for weights, want no more than the norms' %d", loaded, vectors)
	}
	if _, err := enc.Encode(t.Context(), []int32{1, 2, 0, 1}); err != nil {
		t.Fatal(err)
	}
	if held := dev.Info().Allocated; held != loaded {
		t.Errorf("Encode left %d bytes", held-loaded)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := enc.Encode(ctx, []int32{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	enc.Close()
	enc.Close()
	if held := dev.Info().Allocated; held != 0 {
		t.Errorf("Close left %d bytes", held)
	}
}

// The bounds follow from 8 + 8*log(distance/8)/log(16), cut to an integer.
func TestDistanceBucket(t *testing.T) {
	for _, test := range []struct {
		distance int
		want     int32
	}{
		{0, 0}, {-1, 1}, {-7, 7}, {-8, 8}, {-11, 8}, {-12, 9}, {-15, 9}, {-16, 10}, {-22, 10}, {-23, 11},
		{-32, 12}, {-64, 14}, {-127, 15}, {-128, 15}, {-5000, 15},
		{1, 17}, {7, 23}, {8, 24}, {16, 26}, {64, 30}, {128, 31}, {5000, 31},
	} {
		if got := distanceBucket(test.distance, 32); got != test.want {
			t.Errorf("distance %d: bucket %d, want %d", test.distance, got, test.want)
		}
	}
	if got, want := distanceBuckets(3, 8), []int32{2, 1, 0, 5, 6}; !slices.Equal(got, want) {
		t.Errorf("three tokens, eight buckets: %v, want %v", got, want)
	}
}
