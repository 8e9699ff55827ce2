package engine

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"gimbal/inference"
	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/taehv"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// streaming is a causal run at work.
type streaming struct {
	*maker
	encoder *vae.PictureEncoder // nil where the picture's latent is there as a whole
	decoder partDecoder         // nil where frames are decoded at the end
	out     *outputs            // nil for nobody
	kept    keptFrames

	previewed *taehv.Previewer // nil before the first previews, and for none

	picture []float32 // the whole latent of picture and black frames; nil unless somebody wants it
	renoise [][]float32

	previews         []image.Image // of the chunks that are done
	begin, stepBegin time.Time
	first            int // steps that were done before
	pictureSeconds   float64
}

// stream goes from the prompt to the video, chunk by chunk.
func (r *run) stream(ctx context.Context) (saved inference.Saved, err error) {
	r.p.collect()
	prompts, err := r.conditionText(ctx)
	if err != nil {
		return saved, err
	}
	r.p.collect()
	s := &streaming{maker: &maker{run: r}, first: r.chunks.done * r.chunks.steps}
	held := r.outputBytes()
	r.p.dev.Hold(held)
	defer r.p.dev.Hold(-held)
	defer s.close()
	if err := s.open(ctx, prompts); err != nil {
		return saved, err
	}
	s.begin, s.stepBegin = time.Now(), time.Now()
	for k := 0; k < r.chunks.total; {
		times := s.alike(k)
		if err := s.chunk(ctx, k, times); err != nil {
			return saved, fmt.Errorf("chunk %d of %d: %w", k+1, r.chunks.total, err)
		}
		k += times
	}
	if s.decoder == nil {
		if err := r.phase("decode", r.tiles(r.videoDecoder()), func() error { return r.decodeTo(ctx, s.out) }); err != nil {
			return saved, fmt.Errorf("decoding: %w", err)
		}
	}
	if r.planning() {
		return saved, nil
	}
	if r.job.DumpFile != "" {
		if err := r.dumpChunks(s); err != nil {
			return saved, err
		}
	}
	return r.publish(s.out)
}

// open makes what all chunks share.
func (s *streaming) open(ctx context.Context, prompts [][]float32) (err error) {
	if !s.planning() {
		if s.out, err = s.openOutputs(); err != nil {
			return err
		}
	}
	if err := s.openVAE(ctx); err != nil {
		return err
	}
	return s.prepareChunks(ctx, prompts)
}

// openVAE prepares encoding and decoding. The picture is encoded before the first chunk, or,
// where the parts of the model stay in memory anyway, chunk by chunk. Pictures in tiles are
// decoded after the last chunk.
func (s *streaming) openVAE(ctx context.Context) (err error) {
	tiles := s.tiles(s.p.vae)
	if tiles > 1 || s.job.Offload {
		begin := time.Now()
		err = s.phase("picture", tiles, func() (err error) {
			s.picture, err = s.encodePicture(ctx)
			s.p.dev.Trim()
			return err
		})
		s.pictureSeconds = time.Since(begin).Seconds()
	} else {
		err = s.openEncoder()
	}
	if err != nil {
		return fmt.Errorf("encoding the picture: %w", err)
	}
	if s.tiles(s.videoDecoder()) == 1 {
		chunk := s.job.VAEChunk
		if s.clip.Frames <= s.job.VAEChunkThreshold {
			chunk = 0
		}
		s.decoder = s.newPartDecoder(chunk)
		if !s.planning() && s.job.DumpFile == "" { // which takes more than 8 bits
			s.kept = keptFrames{dir: s.state.Dir(), width: s.clip.Width, height: s.clip.Height}
			s.kept.find(s.chunks.done, s.chunks.frames)
		}
	}
	return nil
}

func (s *streaming) openEncoder() error {
	rgb, err := s.firstFrame()
	if err != nil {
		return err
	}
	if s.job.DumpFile != "" {
		s.picture = device.Floats(s.p.dev, s.clip.Latent(s.p.vae.Channels()))
	}
	s.encoder, err = s.p.vae.NewPictureEncoder(rgb, s.clip.Height, s.clip.Width)
	return err
}

// alike returns how many chunks from k on take what chunk k takes, of which a plan takes one:
// all that are left where the cache is full and the picture's latent does not change any more.
func (s *streaming) alike(k int) int {
	settled := s.encoder == nil || s.encoder.Settled()
	if s.planning() && k > 0 && settled && s.chunks.from(k+1) >= s.cache.Frames {
		return s.chunks.total - k
	}
	return 1
}

