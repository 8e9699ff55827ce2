package bench

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"math/rand/v2"
	"path/filepath"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// VAERow is what decoding in chunks of so many latent frames takes and gives.
type VAERow struct {
	Chunk        int     `json:"chunk_size"` // 0 for all at once
	Seconds      float64 `json:"seconds"`    // the fastest of the runs
	Speedup      float64 `json:"speedup"`    // against the first row
	WorkingBytes int64   `json:"working_bytes"`
	Frames       int     `json:"frames"`    // that came out
	SameBits     bool    `json:"same_bits"` // as the first row's
}

// VAESettings are what VAE was asked for.
type VAESettings struct {
	Chunks       []int `json:"chunk_sizes"`
	LatentFrames int   `json:"latent_frames"`
	Frames       int   `json:"frames"`
	Width        int   `json:"width"`
	Height       int   `json:"height"`
	Runs         int   `json:"runs"`
}

// VAE decodes the same random latent in chunks of each of the given sizes, all of them
// in turn, several times.
func VAE(ctx context.Context, o Options, chunks []int, runs int) (*Report, error) {
	f, err := o.folder(ctx)
	if err != nil {
		return nil, err
	}
	defer f.remove()
	b := decoding{o: o, folder: f}
	rows := make([]VAERow, len(chunks))
	for run := range runs {
		for i, chunk := range chunks {
			o.Progress(fmt.Sprintf("%d of %d: chunks of %d latent frames", run+1, runs, chunk))
			row := &rows[i]
			row.Chunk = chunk
			seconds, err := b.decode(ctx, row)
			if err != nil {
				return nil, fmt.Errorf("chunks of %d latent frames: %w", chunk, err)
			}
			if run == 0 || seconds < row.Seconds {
				row.Seconds = seconds
			}
		}
	}
	for i := range rows {
		rows[i].Speedup = rows[0].Seconds / rows[i].Seconds
	}
	b.report.Rows = rows
	b.settings.Chunks, b.settings.Runs = chunks, runs
	b.report.Settings = b.settings
	b.report.showVAE(b.settings, rows)
	return b.report.end(), nil
}

// decoding is a benchmark under way.
type decoding struct {
	o        Options
	folder   *folder
	report   *Report
	settings VAESettings
	first    []byte // hash of the first video
}

// decode decodes once, on a device of its own, and returns the seconds that it took.
func (b *decoding) decode(ctx context.Context, row *VAERow) (float64, error) {
	dev, err := b.o.Open()
	if err != nil {
		return 0, err
	}
	defer dev.Close()
	if b.report == nil {
		b.report = b.o.begin("vae", dev.Info())
	}
	v, done, err := b.load(ctx, dev)
	if err != nil {
		return 0, err
	}
	defer done()
	latent := b.latent(v)
	sum := sha256.New()
	row.Frames = 0
	began := time.Now()
	s := b.settings
	err = v.Decode(ctx, latent, s.LatentFrames, s.Height/v.Stride(), s.Width/v.Stride(), vae.DecodeOptions{Chunk: row.Chunk}, func(_ int, rgb []float32) error {
		row.Frames++
		return write(sum, rgb)
	})
	seconds := time.Since(began).Seconds()
	row.WorkingBytes = dev.Info().Peak
	if b.first == nil {
		b.first = sum.Sum(nil)
	}
	row.SameBits = bytes.Equal(sum.Sum(nil), b.first)
	if err == nil && row.Frames != s.Frames {
		err = fmt.Errorf("%d frames came out, want %d", row.Frames, s.Frames)
	}
	return seconds, err
}

func write(to hash.Hash, values []float32) error {
	_, err := to.Write(device.Bytes(values))
	return err
}

// load opens the VAE, and settles the sizes of what it decodes.
func (b *decoding) load(ctx context.Context, dev device.Device) (*vae.VAE, func(), error) {
	var store *weights.Store
	stats := vae.WanStatistics()
	closing := func() error { return store.Close() }
	if b.o.Dims != nil {
		var err error
		if store, err = weights.Open(filepath.Join(b.folder.checkpoint, vaeFile)); err != nil {
			return nil, nil, err
		}
	} else {
		layout, err := weights.OpenLayout(b.folder.checkpoint)
		if err != nil {
			return nil, nil, err
		}
		store, closing = layout.VAE, layout.Close
		if c := layout.VAEConfig; c != nil {
			stats = vae.Statistics{Mean: c.LatentsMean, Std: c.LatentsStd}
		}
	}
	v, err := vae.Load(ctx, dev, store, stats)
	if err != nil {
		closing()
		return nil, nil, err
	}
	width, height := b.o.size()
	f := (b.o.frames()-1)/v.StrideT() + 1
	b.settings.LatentFrames, b.settings.Frames = f, v.Frames(f)
	b.settings.Width, b.settings.Height = width/v.Stride()*v.Stride(), height/v.Stride()*v.Stride()
	return v, func() { v.Close(); closing() }, nil
}

// latent returns normal values, always the same.
func (b *decoding) latent(v *vae.VAE) []float32 {
	s := b.settings
	random := rand.New(rand.NewPCG(1, 2))
	latent := make([]float32, v.Channels()*s.LatentFrames*(s.Height/v.Stride())*(s.Width/v.Stride()))
	for i := range latent {
		latent[i] = float32(random.NormFloat64())
	}
	return latent
}

func (r *Report) showVAE(s VAESettings, rows []VAERow) {
	t := Table{
		Title:  fmt.Sprintf("%d latent frames, %d frames of %dx%d", s.LatentFrames, s.Frames, s.Width, s.Height),
		Header: []string{"chunk", "time", "of the first", "working memory", "frames", "bits"},
	}
	var labels []string
	var seconds []float64
	var memory []int64
	for _, row := range rows {
		chunk, bits := fmt.Sprint(row.Chunk), "same"
		if row.Chunk == 0 {
			chunk = "all"
		}
		if !row.SameBits {
			bits = "other"
		}
		t.Rows = append(t.Rows, []string{chunk, duration(row.Seconds), number(row.Speedup) + "x", size(row.WorkingBytes), fmt.Sprint(row.Frames), bits})
		labels = append(labels, chunk)
		seconds, memory = append(seconds, row.Seconds), append(memory, row.WorkingBytes)
	}
	r.Tables = []Table{t}
	r.panels = []panel{bars("decode, by chunk of latent frames (seconds)", labels, seconds), sizes("working memory", labels, memory)}
}
