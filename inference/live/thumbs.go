package live

import "context"

// drawThumb makes the small picture of a chunk that has none: the program was killed, or the walk
// went another way, before it was decoded. It does so while nothing is made or decoded, and stops
// as soon as a chunk is wanted. It reports whether there was something to do. The maker calls it.
func (s *Session) drawThumb() bool {
	ctx, done := s.leisurely()
	defer done()
	if ctx.Err() != nil {
		return false
	}
	chunk, way := s.bare()
	if chunk < 0 {
		return false
	}
	err := s.drawChunk(ctx, chunk, way)
	if err != nil && ctx.Err() == nil {
		s.o.Log.Warn("a chunk's picture cannot be made", "chunk", chunk, "err", err)
		s.hopeless[chunk] = true
	}
	return true
}

// leisurely returns a context for work that ends when there is other work, and has ended if there
// is some already.
func (s *Session) leisurely() (context.Context, func()) {
	ctx, cancel := context.WithCancel(s.life)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leisure = cancel
	s.endLeisure()
	return ctx, func() {
		s.mu.Lock()
		s.leisure = nil
		s.mu.Unlock()
		cancel()
	}
}

// endLeisure ends leisurely work if there is other work. s.mu is held.
func (s *Session) endLeisure() {
	if s.leisure != nil && (s.wanting() || s.goTo != nil || s.undrawn > 0) {
		s.leisure()
	}
}

// bare returns the newest chunk without a picture, and the chunks on the way to it that a decoder
// is to see first, with itself; -1 for none.
func (s *Session) bare() (chunk int, way []int) {
	s.keep.Lock()
	defer s.keep.Unlock()
	for chunk = len(s.rec.chunks) - 1; chunk >= 0; chunk-- {
		if s.rec.chunks[chunk].thumb == 0 && !s.hopeless[chunk] {
			way = s.rec.way(chunk)
			return chunk, way[max(0, len(way)-1-warmChunks):]
		}
	}
	return -1, nil
}

// drawChunk makes the picture of the last chunk of a part of a way.
func (s *Session) drawChunk(ctx context.Context, chunk int, way []int) error {
	latents, err := s.latents(way)
	if err != nil {
		return err
	}
	d := s.walker.NewDecoder(true)
	defer d.Close()
	last, err := lastPicture(ctx, d, latents, ctx.Err)
	if err != nil {
		return err
	}
	return s.keepThumb(chunk, last)
}
