package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bytes"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/engine"
)

// The files of a walk's folder.
const (
	logName     = "walk.log"
	pictureName = "picture"
)

// Start is what a walk begins with.
type Start struct {
	Job         inference.Job `json:"job"`        // its picture is the copy in the walk's folder
	Checkpoint  string        `json:"checkpoint"` // folder
	Fingerprint string        `json:"fingerprint"`
	Chunk       int           `json:"chunk"`  // latent frames
	Latent      int           `json:"latent"` // values
	Width       int           `json:"width"`
	Height      int           `json:"height"`
	Created     time.Time     `json:"created"`
}

// chunkRecord is what the log says of a chunk beside its latent, which is its data, float32.
type chunkRecord struct {
	Parent int           `json:"parent"` // number of the chunk before it; -1 for none
	Prompt int           `json:"prompt"` // number
	Input  Input         `json:"input"`
	Poses  [][12]float32 `json:"poses"` // the upper rows of each
}

type promptRecord struct {
	Text string `json:"text"`
}

// ofChunk is about a chunk: the picture at its end, which is the data, a JPEG; that the walk
// went on from there; or the name of the way that ends or goes on there.
type ofChunk struct {
	Chunk int    `json:"chunk"`
	Name  string `json:"name,omitempty"`
}

// record is a walk on disk, and what of it is in memory: not its latents.
type record struct {
	dir     string
	log     *log
	start   Start
	prompts []string
	chunks  []chunk
	names   map[int]string // of ways, by a chunk of theirs
	at      int            // chunk from which the walk goes on; -1 for the beginning
}

// chunk is a chunk of a walk; its number is its place in record.chunks.
type chunk struct {
	parent, depth int // depth is its number on its way
	prompt        int
	input         Input
	poses         [][12]float32
	latent        int64 // where it is
	thumb         int64 // where it is; 0 for nowhere
	thumbSize     int
}

// create makes the folder of a walk and begins its record.
func create(dir string, s Start) (*record, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	picture, err := os.ReadFile(s.Job.Image)
	if err != nil {
		return nil, err
	}
	kept := filepath.Join(dir, pictureName)
	if err := os.WriteFile(kept, picture, 0o644); err != nil {
		return nil, err
	}
	s.Job.Image = pictureName
	l, err := createLog(filepath.Join(dir, logName))
	if err != nil {
		return nil, err
	}
	r := &record{dir: dir, log: l, start: s, names: map[int]string{}, at: -1}
	if _, err := l.append(kindStart, s, nil); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return r, nil
}

// open opens the record of a walk, to go on or, with look, to look at it.
func open(dir string, look bool) (*record, error) {
	r := &record{dir: dir, names: map[int]string{}, at: -1}
	var err error
	r.log, err = openLog(filepath.Join(dir, logName), look, r.visit)
	if err == nil && r.start.Latent == 0 {
		err = fmt.Errorf("%s: found no beginning, expected the record of a walk", dir)
	}
	if err != nil {
		if r.log != nil {
			r.log.close()
		}
		return nil, err
	}
	return r, nil
}

// visit takes a record of the log.
func (r *record) visit(kind int, text []byte, at int64, n int) error {
	read := func(to any) error {
		if err := json.Unmarshal(text, to); err != nil {
			return fmt.Errorf("found a record of kind %d that says %.40q: %w", kind, text, err)
		}
		return nil
	}
	if r.start.Latent == 0 && kind != kindStart {
		return errors.New("found no beginning, expected the record of a walk")
	}
	switch kind {
	case kindStart:
		if err := read(&r.start); err != nil {
			return err
		}
		if r.start.Latent < 1 || r.start.Latent > maxData/4 || r.start.Chunk < 1 || r.start.Chunk > 1<<10 {
			return fmt.Errorf("found chunks of %d latent frames and %d values", r.start.Chunk, r.start.Latent)
		}
	case kindPrompt:
		var p promptRecord
		if err := read(&p); err != nil {
			return err
		}
		r.prompts = append(r.prompts, p.Text)
	case kindChunk:
		var c chunkRecord
		if err := read(&c); err != nil {
			return err
		}
		return r.visitChunk(c, at, n)
	case kindThumb, kindName, kindAt:
		var c ofChunk
		if err := read(&c); err != nil {
			return err
		}
		if c.Chunk < -1 || c.Chunk >= len(r.chunks) || c.Chunk == -1 && kind != kindAt {
			return fmt.Errorf("found chunk %d of %d", c.Chunk, len(r.chunks))
		}
		switch kind {
		case kindThumb:
			r.chunks[c.Chunk].thumb, r.chunks[c.Chunk].thumbSize = at, n
		case kindName:
			r.names[c.Chunk] = c.Name
		case kindAt:
			r.at = c.Chunk
		}
	}
	return nil // of a kind that a later Gimbal may add
}