// chunk makes chunk k, or, where it was made before, brings back what the model still knows of it,
// and writes its frames. In a plan it stands for so many times as much.
func (s *streaming) chunk(ctx context.Context, k, times int) error {
	if err := s.condition(ctx, k); err != nil {
		return err
	}
	again, depth := k < s.chunks.done, 0
	if again {
		depth = s.session.Depth(k, s.chunks.done)
	}
	known := !again || depth > 0 // by the chunks that are still to be made
	if known {
		err := s.phase("prepare "+weights.Causal, times, func() error {
			return s.tell(ctx, k, depth, func(channels int) []float32 {
				return s.clip.Conditioning(channels, s.chunks.from(k), s.chunks.from(k+1))
			})
		})
		if err != nil {
			return err
		}
	}
	s.copyChunk(s.x, s.latent, k)
	s.drawChunk(k)
	if !again {
		err := s.sample(ctx, k, times, s.draw, func(step denoise.Step, clean []float32, times int) error {
			return s.after(ctx, k, step, clean, times)
		})
		if err != nil {
			return err
		}
	} else if s.chunks.index != nil {
		for range s.chunks.steps - 1 { // what was drawn then
			s.draw(s.work[0])
		}
	}
	if clean := min(times, s.chunks.total-1-k); clean > 0 && known { // nobody looks back at the last one
		if err := s.remember(ctx, clean); err != nil {
			return err
		}
	}
	if !again && !s.planning() {
		copyBack(s.latent, s.x, s.clip.LatentFrames, s.chunks.from(k), s.chunks.Chunk, s.plane())
		s.chunks.done++
		if err := s.save(); err != nil {
			return err
		}
	}
	if err := s.addPreviews(ctx, s.x, k, times); err != nil {
		return err
	}
	return s.decodeChunk(ctx, k, times)
}

// condition encodes the picture's part of chunk k.
func (s *streaming) condition(ctx context.Context, k int) error {
	begin := time.Now()
	latent := s.mask(k)
	if s.encoder == nil {
		s.copyChunk(latent, s.picture, k)
	} else {
		err := s.phase("picture", 1, func() error { return s.encoder.Next(ctx, latent, s.chunks.Chunk) })
		if err != nil {
			return fmt.Errorf("encoding the picture: %w", err)
		}
		if s.picture != nil {
			copyBack(s.picture, latent, s.clip.LatentFrames, s.chunks.from(k), s.chunks.Chunk, s.plane())
		}
	}
	if bad := unhealthy(latent); bad != "" {
		return fmt.Errorf("encoding the picture: the latent is damaged: %s", bad)
	}
	s.pictureSeconds += time.Since(begin).Seconds()
	if k == 0 {
		s.emit(inference.PictureEncoded{Seconds: s.pictureSeconds})
		s.pictureSeconds = 0
	}
	return nil
}

// drawChunk draws the noise of chunk k that x already holds, where each chunk has a generator
// of its own.
func (s *streaming) drawChunk(k int) {
	if s.chunks.noise != nil && s.job.ChunkNoise {
		s.chunks.noise = chunkNoise(s.job, k)
		s.chunks.noise.Normal(s.work[0])
	}
}

// draw draws the noise of a step.
func (s *streaming) draw(dst []float32) {
	if s.chunks.noise == nil {
		return
	}
	s.chunks.noise.Normal(dst)
	if s.job.DumpFile != "" {
		s.renoise = append(s.renoise, append([]float32(nil), dst...))
	}
}

// after checks what a step gave and reports it. In a plan it stands for so many steps.
func (s *streaming) after(ctx context.Context, k int, step denoise.Step, clean []float32, times int) error {
	pictures, err := s.pictures(ctx, clean, k, times, false)
	if err != nil || s.planning() {
		return err
	}
	index, total := k*s.chunks.steps+step.Index+1, s.chunks.total*s.chunks.steps
	if bad := unhealthy(s.x); bad != "" {
		return &inference.UnhealthyError{Step: index, Expert: weights.Causal, Where: "latent after the solver", Found: bad}
	}
	e := inference.Step{Index: index, Total: total, Expert: weights.Causal, Timestep: step.Timestep, Passes: step.Passes}
	e.Preview = append(s.previews[:len(s.previews):len(s.previews)], pictures...)
	e.Seconds = time.Since(s.stepBegin).Seconds()
	e.Elapsed = time.Since(s.begin)
	e.Remaining = e.Elapsed / time.Duration(index-s.first) * time.Duration(total-index)
	s.emit(e)
	s.stepBegin = time.Now()
	return nil
}

