package engine

import (
	"context"
	"errors"
	"fmt"
	"image"
	"maps"
	"slices"
	"sync"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/picture"
	"gimbal/inference/vae"
	"gimbal/inference/video"
	"gimbal/inference/wan"
)

// Walk is a causal model at work on a video without a known end: its client says chunk by
// chunk where the camera goes and what the prompt is, and may go back. Chunks are made by one
// goroutine, prompts encoded by another and pictures decoded by further ones, all at once; the
// device takes turns. What the walk holds does not grow with its length.
//
// A walk whose prompt, seed and path are those of a job of ChunkNoise and CameraScale makes
// that job's video, the same bits. Where the prompt changes, what the model remembers is computed
// again as by the new one: see Tell.
type Walk struct {
	maker   *maker
	release func()

	encode sync.Mutex // guards the text encoder
	told   []*Prompt  // of the session at hand

	words   string            // by which what is remembered was computed; "" after an error
	last    string            // by which the last chunk was made
	since   int               // the first chunk made by words, or to be
	before  string            // by which the chunk before that was made
	old     *Prompt           // that, or an older one
	latents map[int][]float32 // of the chunks that the next one attends to

	encoder *vae.PictureEncoder
	still   [][]float32 // the picture's latent of each chunk, until it changes no more
	next    int         // number of the chunk to be made
	closed  bool
	made    bool // its latent is in the maker, and not remembered yet
}

// Prompt is what a Walk is told in words.
type Prompt struct {
	Text   string
	ids    [2][]int32
	states [][]float32
}

// Shape is what the chunks of a Walk are made of.
type Shape struct {
	Width, Height int  // pixels
	Chunk         int  // latent frames of a chunk
	Latent        int  // values of a chunk's latent
	Steps         int  // forwards of a chunk, but for those that remember it
	Keys          bool // the model is told the keys, see Model.ReadsKeys
}

// Frames returns the number of pictures of the first n chunks.
func (s Shape) Frames(n int) int {
	if n == 0 {
		return 0
	}
	return inference.Wan.Frames(n * s.Chunk)
}

// OpenWalk opens the model of a request and prepares a walk from the job's picture by its
// recipe; prompt, control and outputs of the job do not count. Runs wait until the walk is
// closed. The error is a SettingError of infer_mode where the model makes its videos in one go.
func (l *Local) OpenWalk(ctx context.Context, r Request, emit func(inference.Event)) (*Walk, error) {
	dev, err := l.open(ctx)
	if err == nil {
		err = l.takeTurn(ctx)
	}
	if err != nil {
		return nil, err
	}
	w, err := l.openWalk(ctx, dev, r, emit)
	if err != nil {
		l.running.unlock()
		return nil, err
	}
	w.release = l.running.unlock
	return w, nil
}

func (l *Local) openWalk(ctx context.Context, dev device.Device, r Request, emit func(inference.Event)) (*Walk, error) {
	defer l.dropLost()
	if err := l.load(ctx, dev, checkpointOf(r.Checkpoint, r.Job), r.Job.Quant, emit); err != nil {
		return nil, err
	}
	return l.pipeline.Walk(ctx, r.Job, emit)
}

// Walk is Local.OpenWalk of an open checkpoint, of which nothing else may run meanwhile.
func (p *Pipeline) Walk(ctx context.Context, job inference.Job, emit func(inference.Event)) (*Walk, error) {
	r, err := p.prepareWalk(ctx, job)
	if err != nil {
		return nil, err
	}
	var one sync.Mutex
	r.emit = func(e inference.Event) {
		one.Lock()
		defer one.Unlock()
		emit(e)
	}
	w := &Walk{maker: &maker{run: r}, release: func() {}, latents: map[int][]float32{}}
	if err := w.open(ctx); err != nil {
		w.Close()
		return nil, err
	}
	for _, n := range r.notices {
		r.emit(n)
	}
	return w, nil
}