func (r *record) visitChunk(c chunkRecord, at int64, n int) error {
	switch {
	case c.Parent < -1 || c.Parent >= len(r.chunks):
		return fmt.Errorf("found a chunk after chunk %d of %d", c.Parent, len(r.chunks))
	case c.Prompt < 0 || c.Prompt >= len(r.prompts):
		return fmt.Errorf("found a chunk with prompt %d of %d", c.Prompt, len(r.prompts))
	case n != 4*r.start.Latent:
		return fmt.Errorf("found a latent of %d bytes, expected %d", n, 4*r.start.Latent)
	}
	if want := r.poses(r.depth(c.Parent) + 1); len(c.Poses) != want {
		return fmt.Errorf("found a chunk of %d poses, expected %d", len(c.Poses), want)
	}
	r.keep(c, at)
	return nil
}

// keep takes a chunk whose latent is at a place of the log.
func (r *record) keep(c chunkRecord, at int64) {
	r.at = len(r.chunks)
	r.chunks = append(r.chunks, chunk{parent: c.Parent, depth: r.depth(c.Parent) + 1, prompt: c.Prompt, input: c.Input, poses: c.Poses, latent: at})
}

// depth returns the number of a chunk on its way, -1 for the beginning.
func (r *record) depth(chunk int) int {
	if chunk < 0 {
		return -1
	}
	return r.chunks[chunk].depth
}

// poses returns how many poses the chunk of a number on its way adds: the first picture of
// the first stands for itself.
func (r *record) poses(depth int) int {
	shape := engine.Shape{Chunk: r.start.Chunk}
	return shape.Frames(depth+1) - max(1, shape.Frames(depth))
}

// addPrompt keeps a prompt and returns its number.
func (r *record) addPrompt(text string) (int, error) {
	if i := slices.Index(r.prompts, text); i >= 0 {
		return i, nil
	}
	if _, err := r.log.append(kindPrompt, promptRecord{text}, nil); err != nil {
		return 0, err
	}
	r.prompts = append(r.prompts, text)
	return len(r.prompts) - 1, nil
}

// addChunk keeps a chunk after the one that the walk goes on from, and goes on from it.
func (r *record) addChunk(prompt int, in Input, poses []clip.Pose, latent []float32) error {
	c := chunkRecord{Parent: r.at, Prompt: prompt, Input: in, Poses: make([][12]float32, len(poses))}
	for i, p := range poses {
		for j := range c.Poses[i] {
			c.Poses[i][j] = float32(p[j/4][j%4])
		}
	}
	at, err := r.log.append(kindChunk, c, device.Bytes(latent))
	if err == nil {
		r.keep(c, at)
	}
	return err
}

// addThumb keeps the picture at the end of a chunk.
func (r *record) addThumb(chunk int, picture image.Image) error {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, picture, &jpeg.Options{Quality: 80}); err != nil {
		return err
	}
	at, err := r.log.append(kindThumb, ofChunk{Chunk: chunk}, b.Bytes())
	if err == nil {
		r.chunks[chunk].thumb, r.chunks[chunk].thumbSize = at, b.Len()
	}
	return err
}

// goTo has the walk go on from a chunk.
func (r *record) goTo(chunk int) error {
	_, err := r.log.append(kindAt, ofChunk{Chunk: chunk}, nil)
	if err == nil {
		r.at = chunk
	}
	return err
}

// name names the way that a chunk ends or is on.
func (r *record) name(chunk int, name string) error {
	_, err := r.log.append(kindName, ofChunk{chunk, name}, nil)
	if err == nil {
		r.names[chunk] = name
	}
	return err
}

