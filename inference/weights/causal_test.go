package weights_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// causalParts are the folders of the reference's causal checkpoints: one with everything,
// and its transformer.
func causalParts(t *testing.T) (whole, fast string) {
	t.Helper()
	whole = filepath.Join(golden.Causal(t), "checkpoint-tiny-fast-cam")
	return whole, filepath.Join(whole, weights.FastFolder)
}

// linked makes a folder of links, by the paths that they go to.
func linked(t *testing.T, links map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, to := range links {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// assets links what a checkpoint holds besides its transformers.
func assets(t *testing.T, whole, folder string) map[string]string {
	t.Helper()
	links := map[string]string{}
	entries, err := os.ReadDir(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != weights.FastFolder {
			links[filepath.Join(folder, e.Name())] = filepath.Join(whole, e.Name())
		}
	}
	return links
}

func with(links map[string]string, name, to string) map[string]string {
	links[name] = to
	return links
}

// inRoot links the files of a folder.
func inRoot(t *testing.T, links map[string]string, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		links[e.Name()] = filepath.Join(folder, e.Name())
	}
	return links
}

// TestCausalLayouts opens a causal model in every place where one may be.
func TestCausalLayouts(t *testing.T) {
	whole, fast := causalParts(t)
	base := golden.Checkpoint(t)
	experts := func(links map[string]string) map[string]string {
		for _, name := range []string{weights.HighNoise, weights.LowNoise} {
			links[name] = filepath.Join(base, name)
		}
		return links
	}
	for _, c := range []struct {
		name   string
		links  map[string]string
		change func(*weights.Checkpoint)
		want   string // of the expert's path, "" for the two experts
	}{
		{"v1", with(assets(t, whole, ""), weights.FastFolder, fast), nil, weights.FastFolder},
		{"v2", with(assets(t, whole, ""), weights.V2Folder, fast), nil, weights.V2Folder},
		{"v2, as pretrain", with(assets(t, whole, ""), weights.V2Folder, fast), func(c *weights.Checkpoint) { c.Model = weights.CausalPretrain }, weights.V2Folder},
		{"pretrain", with(with(assets(t, whole, ""), weights.PretrainFolder, fast), weights.V2Folder, fast), func(c *weights.Checkpoint) { c.Model = weights.CausalPretrain }, weights.PretrainFolder},
		{"in the root", inRoot(t, assets(t, whole, ""), fast), nil, "."},
		{"in base-cam, of which it is not asked for", with(experts(assets(t, whole, "")), weights.FastFolder, fast), nil, ""},
		{"in base-cam", with(experts(assets(t, whole, "")), weights.FastFolder, fast), func(c *weights.Checkpoint) { c.Model = weights.CausalFast }, weights.FastFolder},
		{"around it", with(assets(t, whole, ""), weights.FastFolder, fast), func(c *weights.Checkpoint) { c.Dir = filepath.Join(c.Dir, weights.FastFolder) }, "."},
		{"beside it", with(assets(t, whole, "lingbot-world-base-cam"), "fast", fast), func(c *weights.Checkpoint) { c.Dir = filepath.Join(c.Dir, "fast") }, "."},
		{"assets", with(assets(t, whole, "a/base"), "dit", fast), func(c *weights.Checkpoint) {
			c.Dir, c.Assets = filepath.Join(c.Dir, "dit"), filepath.Join(c.Dir, "a", "base")
		}, "."},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := weights.Checkpoint{Dir: linked(t, c.links)}
			if c.change != nil {
				c.change(&at)
			}
			l, err := at.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if l.Text == nil || l.VAE == nil || l.TokenizerDir == "" {
				t.Errorf("%+v lacks a part", l)
			}
			causal, ok := l.Experts[weights.Causal]
			if ok != (c.want != "") || !ok && len(l.Experts) != 2 {
				t.Fatalf("transformers %v", l.Experts)
			}
			if ok && (len(l.Experts) != 1 || causal.Store.Path() != filepath.Join(at.Dir, c.want)) {
				t.Errorf("opened %s, want %s", causal.Store.Path(), filepath.Join(at.Dir, c.want))
			}
		})
	}
}

// TestCausalMissing names what would do where there is no transformer, and the places where a
// part was looked for.
func TestCausalMissing(t *testing.T) {
	whole, fast := causalParts(t)
	alone := filepath.Join(linked(t, map[string]string{"alone/" + weights.V2Folder: fast}), "alone")
	for _, c := range []struct {
		name string
		at   weights.Checkpoint
		want []string
	}{
		{"no transformer", weights.Checkpoint{Dir: linked(t, assets(t, whole, ""))}, []string{weights.FastFolder, weights.HighNoise}},
		{"no causal model", weights.Checkpoint{Dir: golden.Checkpoint(t), Model: weights.CausalFast}, []string{weights.FastFolder}},
		{"no assets", weights.Checkpoint{Dir: alone}, []string{"text encoder", "VAE", "tokenizer"}},
		{"wrong assets", weights.Checkpoint{Dir: alone, Assets: t.TempDir()}, []string{"text encoder", " and "}},
		{"assets that are not there", weights.Checkpoint{Dir: alone, Assets: "/nowhere"}, []string{"/nowhere"}},
	} {
		l, err := c.at.Open()
		if err == nil {
			l.Close()
			t.Errorf("%s: no error", c.name)
			continue
		}
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v does not say %q", c.name, err, word)
			}
		}
	}
}

// TestShapeConfig takes sizes from shapes alone.
func TestShapeConfig(t *testing.T) {
	for _, d := range []weights.Dims{{Dim: 256, FFN: 300, Heads: 2, Layers: 3, Text: 40}, weights.LingBotWorld} {
		z := d.ExpertSizes()
		got, err := weights.ShapeConfig(weights.OfShapes("shapes", z.Table().Tensors(device.F32)))
		if err != nil || !reflect.DeepEqual(got, z.Config) {
			t.Errorf("%+v, %v; want %+v", got, err, z.Config)
		}
	}
	odd := weights.Dims{Dim: 200, FFN: 300, Heads: 2, Layers: 1, Text: 40}.ExpertSizes()
	for _, tensors := range [][]weights.Tensor{odd.Table().Tensors(device.F32), {{Name: "x", DType: device.F32, Shape: []int{1}}}} {
		if _, err := weights.ShapeConfig(weights.OfShapes("shapes", tensors)); err == nil || !strings.Contains(err.Error(), "config.json") {
			t.Errorf("%d tensors: %v", len(tensors), err)
		}
	}
}