// prepareWalk is prepare of a walk: of a job that stands for it as far as memory goes.
func (p *Pipeline) prepareWalk(ctx context.Context, job inference.Job) (*run, error) {
	if !p.causal() {
		return nil, &inference.SettingError{Setting: "infer_mode", Mistake: inference.Unusable,
			Found: "a model that makes its videos in one go", Want: "a causal one, which makes them chunk by chunk"}
	}
	walk := p.walkJob(job)
	r, err := p.prepareRun(walk, validateWalk(walk))
	if err != nil {
		return nil, err
	}
	first, err := r.plan(ctx)
	if err == nil {
		err = r.checkMemory(ctx, first)
	}
	if err == nil {
		err = p.adapt(ctx, r.adapted)
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// walkJob returns the job whose run does what a walk does: past its window, with all parts of
// the model in memory.
func (p *Pipeline) walkJob(job inference.Job) inference.Job {
	job.ActionPath, job.ActionString, job.Output, job.FramesDir, job.DumpFile, job.VAETile = "", "", "", "", "", 0
	job.Offload, job.ChunkNoise, job.CameraScale = false, true, clip.WalkScale
	if job.Chunk == 0 {
		job.Chunk = p.variant.Recipe.Chunk
	}
	if job.Window <= 0 {
		job.Window, job.Sink = max(walkWindow, walkSink+job.Chunk), walkSink
	}
	job.Frames = inference.Wan.Frames(job.Window + 2*job.Chunk)
	return job
}

// validateWalk is Validate of a job that writes nothing.
func validateWalk(job inference.Job) error {
	_, err := Validate(job)
	var wrong []error
	for _, e := range inference.SettingErrors(err) {
		if e.Setting != "save_file" {
			wrong = append(wrong, e)
		}
	}
	return errors.Join(wrong...)
}

// The window of a model whose recipe has none, in latent frames: memory and the time of a
// chunk would grow for ever. It is what the makers of LingBot-World 2.0 recommend.
const walkWindow, walkSink = 18, 6

// open makes what all chunks share.
func (w *Walk) open(ctx context.Context) (err error) {
	r := w.maker.run
	if p, ok := r.p.dev.(device.Preparer); ok {
		p.OnPreparation(func(n device.Preparation) { r.emit(inference.Preparing(n)) })
	}
	if r.small, err = r.p.openSmall(ctx, r.p.dev, r.job); err != nil && asksForSmall(r.job) {
		return err
	}
	img, err := r.picture.get()
	if err != nil {
		return err
	}
	if w.encoder, err = r.p.vae.NewPictureEncoder(picture.Tensor(img, r.clip.Width, r.clip.Height), r.clip.Height, r.clip.Width); err != nil {
		return err
	}
	first, err := w.Encode(ctx, r.job.Prompt)
	if err != nil {
		return err
	}
	w.told, r.prompts = []*Prompt{first}, first.ids
	if err := w.maker.prepareChunks(ctx, first.states); err != nil {
		return err
	}
	return w.tellPicture(ctx) // so that the first chunk is there sooner
}

// Close gives everything back and lets the next run begin. No other call may be under way.
// Calls after the first do nothing.
func (w *Walk) Close() {
	if w.closed {
		return
	}
	w.closed = true
	r := w.maker.run
	w.maker.close()
	if w.encoder != nil {
		w.encoder.Close()
	}
	r.small.close()
	if p, ok := r.p.dev.(device.Preparer); ok {
		p.OnPreparation(nil)
	}
	r.p.dev.Trim()
	w.release()
}

// Job returns the job whose video the walk makes where its prompt does not change, but for the
// path and the files.
func (w *Walk) Job() inference.Job { return w.maker.job }

// Source says which checkpoint the walk is of.
func (w *Walk) Source() (dir, fingerprint string) {
	s := w.maker.source()
	return s.Dir, s.Fingerprint
}

// Shape returns what chunks are made of.
func (w *Walk) Shape() Shape {
	m := w.maker
	return Shape{
		Width: m.clip.Width, Height: m.clip.Height, Chunk: m.chunks.Chunk, Latent: m.chunkLatent(m.p.vae.Channels()), Steps: m.chunks.steps,
		Keys: m.p.ReadsKeys(),
	}
}

// Picture returns the picture that the walk begins with, as the model sees it.
func (w *Walk) Picture() (*image.RGBA, error) {
	r := w.maker.run
	rgb, err := r.firstFrame()
	if err != nil {
		return nil, err
	}
	return toImage(rgb, r.clip.Width, r.clip.Height), nil
}

// toImage returns rgb, [3, height, width] from -1 to 1, as a picture.
func toImage(rgb []float32, width, height int) *image.RGBA {
	img, n := image.NewRGBA(image.Rect(0, 0, width, height)), width*height
	video.FromFloat(img, rgb[:n], rgb[n:2*n], rgb[2*n:])
	return img
}

// Encode encodes a prompt.
func (w *Walk) Encode(ctx context.Context, text string) (*Prompt, error) {
	w.encode.Lock()
	defer w.encode.Unlock()
	r := w.maker.run
	job := r.job
	job.Prompt = text
	if err := validateWalk(job); err != nil {
		return nil, err
	}
	if err := r.p.openText(ctx); err != nil {
		return nil, err
	}
	p := &Prompt{Text: text}
	texts := [2]string{text, job.NegativePrompt}
	for i := range r.contexts() {
		p.ids[i] = r.p.tokenizer.Encode(texts[i])
		states, err := r.p.text.Encode(ctx, p.ids[i])
		if err != nil {
			return nil, fmt.Errorf("encoding the prompt: %w", err)
		}
		p.states = append(p.states, states)
	}
	return p, nil
}

// Next returns the number of the chunk that is made next.
func (w *Walk) Next() int { return w.next }

// Tell has the next chunk made by a prompt. Where that says something else than the chunk before
// was made by, the model remembers the chunks that the next one attends to, and nothing else, as
// it would had they been made by it: their keys and values were computed under the old words,
// which would go on acting for as long as the window reaches. That takes a forward for each of
// them. The path holds the poses so far. With words_guide_scale the first chunks after that are
// guided from the old words to the new, see wan.Session.SetChange.
func (w *Walk) Tell(ctx context.Context, path *clip.Path, prompt *Prompt) error {
	switch {
	case w.next == 0 || prompt.Text == w.words:
		return nil
	case prompt.Text == w.last:
		return errOtherWords
	}
	if w.guides() && len(w.told) > 0 && w.told[0].Text == w.last {
		w.old = w.told[0]
	}
	known := Way{
		Chunks: w.next, Since: w.next, Prompt: prompt, Before: w.last, Path: path,
		Latent: func(k int) ([]float32, error) { return w.latents[k], nil },
	}
	return w.recallWay(ctx, known, func(int, int) {})
}

// errOtherWords is of a prompt to which only Return leads back.
var errOtherWords = errors.New("walk: what was remembered by this prompt was computed again by another: call Return first")

// Make makes the next chunk and returns its latent, [channels, Chunk, h, w]. The path holds
// the poses up to the chunk's end. It tells the prompt first, unless that is done. It may be
// called again for the same chunk, which then goes another way, until Remember.
func (w *Walk) Make(ctx context.Context, path *clip.Path, prompt *Prompt) ([]float32, error) {
	if err := w.Tell(ctx, path, prompt); err != nil {
		return nil, w.failed(err)
	}
	prompts, err := w.prompts(ctx, prompt)
	if err == nil {
		err = w.begin(ctx, path, prompts, 0)
	}
	if err != nil {
		return nil, w.failed(err)
	}
	w.words = prompt.Text
	m := w.maker
	noise := chunkNoise(m.job, w.next)
	noise.Normal(m.x)
	err = m.sample(ctx, w.next, 1, noise.Normal, func(step denoise.Step, _ []float32, _ int) error {
		if bad := unhealthy(m.x); bad != "" {
			return &inference.UnhealthyError{Step: step.Index + 1, Expert: step.Expert, Where: "latent after the solver", Found: bad}
		}
		return nil
	})
	if err != nil {
		return nil, w.failed(err)
	}
	w.made = true
	return slices.Clone(m.x), nil
}

// guidedChunks is how many chunks after a change of words are guided from the old to the new.
const guidedChunks = 3

// guides reports whether chunks after a change of words are guided. A model that has guidance of its
// own has them not.
func (w *Walk) guides() bool {
	scale := w.maker.job.WordsGuide
	return scale != 0 && scale != 1 && w.maker.contexts == 1
}

// prompts returns by what the next chunk is made: a prompt, and, where it is guided, that before the
// last change.
func (w *Walk) prompts(ctx context.Context, prompt *Prompt) (_ []*Prompt, err error) {
	if !w.guides() || w.since == 0 || w.next >= w.since+guidedChunks {
		return []*Prompt{prompt}, nil
	}
	if w.old == nil || w.old.Text != w.before {
		w.old, err = w.Encode(ctx, w.before)
	}
	return []*Prompt{prompt, w.old}, err
}

// Remember has the model remember the chunk that was made, and goes on to the next.
func (w *Walk) Remember(ctx context.Context) error {
	if !w.made {
		return errors.New("walk: there is no chunk to remember")
	}
	err := w.setPrompts(ctx, w.told[:1]) // without guidance
	if err == nil {
		err = w.maker.remember(ctx, 1)
	}
	if err != nil {
		return w.failed(err)
	}
	w.latents[w.next] = slices.Clone(w.maker.x)
	w.next, w.made, w.last = w.next+1, false, w.words
	attended := w.maker.session.Window(w.next)
	maps.DeleteFunc(w.latents, func(k int, _ []float32) bool { return !slices.Contains(attended, k) })
	return nil
}

// Way is a way of chunks that were made before.
type Way struct {
	Chunks int
	Prompt *Prompt // of the last chunk
	Since  int     // the first of those at the end that were all made by what it says
	Before string  // the prompt of the chunk before that
	Path   *clip.Path
	Latent func(k int) ([]float32, error)
}

// Return goes to the end of a way that was made by this walk or an earlier one of the same job:
// the model remembers what it did then, the same bits. The way is asked for latents of those
// chunks alone that the model still knows of, which are so many at most, however long the way is.
// progress is told how many of them are done. After an error only Return may be called.
func (w *Walk) Return(ctx context.Context, way Way, progress func(done, of int)) error {
	w.latents, w.last = map[int][]float32{}, ""
	err := w.recallWay(ctx, way, progress)
	w.last = w.words
	return err
}

// recallWay has the model remember a way as when its chunks from Since on were made: of those
// before it what the first of these attended to, computed by the words of these.
func (w *Walk) recallWay(ctx context.Context, way Way, progress func(done, of int)) error {
	s, n := w.maker.session, way.Chunks
	w.words, w.since, w.before = "", way.Since, way.Before
	defer func() { w.next, w.made = n, false }()
	s.Cut(way.Since)
	attended := s.Window(n)
	var known []int
	for k := range n {
		if s.Depth(k, n) > 0 {
			known = append(known, k)
		}
	}
	for i, k := range known {
		progress(i, len(known))
		latent, err := way.Latent(k)
		if err == nil {
			err = w.recall(ctx, k, s.Depth(k, n), way, latent)
		}
		if err != nil {
			return fmt.Errorf("chunk %d: %w", k+1, err)
		}
		if slices.Contains(attended, k) {
			w.latents[k] = latent
		}
	}
	if n > 0 {
		w.words = way.Prompt.Text
	}
	return nil
}

// recall has the model remember so many blocks of chunk k of a way, as Make and Remember left them.
func (w *Walk) recall(ctx context.Context, k, depth int, way Way, latent []float32) error {
	if len(latent) != len(w.maker.x) {
		return fmt.Errorf("a latent of %d values, expected %d", len(latent), len(w.maker.x))
	}
	w.next = k
	if err := w.begin(ctx, way.Path, []*Prompt{way.Prompt}, depth); err != nil {
		return err
	}
	copy(w.maker.x, latent)
	return w.maker.remember(ctx, 1)
}

// begin tells the model by which prompts the next chunk is made and what it is about, or, with a
// depth, that chunk of which so many blocks are recalled.
func (w *Walk) begin(ctx context.Context, path *clip.Path, prompts []*Prompt, depth int) error {
	m, k := w.maker, w.next
	frames := w.Shape().Frames(k + 1)
	if path.Frames() < frames {
		return fmt.Errorf("a path of %d poses, expected %d", path.Frames(), frames)
	}
	if err := w.setPrompts(ctx, prompts); err != nil {
		return err
	}
	if err := w.tellPicture(ctx); err != nil {
		return fmt.Errorf("encoding the picture: %w", err)
	}
	w.made = false
	return m.phase("prepare", 1, func() error {
		return m.tell(ctx, k, depth, func(channels int) []float32 {
			return path.Conditioning(channels, clip.View{
				Frames: frames, LatentFrames: m.chunks.from(k + 1), Height: m.clip.Height, Width: m.clip.Width,
				From: m.chunks.from(k), To: m.chunks.from(k + 1),
			})
		})
	})
}

// setPrompts changes the prompt of the session, which may be guided to it from another one.
func (w *Walk) setPrompts(ctx context.Context, prompts []*Prompt) error {
	if slices.Equal(w.told, prompts) {
		return nil
	}
	w.told = nil // whatever is left after an error
	m := w.maker
	var contexts [][]wan.Context
	for _, p := range prompts {
		contexts = append(contexts, m.told(p.ids, p.states))
	}
	err := m.phase("text", 1, func() error {
		if len(contexts) > 1 {
			return m.session.SetChange(ctx, contexts[0], contexts[1], float32(m.job.WordsGuide))
		}
		return m.session.SetContexts(ctx, contexts[0])
	})
	if err == nil {
		w.told = prompts
	}
	return err
}

// tellPicture writes the picture's part of the next chunk to where the model reads it.
func (w *Walk) tellPicture(ctx context.Context) error {
	m := w.maker
	for len(w.still) <= w.next {
		if n := len(w.still); n > 0 && w.encoder.Settled() {
			break
		}
		latent := make([]float32, len(m.x))
		if err := w.encoder.Next(ctx, latent, m.chunks.Chunk); err != nil {
			return err
		}
		if bad := unhealthy(latent); bad != "" {
			return fmt.Errorf("the latent is damaged: %s", bad)
		}
		w.still = append(w.still, latent)
	}
	copy(m.mask(w.next), w.still[min(w.next, len(w.still)-1)])
	return nil
}

// failed says of which chunk an error is.
func (w *Walk) failed(err error) error { return fmt.Errorf("chunk %d: %w", w.next+1, err) }

// WalkDecoder turns a walk's latents into pictures, chunk after chunk.
type WalkDecoder struct {
	w *Walk
	d partDecoder
}

// NewDecoder returns a decoder that begins anew: the one for the walk's video, or, where it
// is to be quick and the checkpoint has a small one, that.
func (w *Walk) NewDecoder(quick bool) *WalkDecoder {
	r := *w.maker.run
	if quick && r.small != nil {
		r.job.Decoder = inference.DecoderTiny
	}
	return &WalkDecoder{w, r.newPartDecoder(r.job.VAEChunk)}
}

// Decode decodes a chunk and hands its pictures on as soon as they are done, each of its own
// memory: of the first that the decoder sees Shape.Frames(1), then as many as
// Shape.Frames(2) - Shape.Frames(1).
func (d *WalkDecoder) Decode(ctx context.Context, latent []float32, emit func(*image.RGBA) error) error {
	m := d.w.maker
	return d.d.Decode(ctx, latent, m.chunks.Chunk, m.clip.LatentHeight, m.clip.LatentWidth, func(t int, rgb []float32) error {
		if bad := notFinite(rgb); bad != "" {
			return fmt.Errorf("picture %d: %s", t+1, bad)
		}
		return errors.Join(emit(toImage(rgb, m.clip.Width, m.clip.Height)), ctx.Err())
	})
}

// Close gives the decoder's memory back.
func (d *WalkDecoder) Close() { d.d.Close() }
