package live

import (
	"context"
	"fmt"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/output"
)

// SaveVideo makes the video of the way to a chunk, with the decoder of the walk's job, and,
// unless framesDir is "", its frames as PNG files. The walk may go on meanwhile.
func (s *Session) SaveVideo(ctx context.Context, chunk int, output, framesDir string, emit func(inference.Event)) (inference.Saved, error) {
	leave, err := s.enter()
	if err != nil {
		return inference.Saved{}, err
	}
	defer leave()
	way, err := s.wayTo(chunk)
	if err != nil {
		return inference.Saved{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	s.keep.Lock()
	prompt := s.rec.prompts[s.rec.chunks[way[0]].prompt]
	s.keep.Unlock()
	return s.walker.Save(ctx, engine.WalkVideo{
		Output: output, FramesDir: framesDir, Prompt: prompt, Chunks: len(way),
		Latent: func(k int) ([]float32, error) {
			s.keep.Lock()
			defer s.keep.Unlock()
			return s.rec.latent(way[k])
		},
	}, emit)
}

// SaveCamera writes the way to a chunk as an action folder: the poses, the intrinsics and the
// keys of every picture. The folder is to be new or empty.
func (s *Session) SaveCamera(chunk int, dir string) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	way, err := s.wayTo(chunk)
	if err != nil {
		return err
	}
	if err := output.CheckEmpty(dir); err != nil {
		return err
	}
	s.keep.Lock()
	path := s.rec.path(way)
	s.keep.Unlock()
	return path.Write(dir)
}

// wayTo returns the way to a chunk that there is.
func (s *Session) wayTo(chunk int) ([]int, error) {
	s.keep.Lock()
	defer s.keep.Unlock()
	if chunk < 0 || chunk >= len(s.rec.chunks) {
		return nil, fmt.Errorf("walk: there is no chunk %d of %d", chunk, len(s.rec.chunks))
	}
	return s.rec.way(chunk), nil
}