// latent reads a chunk's latent.
func (r *record) latent(chunk int) ([]float32, error) {
	b, err := r.log.data(r.chunks[chunk].latent, 4*r.start.Latent)
	if err != nil {
		return nil, fmt.Errorf("chunk %d of the walk: %w", chunk, err)
	}
	values := make([]float32, r.start.Latent)
	copy(device.Bytes(values), b)
	return values, nil
}

// thumb reads the picture at the end of a chunk; nil for none.
func (r *record) thumb(chunk int) image.Image {
	c := r.chunks[chunk]
	if c.thumb == 0 {
		return nil
	}
	b, err := r.log.data(c.thumb, c.thumbSize)
	if err != nil {
		return nil
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	return img
}

// way lists the chunks from the first to one.
func (r *record) way(to int) (list []int) {
	for ; to >= 0; to = r.chunks[to].parent {
		list = append(list, to)
	}
	slices.Reverse(list)
	return list
}

// text returns the prompt of a chunk, or the one that the walk begins with.
func (r *record) text(chunk int) string {
	if chunk < 0 {
		return r.start.Job.Prompt
	}
	return r.prompts[r.chunks[chunk].prompt]
}

// since returns from which chunk on, counted on a way, its prompt was that of the last.
func (r *record) since(way []int) int {
	n := len(way)
	for n > 0 && r.chunks[way[n-1]].prompt == r.chunks[way[len(way)-1]].prompt {
		n--
	}
	return n
}

// path returns where the camera went on a way.
func (r *record) path(way []int) *clip.Path {
	var poses []clip.Pose
	var keys []clip.Keys
	for _, i := range way {
		c := r.chunks[i]
		for _, p := range c.poses {
			pose := clip.Pose{3: {3: 1}}
			for j, v := range p {
				pose[j/4][j%4] = float64(v)
			}
			poses, keys = append(poses, pose), append(keys, clip.Keys{Move: c.input.Move, Turn: c.input.Turn})
		}
	}
	return clip.StartWalk().Extend(poses, keys)
}

// tips lists the chunks that none follows.
func (r *record) tips() (list []int) {
	followed := make([]bool, len(r.chunks))
	for _, c := range r.chunks {
		if c.parent >= 0 {
			followed[c.parent] = true
		}
	}
	for i, f := range followed {
		if !f {
			list = append(list, i)
		}
	}
	return list
}

// job returns the walk's job, with the picture where it is kept.
func (r *record) job() inference.Job {
	j := r.start.Job
	j.Image = filepath.Join(r.dir, pictureName)
	return j
}

func (r *record) close() error { return r.log.close() }

// Kept is a walk on disk.
type Kept struct {
	Dir string
	Start
	Prompt string // the last
	Chunks int    // on the way that it goes on from
	Ways   int
	Thumb  image.Image // nil for none
}

// Request returns what opens the walk's model again.
func (k Kept) Request() engine.Request {
	job := k.Job
	job.Image = filepath.Join(k.Dir, pictureName)
	return engine.Request{Checkpoint: k.Checkpoint, Job: job}
}

// Look says what is known of the walk in a folder.
func Look(dir string) (Kept, error) {
	r, err := open(dir, true)
	if err != nil {
		return Kept{}, err
	}
	defer r.close()
	k := Kept{Dir: dir, Start: r.start, Prompt: r.text(r.at), Chunks: r.depth(r.at) + 1, Ways: len(r.tips())}
	for c := r.at; c >= 0 && k.Thumb == nil; c = r.chunks[c].parent { // the last may not have been seen yet
		k.Thumb = r.thumb(c)
	}
	return k, nil
}

// Walks lists the walks in a folder of walks' folders, the newest first. Walks that cannot be
// read are left out.
func Walks(dir string) (list []Kept) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if k, err := Look(filepath.Join(dir, e.Name())); err == nil && !strings.HasPrefix(e.Name(), ".") {
			list = append(list, k)
		}
	}
	slices.SortFunc(list, func(a, b Kept) int { return b.Created.Compare(a.Created) })
	return list
}
