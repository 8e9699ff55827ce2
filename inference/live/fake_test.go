package live

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
)

// fake is a Walker whose chunks say what they were made of, and take their time.
type fake struct {
	takes struct{ encode, tell, make, remember, replay, picture time.Duration }
	fail  error // of the next chunk

	spoiled map[float32]bool // chunks that cannot be decoded, by their numbers on the way

	mu         sync.Mutex
	words      string    // by which chunks are remembered
	since      int       // the first chunk that was made by them
	remembered []float32 // a number for every chunk
	made       float32   // of the chunk that is not remembered yet
	decoders   int
	closed     bool
}

func newFake() *fake {
	f := &fake{}
	f.takes.encode, f.takes.make, f.takes.remember, f.takes.replay, f.takes.picture = 300*time.Millisecond, 200*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond, 10*time.Millisecond
	return f
}

const fakeLatent = 4

func (f *fake) Shape() engine.Shape {
	return engine.Shape{Width: 32, Height: 16, Chunk: 2, Latent: fakeLatent, Steps: 4}
}
func (f *fake) Source() (dir, fingerprint string) { return "model", "fingerprint" }
func (f *fake) Close()                            { f.closed = true }

func (f *fake) Picture() (*image.RGBA, error) { return image.NewRGBA(image.Rect(0, 0, 32, 16)), nil }

func (f *fake) Job() inference.Job {
	j := inference.DefaultJob()
	j.Prompt, j.Image = "a hall", picturePath
	return j
}

