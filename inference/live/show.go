package live

import (
	"context"
	"errors"
	"image"
	"time"

	"golang.org/x/image/draw"
)

// warmChunks is how many chunks a decoder sees, whose pictures nobody does, before it goes on
// from the middle of a walk. Measured with the demo's decoder, the pictures then are 52 dB from
// those of a decoder that saw all of it, 5 of 255 at most; with 2 chunks 39 dB, with 1 25 dB. Those
// of its small decoder are 81 dB from them.
const warmChunks = 3

// part is a chunk for the decoder, or, with anew, what it begins anew with.
type part struct {
	epoch, chunk int
	latent       []float32
	begun        time.Time // when the chunk was
	touched      time.Time // when the input first changed that it shows

	anew bool
	warm [][]float32 // chunks before the next one, the last of them chunk
}

// shown is a picture that is to be seen.
type shown struct {
	Picture
	epoch   int
	again   bool // it was seen before
	touched time.Time
}

// decodeParts is the goroutine that turns chunks into pictures, while the next one is made.
func (s *Session) decodeParts() {
	defer close(s.show)
	var d Decoder
	defer func() {
		if d != nil {
			d.Close()
		}
	}()
	for {
		var p part
		select {
		case <-s.life.Done():
			return
		case p = <-s.decode:
		}
		err := s.wanted(p.epoch)
		if err == nil {
			if p.anew {
				if d != nil {
					d.Close()
				}
				d = s.walker.NewDecoder(true)
			}
			err = s.decodePart(d, p)
		}
		if err != nil && !errors.Is(err, errDropped) && s.life.Err() == nil {
			s.fail(err)
			return
		}
		s.mu.Lock()
		s.undrawn--
		s.mu.Unlock()
		poke(s.wake)
	}
}

// errDropped says that nobody wants to see a picture.
var errDropped = errors.New("dropped")

// decodePart decodes a chunk, or the last of those that a decoder begins anew with.
func (s *Session) decodePart(d Decoder, p part) error {
	if p.anew {
		last, err := s.whereItWas(d, p)
		if err == nil {
			s.hand(shown{Picture: Picture{Image: last, Chunk: p.chunk}, epoch: p.epoch, again: true})
		}
		return err
	}
	index := 0
	var last *image.RGBA
	err := d.Decode(s.life, p.latent, func(img *image.RGBA) error {
		if index == 0 {
			s.mu.Lock()
			s.lead = time.Since(p.begun)
			s.mu.Unlock()
		}
		touched := p.touched
		if index > 0 {
			touched = time.Time{}
		}
		s.hand(shown{Picture: Picture{Image: img, Chunk: p.chunk, Index: index}, epoch: p.epoch, touched: touched})
		index, last = index+1, img
		return s.wanted(p.epoch)
	})
	if err != nil || last == nil {
		return err
	}
	return s.keepThumb(p.chunk, last)
}

// whereItWas returns the last picture of the chunks that a decoder begins anew with, or the one
// that the walk begins with.
func (s *Session) whereItWas(d Decoder, p part) (*image.RGBA, error) {
	if len(p.warm) == 0 {
		return s.walker.Picture()
	}
	return lastPicture(s.life, d, p.warm, func() error { return s.wanted(p.epoch) })
}

// lastPicture decodes chunks that follow each other and returns the last picture of the last.
// It ends with an error of wanted, which it asks after every picture.
func lastPicture(ctx context.Context, d Decoder, latents [][]float32, wanted func() error) (last *image.RGBA, err error) {
	for _, latent := range latents {
		if err := d.Decode(ctx, latent, func(img *image.RGBA) error { last = img; return wanted() }); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// keepThumb keeps a small picture of the end of a chunk.
func (s *Session) keepThumb(chunk int, last *image.RGBA) error {
	s.keep.Lock()
	err := s.rec.addThumb(chunk, small(last))
	s.keep.Unlock()
	s.o.Changed()
	return err
}

// wanted returns an error unless pictures of an epoch are still wanted.
func (s *Session) wanted(epoch int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch != epoch {
		return errDropped
	}
	return nil
}

func (s *Session) hand(p shown) {
	select {
	case s.show <- p:
	case <-s.life.Done():
	}
}

// showPictures is the goroutine that has pictures seen: evenly, or as they come.
func (s *Session) showPictures() {
	interval := s.interval()
	var next time.Time
	for p := range s.show {
		if !s.waitFor(next) {
			return
		}
		s.mu.Lock()
		current := p.epoch == s.epoch
		now := time.Now()
		if current {
			if !p.again {
				s.pending--
			}
			s.state.Chunk = p.Chunk
			s.seen = append(s.seen[max(0, len(s.seen)-seenPictures):len(s.seen):len(s.seen)], now)
			if !p.touched.IsZero() {
				p.Latency = now.Sub(p.touched)
				s.state.Latency = p.Latency
			}
		}
		s.mu.Unlock()
		if !current {
			continue
		}
		if next = next.Add(interval); next.Before(now) {
			next = now.Add(interval)
		}
		s.o.Picture(p.Picture)
		poke(s.wake)
		s.o.Changed()
	}
}

// seenPictures is over how many pictures their rate is taken.
const seenPictures = 32

// waitFor waits for a time, and until there is no pause. It reports whether the session lives.
func (s *Session) waitFor(at time.Time) bool {
	if d := time.Until(at); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.life.Done():
			return false
		}
	}
	s.mu.Lock()
	off := s.pauseOff
	s.mu.Unlock()
	select {
	case <-off:
		return true
	case <-s.life.Done():
		return false
	}
}

// thumbWidth is that of the pictures in a strip of chunks, in pixels.
const thumbWidth = 104

func small(img *image.RGBA) image.Image {
	size := img.Rect.Size()
	dst := image.NewRGBA(image.Rect(0, 0, thumbWidth, max(1, thumbWidth*size.Y/size.X)))
	draw.ApproxBiLinear.Scale(dst, dst.Rect, img, img.Rect, draw.Src, nil)
	return dst
}
