package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// causalCheckpoint is the reference's causal checkpoint that has all parts.
func causalCheckpoint(t *testing.T) weights.Checkpoint {
	t.Helper()
	return weights.Checkpoint{Dir: filepath.Join(golden.Causal(t), "checkpoint-tiny-fast-cam")}
}

func loadCausal(t *testing.T, dev device.Device) *engine.Pipeline {
	t.Helper()
	p, err := engine.LoadModel(t.Context(), dev, causalCheckpoint(t), inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// quickCausal returns a job of four chunks that take a moment, in a window.
func quickCausal(t *testing.T) inference.Job {
	t.Helper()
	job := quick(t)
	var err error
	if job.Recipe, err = engine.RecipeOf(causalCheckpoint(t)); err != nil {
		t.Fatal(err)
	}
	job.ActionPath, job.Frames, job.MaxArea = "", 29, 32*32
	job.Chunk, job.Window, job.Sink = 2, 5, 1
	return job
}

// TestCausalResume interrupts a run in steps and in decodings: the resumed run gives the same
// video, and takes no step of a finished chunk again.
func TestCausalResume(t *testing.T) {
	p := loadCausal(t, openDevice(t))
	for _, mode := range []string{inference.CausalFast, inference.CausalPretrain} {
		job := quickCausal(t)
		if job.Mode = mode; mode == inference.CausalPretrain {
			job.Steps, job.Guidance = 3, inference.Guidance{Low: 5, High: 5}
		}
		if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
			t.Fatal(err)
		}
		want := read(t, job.Output)
		const chunks = 4
		for stop := 0; stop < chunks*(job.Steps+1); stop += 3 { // at steps and decodings of every kind
			job := job
			job.Output = filepath.Join(t.TempDir(), "video.mp4")
			ctx, cancel := context.WithCancel(t.Context())
			run, at, done := "", 0, 0
			_, err := p.Generate(ctx, job, "", func(e inference.Event) {
				switch e := e.(type) {
				case inference.Prepared:
					run = e.RunDir
				case inference.Step:
					if at++; at > stop {
						cancel()
					}
				case inference.Chunk:
					done = e.Index
					if at++; at > stop && e.Index < e.Total {
						cancel()
					}
				}
			})
			cancel()
			if err == nil && done == chunks {
				continue // there was nothing left to interrupt
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("%s, stopped at %d: %v", mode, stop, err)
			}
			paused, err := engine.ReadRun(run)
			if err != nil || paused.StepsDone < done*job.Steps {
				t.Fatalf("%s, stopped at %d: %d steps are done after %d chunks, %v", mode, stop, paused.StepsDone, done, err)
			}
			first := 0
			saved, err := p.Resume(t.Context(), run, func(e inference.Event) {
				if s, ok := e.(inference.Step); ok && first == 0 {
					first = s.Index
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if first != 0 && first != paused.StepsDone+1 {
				t.Errorf("%s, stopped at %d: resumed with step %d after %d", mode, stop, first, paused.StepsDone)
			}
			if !bytes.Equal(read(t, saved.Video), want) {
				t.Errorf("%s, stopped at %d: the resumed video differs", mode, stop)
			}
		}
	}
}

// TestFastIsNotGuided asks for guidance of a model that it was distilled into.
func TestFastIsNotGuided(t *testing.T) {
	p := loadCausal(t, openDevice(t))
	var videos [2][]byte
	for i, scale := range []float64{1, 5} {
		job := quickCausal(t)
		job.Frames, job.Guidance, job.CFGZero = 5, inference.Guidance{Low: scale, High: scale}, true
		if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
			t.Fatal(err)
		}
		videos[i] = read(t, job.Output)
	}
	if !bytes.Equal(videos[0], videos[1]) {
		t.Error("guidance changes the video of a fast model")
	}
}

// TestCausalKeptFrames goes on with a run whose finished frames are there, in part, cut off, or
// not: all give the same video, and what is there is taken from there.
func TestCausalKeptFrames(t *testing.T) {
	p := loadCausal(t, openDevice(t))
	job := quickCausal(t)
	job.Frames = 201 // more than the decoder looks back at
	if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	want := read(t, job.Output)
	for name, spoil := range map[string]func(file func(k int) string) error{
		"all":     func(func(int) string) error { return nil },
		"in part": func(file func(int) string) error { return os.Remove(file(22)) },
		"cut off": func(file func(int) string) error { return os.Truncate(file(3), 100) },
		"others":  func(file func(int) string) error { return os.Rename(file(2), file(1)) },
	} {
		job.Output = filepath.Join(t.TempDir(), "video.mp4")
		ctx, cancel := context.WithCancel(t.Context())
		run := ""
		_, err := p.Generate(ctx, job, "", func(e inference.Event) {
			switch e := e.(type) {
			case inference.Prepared:
				run = e.RunDir
			case inference.Chunk:
				if e.Index == 24 {
					cancel()
				}
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := spoil(func(k int) string { return filepath.Join(run, fmt.Sprintf("frames-%04d.rgb", k)) }); err != nil {
			t.Fatal(err)
		}
		next := 0
		saved, err := p.Resume(t.Context(), run, func(e inference.Event) {
			if f, ok := e.(inference.Frame); ok {
				if next++; f.Index != next {
					t.Errorf("%s: frame %d came as number %d", name, f.Index, next)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(read(t, saved.Video), want); same != (name != "others") {
			t.Errorf("%s: the same video: %t", name, same)
		}
		if next != 197 {
			t.Errorf("%s: %d frames", name, next)
		}
	}
}

// TestCausalEvents looks at what a run says while it works.
func TestCausalEvents(t *testing.T) {
	p := loadCausal(t, openDevice(t))
	job := quickCausal(t)
	steps, chunks, frames := 0, 0, 0
	_, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
		switch e := e.(type) {
		case inference.Prepared:
			frames = e.Frames
		case inference.Step:
			if steps++; e.Index != steps || e.Total != 16 || e.Expert != weights.Causal || len(e.Preview) != (chunks+1)*job.Chunk {
				t.Errorf("step %d of %d with %d previews after %d", e.Index, e.Total, len(e.Preview), steps)
			}
		case inference.Chunk:
			chunks++
			if e.Index != chunks || e.Total != 4 || e.Picture == nil || steps != 4*chunks {
				t.Errorf("chunk %+v after %d steps", e, steps)
			}
		}
	})
	if err != nil || steps != 16 || chunks != 4 || frames != 29 {
		t.Errorf("%d steps, %d chunks, %d frames, %v", steps, chunks, frames, err)
	}
}

// TestCausalPlannedBuffers compares what plans say of a device's buffers with what runs take.
func TestCausalPlannedBuffers(t *testing.T) {
	tiny := filepath.Join(t.TempDir(), "taew2_1.safetensors")
	smallDecoder(t, tiny, 16)
	for name, change := range map[string]func(*inference.Job){
		"window":           func(*inference.Job) {},
		"small decoder":    func(j *inference.Job) { j.Decoder, j.DecoderPath = inference.DecoderTiny, tiny },
		"small previews":   func(j *inference.Job) { j.DecoderPath = tiny },
		"everything":       func(j *inference.Job) { j.Window, j.Sink = -1, 0 },
		"last tokens":      func(j *inference.Job) { j.MaxAttention = 7 },
		"one chunk":        func(j *inference.Job) { j.Frames = 5 },
		"one frame a time": func(j *inference.Job) { j.Chunk, j.Frames = 1, 13 },
		"16-bit cache":     func(j *inference.Job) { j.AttentionDType = "bf16" },
		"whole VAE":        func(j *inference.Job) { j.VAEChunk = 0 },
		"weights kept":     func(j *inference.Job) { j.Offload, j.Frames = false, 245 },
		"tiles":            func(j *inference.Job) { j.VAETile, j.MaxArea = 64, 96*96 },
		"pretrain": func(j *inference.Job) {
			j.Mode, j.Steps, j.Guidance = inference.CausalPretrain, 2, inference.Guidance{Low: 5, High: 5}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dev := openDevice(t)
			p := loadCausal(t, dev)
			job := quickCausal(t)
			change(&job)
			planned, err := p.Plan(t.Context(), job)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
				t.Fatal(err)
			}
			var most int64
			names := map[string]bool{}
			for _, phase := range planned.Phases {
				most = max(most, phase.Buffers)
				if names[phase.Name] {
					t.Errorf("phase %s is there twice", phase.Name)
				}
				names[phase.Name] = true
			}
			if peak := dev.Info().Peak; peak != most {
				t.Errorf("%d bytes of buffers planned, %d measured", most, peak)
			}
		})
	}
}

// TestCausalLength plans videos of different lengths: with a window, memory is flat to the byte
// and every further chunk takes the same work.
func TestCausalLength(t *testing.T) {
	v, _ := engine.FindVariant("v2-1.3b-fast")
	plan := func(latent int) inference.Plan {
		job := inference.DefaultJob()
		job.Recipe = v.Recipe
		job.Prompt, job.Window, job.Sink, job.Frames = "a walk", 18, 6, inference.Wan.Frames(latent)
		p, err := engine.Plan(t.Context(), openDevice(t), engine.Request{Dims: v.Dims, Job: job, Camera: true})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	work := func(p inference.Plan, kind string) (flops, buffers int64) {
		for _, phase := range p.Phases {
			if phase.Kind() == kind {
				return phase.Work.FLOPs(), phase.Buffers
			}
		}
		t.Fatalf("no phase %s", kind)
		return 0, 0
	}
	plans := []inference.Plan{plan(60), plan(64), plan(1200), plan(1204)}
	for _, kind := range []string{"sample", "decode"} {
		var flops, buffers [4]int64
		for i, p := range plans {
			flops[i], buffers[i] = work(p, kind)
		}
		if buffers[0] != buffers[3] {
			t.Errorf("%s: %d bytes of buffers for a short video, %d for a long one", kind, buffers[0], buffers[3])
		}
		if early, late := flops[1]-flops[0], flops[3]-flops[2]; early != late || early <= 0 {
			t.Errorf("%s: chunk 16 takes %d FLOPs, chunk 301 %d", kind, early, late)
		}
	}
}

func TestCausalMistakes(t *testing.T) {
	p := loadCausal(t, openDevice(t))
	for _, c := range []struct {
		name   string
		change func(*inference.Job)
		want   []string
	}{
		{"a window without room for a chunk", func(j *inference.Job) { j.Window = 2 }, []string{"local_attn_size", "at least 3"}},
		{"fewer frames than a chunk", func(j *inference.Job) { j.Chunk, j.Frames, j.Window = 4, 9, -1 }, []string{"frame_num", "at least 13"}},
		{"steps in disorder", func(j *inference.Job) { j.TimestepsIndex = "500,250" }, []string{"timesteps_index", "rising"}},
		{"no such mode", func(j *inference.Job) { j.Mode = "causal_slow" }, []string{"infer_mode"}},
	} {
		job := quickCausal(t)
		c.change(&job)
		_, err := p.Generate(t.Context(), job, "", func(e inference.Event) { t.Errorf("%s: event %s before the error", c.name, e.Kind()) })
		for _, word := range c.want {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v does not say %q", c.name, err, word)
			}
		}
	}
}

// TestVariants tells what checkpoints are, from their folders and weights.
func TestVariants(t *testing.T) {
	root := golden.Causal(t)
	for _, c := range []struct {
		at   weights.Checkpoint
		keys bool
		want string
	}{
		{weights.Checkpoint{Dir: golden.Checkpoint(t)}, false, "base-cam"},
		{weights.Checkpoint{Dir: golden.Checkpoint(t)}, true, "base-act"},
		{causalCheckpoint(t), false, "fast-cam"},
		{weights.Checkpoint{Dir: filepath.Join(causalCheckpoint(t).Dir, weights.FastFolder)}, false, "fast-cam"},
		{weights.Checkpoint{Dir: filepath.Join(root, "checkpoint-tiny-act"), Model: inference.CausalFast}, true, "fast-act"},
		{weights.Checkpoint{Dir: filepath.Join(root, "checkpoint-tiny-v2")}, false, "v2-14b-fast"},
		{weights.Checkpoint{Dir: filepath.Join(root, "checkpoint-tiny-v2"), Model: inference.CausalPretrain}, false, "v2-14b-pretrain"},
		{weights.Checkpoint{Dir: filepath.Join(root, "checkpoint-tiny-v2-1.3b")}, false, "v2-1.3b-fast"},
	} {
		if _, err := os.Stat(c.at.Dir); err != nil {
			continue // the whole set of cases has it
		}
		v := engine.VariantOf(c.at, c.keys)
		if v.Name != c.want {
			t.Errorf("%+v is %s, want %s", c.at, v.Name, c.want)
		}
		if err := v.Recipe.Validate(); err != nil || v.Licence == "" {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

// TestChunkNoise makes videos of two lengths whose chunks have noise of their own: the longer
// one begins as the shorter one, also where it is resumed.
func TestChunkNoise(t *testing.T) {
	p := loadCausal(t, openDevice(t))
	latent := func(frames int) weights.Tensor {
		job := quickCausal(t)
		job.Frames, job.ChunkNoise, job.DumpFile = frames, true, filepath.Join(t.TempDir(), "dump.safetensors")
		if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
			t.Fatal(err)
		}
		return tensor(t, job.DumpFile, "latent")
	}
	long, short := latent(29), latent(13)
	frames, few := long.Shape[len(long.Shape)-3], short.Shape[len(short.Shape)-3]
	plane := 4 * long.Shape[len(long.Shape)-2] * long.Shape[len(long.Shape)-1] // bytes
	for c := range len(long.Data) / plane / frames {
		if !bytes.Equal(long.Data[c*frames*plane:][:few*plane], short.Data[c*few*plane:][:few*plane]) {
			t.Fatalf("channel %d of a video of %d latent frames differs from that of %d", c, frames, few)
		}
	}
	job := quick(t)
	job.ChunkNoise = true
	if _, err := load(t, golden.Checkpoint(t)).Generate(t.Context(), job, "", func(inference.Event) {}); err == nil || !strings.Contains(err.Error(), "chunk_noise") {
		t.Errorf("a model that makes its videos in one go: %v", err)
	}
}

func tensor(t *testing.T, file, name string) weights.Tensor {
	t.Helper()
	store, err := weights.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	v, err := store.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVariantByShapes opens checkpoints of the real widths without config.json: files whose
// tensors are holes.
func TestVariantByShapes(t *testing.T) {
	for name, d := range map[string]weights.Dims{"v2-14b-fast": weights.LingBotWorld, "v2-1.3b-fast": weights.LingBotWorldSmall} {
		dir := t.TempDir()
		writeHoles(t, filepath.Join(dir, "model.safetensors"), map[string][]int{
			"patch_embedding.weight": {d.Dim, 36, 1, 2, 2}, "blocks.0.ffn.0.weight": {d.FFN, d.Dim},
			"time_embedding.0.weight": {d.Dim, 256}, "head.head.weight": {64, d.Dim},
		})
		if v := engine.VariantOf(weights.Checkpoint{Dir: dir}, false); v.Name != name {
			t.Errorf("%d wide without config.json is %s, want %s", d.Dim, v.Name, name)
		}
	}
}

// writeHoles writes a safetensors file of BF16 tensors without contents.
func writeHoles(t *testing.T, path string, shapes map[string][]int) {
	t.Helper()
	header, at := map[string]any{}, 0
	for name, shape := range shapes {
		n := 2
		for _, d := range shape {
			n *= d
		}
		header[name] = map[string]any{"dtype": "BF16", "shape": shape, "data_offsets": []int{at, at + n}}
		at += n
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	if err := errors.Join(os.WriteFile(path, append(head, text...), 0o644), os.Truncate(path, int64(8+len(text)+at))); err != nil {
		t.Fatal(err)
	}
}