// set changes the fake while it works.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// wait takes time, as computing does, unless ctx ends.
func (f *fake) wait(ctx context.Context, takes *time.Duration) error {
	f.mu.Lock()
	d := *takes
	f.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (f *fake) Encode(ctx context.Context, text string) (*engine.Prompt, error) {
	if text == "" {
		return nil, errors.New("no words")
	}
	return &engine.Prompt{Text: text}, f.wait(ctx, &f.takes.encode)
}

// number mixes what a chunk is made of: the chunk before, the last pose, the prompt, and since
// which chunk that was the prompt.
func number(before float32, path *clip.Path, frames int, prompt string, since int) float32 {
	p := path.Poses()[frames-1]
	v := float64(before) + float64(since)
	for _, row := range p {
		for _, x := range row {
			v = math.Mod(v*1.7+x*3.1, 97)
		}
	}
	for _, r := range prompt {
		v = math.Mod(v*1.3+float64(r), 97)
	}
	return float32(v)
}

func (f *fake) before() float32 {
	if len(f.remembered) == 0 {
		return 1
	}
	return f.remembered[len(f.remembered)-1]
}

func (f *fake) Tell(ctx context.Context, _ *clip.Path, prompt *engine.Prompt) error {
	f.mu.Lock()
	known := prompt.Text == f.words
	f.mu.Unlock()
	if known {
		return nil
	}
	if err := f.wait(ctx, &f.takes.tell); err != nil {
		return err
	}
	f.set(func() { f.words, f.since = prompt.Text, len(f.remembered) })
	return nil
}

func (f *fake) Make(ctx context.Context, path *clip.Path, prompt *engine.Prompt) ([]float32, error) {
	if err := f.wait(ctx, &f.takes.make); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if prompt.Text != f.words {
		return nil, fmt.Errorf("told %q, to make a chunk by %q", f.words, prompt.Text)
	}
	f.made = number(f.before(), path, f.Shape().Frames(len(f.remembered)+1), prompt.Text, f.since)
	return []float32{f.made, float32(len(f.remembered)), 0, 0}, nil
}

func (f *fake) Remember(ctx context.Context) error {
	f.mu.Lock()
	f.remembered = append(f.remembered, f.made)
	f.mu.Unlock()
	return f.wait(ctx, &f.takes.remember)
}

func (f *fake) Return(ctx context.Context, way engine.Way, progress func(done, of int)) error {
	f.set(func() { f.remembered, f.words, f.since = nil, way.Prompt.Text, way.Since })
	for k := range way.Chunks {
		progress(k, way.Chunks)
		latent, err := way.Latent(k)
		if err != nil {
			return err
		}
		f.mu.Lock()
		want := number(f.before(), way.Path, f.Shape().Frames(k+1), way.Prompt.Text, way.Since)
		f.remembered = append(f.remembered, latent[0])
		f.mu.Unlock()
		if k >= way.Since && latent[0] != want {
			return fmt.Errorf("chunk %d is brought back as %v, want %v", k, latent[0], want)
		}
		if err := f.wait(ctx, &f.takes.replay); err != nil {
			return err
		}
	}
	return nil
}

func (f *fake) NewDecoder(bool) Decoder {
	f.set(func() { f.decoders++ })
	return &fakeDecoder{f: f}
}

type fakeDecoder struct {
	f    *fake
	seen int
}

// Decode makes pictures of the chunk's number and their own.
func (d *fakeDecoder) Decode(ctx context.Context, latent []float32, emit func(*image.RGBA) error) error {
	n := 8
	if d.seen == 0 {
		n = 5
	}
	d.seen++
	if d.f.spoiled[latent[1]] {
		return errors.New("the latent is spoiled")
	}
	for i := range n {
		if err := d.f.wait(ctx, &d.f.takes.picture); err != nil {
			return err
		}
		img := image.NewRGBA(image.Rect(0, 0, 32, 16))
		img.Set(0, 0, color.RGBA{uint8(latent[0]), uint8(latent[1]), uint8(i), 255})
		if err := emit(img); err != nil {
			return err
		}
	}
	return nil
}

func (d *fakeDecoder) Close() { d.f.set(func() { d.f.decoders-- }) }

func (f *fake) Save(ctx context.Context, v engine.WalkVideo, emit func(inference.Event)) (inference.Saved, error) {
	var text string
	for k := range v.Chunks {
		latent, err := v.Latent(k)
		if err != nil {
			return inference.Saved{}, err
		}
		text += fmt.Sprintln(latent[0])
	}
	return inference.Saved{Video: v.Output}, os.WriteFile(v.Output, []byte(text), 0o644)
}

var picturePath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "live")
	if err != nil {
		panic(err)
	}
	picturePath = filepath.Join(dir, "picture.png")
	f, err := os.Create(picturePath)
	if err == nil {
		err = errors.Join(png.Encode(f, image.NewGray(image.Rect(0, 0, 32, 16))), f.Close())
	}
	if err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// rig is a session over a fake, in a bubble of time.
type rig struct {
	*Session
	t    *testing.T
	f    *fake
	mu   sync.Mutex
	seen []look
}

// look is a picture that was seen.
type look struct {
	Picture
	at time.Time
}

func newRig(t *testing.T, dir string, f *fake, idle bool) *rig {
	t.Helper()
	r := &rig{t: t, f: f}
	r.Session = New(Options{
		Open: func(context.Context) (Walker, error) { return f, nil }, Dir: dir, Idle: idle, Changed: func() {}, Log: slog.New(slog.DiscardHandler),
		Picture: func(p Picture) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen = append(r.seen, look{p, time.Now()})
		},
	})
	return r
}

// looks returns what was seen since the last call.
func (r *rig) looks() []look {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := r.seen
	r.seen = nil
	return list
}

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// walk holds something for a while, and waits until the chunks of it are seen.
func (r *rig) walk(in Input, d time.Duration) {
	r.Hold(in)
	r.pass(d)
	r.Hold(Input{})
	r.pass(2 * time.Second)
}

func (r *rig) promptsKept() []string {
	r.keep.Lock()
	defer r.keep.Unlock()
	return slices.Clone(r.rec.prompts)
}

func (r *rig) close() {
	r.t.Helper()
	if err := r.Close(); err != nil || !r.f.closed || r.f.decoders != 0 {
		r.t.Errorf("closed with %d decoders open, %v", r.f.decoders, err)
	}
}

var forward = Input{Move: clip.WASD{1}}
