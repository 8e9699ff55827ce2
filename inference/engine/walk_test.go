package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// openWalk opens a walk by the causal checkpoint of the tests.
func openWalk(t *testing.T, job inference.Job) *engine.Walk {
	t.Helper()
	w, err := loadCausal(t, openDevice(t)).Walk(t.Context(), job, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// turning returns a path that goes ahead and turns, with poses for so many frames.
func turning(frames int) *clip.Path {
	path, m := clip.StartWalk(), clip.NewMover()
	for i := 1; i < frames; i++ {
		by := clip.Motions{Forward: clip.WalkScale / 4., Right: 0.01 * float64(i%7)}
		path = path.Extend([]clip.Pose{m.Move(by)}, []clip.Keys{{Move: clip.WASD{1}, Turn: clip.IJKL{3: 1}}})
	}
	return path
}

// walkOn makes n chunks and returns their latents.
func walkOn(t *testing.T, w *engine.Walk, path *clip.Path, prompt *engine.Prompt, n int) (latents [][]float32) {
	t.Helper()
	for range n {
		x, err := w.Make(t.Context(), path, prompt)
		if err == nil {
			err = w.Remember(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		latents = append(latents, x)
	}
	return latents
}

func encode(t *testing.T, w *engine.Walk, text string) *engine.Prompt {
	t.Helper()
	p, err := w.Encode(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWalkIsAJob compares a walk with the job of its path: latents and pictures have the same
// bits, from the first chunk to those that the window has moved past.
func TestWalkIsAJob(t *testing.T) {
	job := quickCausal(t)
	w := openWalk(t, job)
	const chunks = 4
	path := turning(w.Shape().Frames(chunks))
	latents := walkOn(t, w, path, encode(t, w, job.Prompt), chunks)

	same := w.Job()
	same.ActionPath, same.Frames = filepath.Join(t.TempDir(), "camera"), w.Shape().Frames(chunks)
	same.Output, same.DumpFile = job.Output, filepath.Join(t.TempDir(), "dump.safetensors")
	same.FramesDir = filepath.Join(t.TempDir(), "frames")
	if err := path.Write(same.ActionPath); err != nil {
		t.Fatal(err)
	}
	if _, err := loadCausal(t, openDevice(t)).Generate(t.Context(), same, "", func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	whole := tensor(t, same.DumpFile, "latent")
	shape := whole.Shape[len(whole.Shape)-4:]
	plane, part := 4*shape[2]*shape[3], same.Chunk
	for k, x := range latents {
		for c := range shape[0] {
			got, want := device.Bytes(x)[c*part*plane:][:part*plane], whole.Data[(c*shape[1]+k*part)*plane:][:part*plane]
			if !bytes.Equal(got, want) {
				t.Fatalf("chunk %d, channel %d differs from the job's", k+1, c)
			}
		}
	}
	checkDecoded(t, w, latents, same.FramesDir)
	if p, err := w.Picture(); err != nil || p.Rect != image.Rect(0, 0, w.Shape().Width, w.Shape().Height) || !p.Opaque() {
		t.Errorf("the walk begins with a picture of %v, %v", p, err)
	}
}

// checkDecoded compares a walk's pictures with a run's.
func checkDecoded(t *testing.T, w *engine.Walk, latents [][]float32, dir string) {
	t.Helper()
	d := w.NewDecoder(false)
	defer d.Close()
	n := 0
	for k, x := range latents {
		err := d.Decode(t.Context(), x, func(p *image.RGBA) error {
			n++
			if !slices.Equal(p.Pix, readFrame(t, dir, n).Pix) {
				t.Errorf("picture %d differs", n)
			}
			return nil
		})
		if err != nil || n != w.Shape().Frames(k+1) {
			t.Fatalf("%d pictures after %d chunks, %v", n, k+1, err)
		}
	}
}

// back goes to the end of the first chunks that were made, and returns how many it was asked for.
func back(t *testing.T, w *engine.Walk, made [][]float32, path *clip.Path, prompt *engine.Prompt) (asked int) {
	t.Helper()
	return backSince(t, w, made, 0, "", path, prompt)
}

// backSince is back where the prompt has been the same since a chunk, and another one before.
func backSince(t *testing.T, w *engine.Walk, made [][]float32, since int, before string, path *clip.Path, prompt *engine.Prompt) (asked int) {
	t.Helper()
	err := w.Return(t.Context(), engine.Way{
		Chunks: len(made), Prompt: prompt, Since: since, Before: before, Path: path,
		Latent: func(k int) ([]float32, error) { asked++; return made[k], nil },
	}, func(int, int) {})
	if err != nil || w.Next() != len(made) {
		t.Fatalf("at chunk %d, %v", w.Next(), err)
	}
	return asked
}

// TestWalkBack goes back in a walk and on another way, and again the first way, in the same walk
// and in another one.
func TestWalkBack(t *testing.T) {
	job := quickCausal(t)
	w := openWalk(t, job)
	const far, chunks = 12, 15
	path := turning(w.Shape().Frames(chunks))
	first, other := encode(t, w, job.Prompt), encode(t, w, "a hall of mirrors")
	want := walkOn(t, w, path, first, chunks)
	asked := back(t, w, want[:far], path, first)
	if asked >= far {
		t.Errorf("asked for %d chunks of %d: this tests nothing", asked, far)
	}
	if got := walkOn(t, w, path, other, 1); slices.Equal(got[0], want[far]) {
		t.Error("another prompt made the same chunk")
	}
	back(t, w, want[:far], path, first)
	still := path.Until(w.Shape().Frames(far)) // and stay there
	for still.Frames() < path.Frames() {
		still = still.Extend([]clip.Pose{still.Last()}, []clip.Keys{{}})
	}
	if x, err := w.Make(t.Context(), still, first); err != nil || slices.Equal(x, want[far]) {
		t.Errorf("another path made the same chunk, %v", err)
	}
	checkOn := func(w *engine.Walk, from int, prompt *engine.Prompt) {
		t.Helper()
		for k, x := range walkOn(t, w, path, prompt, chunks-from) { // the chunk at hand is made again
			if !slices.Equal(x, want[from+k]) {
				t.Errorf("chunk %d differs after the way back", from+k+1)
			}
		}
	}
	checkOn(w, far, first)
	for _, to := range []int{0, 1, 3} {
		back(t, w, want[:to], path, first)
		checkOn(w, to, first)
	}
	w.Close()
	w = openWalk(t, job)
	prompt := encode(t, w, job.Prompt)
	back(t, w, want[:far], path, prompt)
	checkOn(w, far, prompt)
}

// TestWalkWords changes the prompt within the window and past it, with guidance and without, and
// goes back to before, to and behind the changes, in the same walk and in another one.
func TestWalkWords(t *testing.T) {
	changes, texts := []int{0, 1, 4, 11}, []string{"a hall", "a hall of mirrors", "a hall", "by night"}
	const chunks = 15
	words := func(k int) (since int, text, before string) { // by which chunk k is made
		for i, at := range changes {
			if at <= k && i > 0 {
				before = texts[i-1]
			}
			if at <= k {
				since, text = at, texts[i]
			}
		}
		return since, text, before
	}
	one := func(w *engine.Walk, path *clip.Path, k int) []float32 {
		_, text, _ := words(k)
		return walkOn(t, w, path, encode(t, w, text), 1)[0]
	}
	job := quickCausal(t)
	var plain []float32
	for _, scale := range []float64{1, 2} {
		job.WordsGuide = scale
		w := openWalk(t, job)
		path := turning(w.Shape().Frames(chunks))
		var want [][]float32
		for k := range chunks {
			want = append(want, one(w, path, k))
		}
		if scale == 1 {
			plain = want[1]
		} else if slices.Equal(want[1], plain) {
			t.Error("guidance changes nothing")
		}
		check := func(w *engine.Walk, to int) {
			t.Helper()
			if to > 0 {
				since, text, before := words(to - 1)
				backSince(t, w, want[:to], since, before, path, encode(t, w, text))
			} else {
				back(t, w, nil, path, nil)
			}
			for k := to; k < chunks; k++ {
				if x := one(w, path, k); !slices.Equal(x, want[k]) {
					t.Fatalf("scale %g: chunk %d differs after the way back to chunk %d", scale, k+1, to)
				}
			}
		}
		for _, to := range []int{13, 12, 11, 5, 4, 3, 1, 0} {
			check(w, to)
		}
		w.Close()
		w = openWalk(t, job)
		check(w, 12)
		check(w, 4)
	}
}

// TestWalkTell looks at what a change of the prompt does: where the window holds all of the video,
// the model remembers it as it would had it been made by the new one. A change that is stopped, or
// that no chunk was made after, can be made again, but for that to the prompt before.
func TestWalkTell(t *testing.T) {
	w := openWalk(t, quickCausal(t))
	path := turning(w.Shape().Frames(3))
	first, other := encode(t, w, "a hall"), encode(t, w, "a hall of mirrors")
	made := walkOn(t, w, path, first, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Tell(ctx, path, other); !errors.Is(err, context.Canceled) || w.Next() != 1 {
		t.Fatalf("at chunk %d, %v", w.Next(), err)
	}
	if _, err := w.Make(t.Context(), path, first); err == nil || !strings.Contains(err.Error(), "Return") {
		t.Errorf("the prompt before a change that was stopped: %v", err)
	}
	changed, err := w.Make(t.Context(), path, other)
	if err != nil {
		t.Fatal(err)
	}
	back(t, w, made, path, first)
	kept, err := w.Make(t.Context(), path, first)
	if err != nil {
		t.Fatal(err)
	}
	back(t, w, made, path, other) // as though it had been made by it
	if x := walkOn(t, w, path, other, 1)[0]; !slices.Equal(x, changed) || slices.Equal(x, kept) {
		t.Error("after a change of the prompt the chunk is not what it is where that was the prompt all along")
	}
}

// TestWalkCancelled stops a chunk: the walk goes on from where it was.
func TestWalkCancelled(t *testing.T) {
	job := quickCausal(t)
	w := openWalk(t, job)
	path := turning(w.Shape().Frames(3))
	prompt := encode(t, w, job.Prompt)
	want := walkOn(t, w, path, prompt, 2)[1]
	back(t, w, nil, path, prompt)
	walkOn(t, w, path, prompt, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Make(ctx, path, prompt); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := w.Remember(t.Context()); err == nil {
		t.Error("a chunk that was not made is remembered")
	}
	if got := walkOn(t, w, path, prompt, 1)[0]; !slices.Equal(got, want) {
		t.Error("the chunk differs after it was stopped once")
	}
}

func TestWalkMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*inference.Job)
		want   string
	}{
		"no picture": {func(j *inference.Job) { j.Image = "" }, "image"},
		"no prompt":  {func(j *inference.Job) { j.Prompt = " " }, "prompt"},
		"no window":  {func(j *inference.Job) { j.Window, j.Sink = 2, 1 }, "local_attn_size"},
	} {
		job := quickCausal(t)
		c.change(&job)
		_, err := loadCausal(t, openDevice(t)).Walk(t.Context(), job, func(inference.Event) {})
		if wrong := inference.SettingErrors(err); len(wrong) != 1 || wrong[0].Setting != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := load(t, golden.Checkpoint(t)).Walk(t.Context(), quick(t), func(inference.Event) {})
	if wrong := inference.SettingErrors(err); len(wrong) != 1 || wrong[0].Setting != "infer_mode" {
		t.Errorf("a model that makes its videos in one go: %v", err)
	}
	w := openWalk(t, quickCausal(t))
	if _, err := w.Make(t.Context(), turning(2), encode(t, w, "a hall")); err == nil || !strings.Contains(err.Error(), "poses") {
		t.Errorf("a path that is too short: %v", err)
	}
}

func readFrame(t *testing.T, dir string, n int) *image.RGBA {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, fmt.Sprintf("frame_%05d.png", n)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	rgba := image.NewRGBA(img.Bounds())
	draw.Draw(rgba, rgba.Rect, img, image.Point{}, draw.Src)
	return rgba
}

// TestWalkVariants walks by every causal checkpoint of the reference's: the camera matters to
// each, and so do keys to an act one.
func TestWalkVariants(t *testing.T) {
	root := golden.Causal(t)
	assets := filepath.Join(root, "checkpoint-tiny-fast-cam")
	for name, at := range map[string]weights.Checkpoint{
		"cam":      {Dir: assets},
		"act":      {Dir: filepath.Join(root, "checkpoint-tiny-act"), Assets: assets, Model: inference.CausalFast},
		"v2":       {Dir: filepath.Join(root, "checkpoint-tiny-v2"), Assets: assets},
		"1.3b":     {Dir: filepath.Join(root, "checkpoint-tiny-v2-1.3b"), Assets: assets},
		"pretrain": {Dir: filepath.Join(root, "checkpoint-tiny-v2"), Assets: assets, Model: inference.CausalPretrain},
	} {
		if _, err := os.Stat(at.Dir); err != nil {
			continue // the whole set of cases has it
		}
		t.Run(name, func(t *testing.T) {
			p, err := engine.LoadModel(t.Context(), openDevice(t), at, inference.QuantNone, func(inference.Event) {})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			job := quickCausal(t)
			if job.Recipe, err = engine.RecipeOf(at); err != nil {
				t.Fatal(err)
			}
			job.MaxArea, job.Chunk, job.Window, job.Sink, job.Steps = 32*32, 1, 3, 1, min(job.Steps, 4)
			w, err := p.Walk(t.Context(), job, func(inference.Event) {})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			const chunks = 4 // past the window
			frames := w.Shape().Frames(chunks)
			still := clip.StartWalk().Extend(slices.Repeat([]clip.Pose{clip.StartWalk().Last()}, frames-1), slices.Repeat([]clip.Keys{{}}, frames-1))
			prompt := encode(t, w, job.Prompt)
			moved := walkOn(t, w, turning(frames), prompt, chunks)
			back(t, w, nil, still, prompt)
			stood := walkOn(t, w, still, prompt, chunks)
			if slices.Equal(moved[chunks-1], stood[chunks-1]) {
				t.Error("the camera does not matter")
			}
			if p.ReadsKeys() != w.Shape().Keys {
				t.Error("the walk's shape does not say whether keys are read")
			}
		})
	}
}