// pictures returns a small picture of each latent frame of chunk k, or none: of the small
// decoder where there is one, which remembers the chunks that are done.
func (s *streaming) pictures(ctx context.Context, latent []float32, k, times int, done bool) ([]image.Image, error) {
	if d := s.previewer(); d != nil {
		if s.previewed == nil {
			s.previewed = d.NewPreviewer()
		}
		return s.smallPreviews(times, func() ([]image.Image, error) {
			return s.previewed.Previews(ctx, latent, s.chunks.Chunk, s.clip.LatentHeight, s.clip.LatentWidth, done)
		})
	}
	if s.planning() || s.p.vae.RGB.Factors == nil {
		return nil, nil
	}
	list := make([]image.Image, s.chunks.Chunk)
	for i := range list {
		list[i] = s.p.vae.PreviewPart(latent, s.chunks.Chunk, s.clip.LatentHeight, s.clip.LatentWidth, i, k == 0 && i == 0)
	}
	return list, nil
}

// copyFrames copies n frames of a plane each, from frame at of src, which has so many, to
// frame to of dst.
func copyFrames(dst, src []float32, plane, frames, to, of, at, n int) {
	if dst == nil || src == nil {
		return
	}
	for c := range len(dst) / (frames * plane) {
		copy(dst[(c*frames+to)*plane:][:n*plane], src[(c*of+at)*plane:])
	}
}

// addPreviews adds the previews of a chunk that is done.
func (s *streaming) addPreviews(ctx context.Context, latent []float32, k, times int) error {
	pictures, err := s.pictures(ctx, latent, k, times, true)
	if !s.planning() {
		s.previews = append(s.previews, pictures...)
	}
	return err
}

// decodeChunk decodes chunk k and writes its frames.
func (s *streaming) decodeChunk(ctx context.Context, k, times int) error {
	if s.decoder == nil {
		return nil
	}
	begin, frames := time.Now(), inference.Wan.Frames(s.chunks.from(k+1))
	frame := frames - s.chunks.frames(k)
	shown := func() error {
		frame++
		s.emit(inference.Frame{Index: frame, Total: s.clip.Frames, Picture: s.out.last()})
		return nil
	}
	var err error
	if k < s.kept.chunks {
		err = s.readFrames(ctx, k, shown)
	} else {
		err = s.kept.write(k, func(keep func(*image.RGBA) error) error {
			return s.decode(ctx, times, func() error { return errors.Join(keep(s.out.frames), shown()) })
		})
	}
	if err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	if s.planning() {
		return nil
	}
	s.emit(inference.Chunk{
		Index: k + 1, Total: s.chunks.total, Frames: frames,
		PictureSeconds: s.pictureSeconds, DecodeSeconds: time.Since(begin).Seconds(), Picture: s.out.last(),
	})
	s.emit(inference.Decoding{Frames: frames, Total: s.clip.Frames})
	s.pictureSeconds, s.stepBegin = 0, time.Now()
	return nil
}

// decode decodes the chunk at hand, and writes its frames and tells shown of each; nil leaves
// them be.
func (s *streaming) decode(ctx context.Context, times int, shown func() error) error {
	return s.phase("decode", times, func() error {
		return s.decoder.Decode(ctx, s.x, s.chunks.Chunk, s.clip.LatentHeight, s.clip.LatentWidth, func(t int, rgb []float32) error {
			if s.out == nil || shown == nil {
				return ctx.Err()
			}
			if bad := notFinite(rgb); bad != "" {
				return fmt.Errorf("frame %d: %s", t+1, bad)
			}
			if err := errors.Join(s.out.frame(rgb), ctx.Err()); err != nil {
				return err
			}
			return shown()
		})
	})
}

// readFrames is decode of a chunk whose frames are kept. It is decoded all the same where those
// to be decoded after it depend on it.
func (s *streaming) readFrames(ctx context.Context, k int, shown func() error) error {
	if there := s.kept.chunks; there < s.chunks.total && s.chunks.from(k+1)+s.decoder.Past() > s.chunks.from(there) {
		if err := s.decode(ctx, 1, nil); err != nil {
			return err
		}
	}
	return s.kept.read(ctx, k, s.out.frames, func() error { return errors.Join(s.out.picture(s.out.frames), shown()) })
}

func (s *streaming) close() {
	s.maker.close()
	if s.encoder != nil {
		s.encoder.Close()
		s.p.dev.Hold(-3 * 4 * int64(s.clip.Width*s.clip.Height)) // the picture
	}
	if s.decoder != nil {
		s.decoder.Close()
	}
	if s.previewed != nil {
		s.previewed.Close()
	}
	if s.out != nil {
		s.out.video.Abort()
	}
	s.p.dev.Trim()
}

// copyChunk copies chunk k of all, a tensor of the whole video, to chunk.
func (s *streaming) copyChunk(chunk, all []float32, k int) {
	copyFrames(chunk, all, s.plane(), s.chunks.Chunk, 0, s.clip.LatentFrames, s.chunks.from(k), s.chunks.Chunk)
}

// copyBack copies part, n frames of a plane each, to all, which has so many frames, from
// frame from on.
func copyBack(all, part []float32, frames, from, n, plane int) {
	copyFrames(all, part, plane, frames, from, n, 0, n)
}
