package wan

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// errNoChunk says that a causal session was not told what its chunk is about.
var errNoChunk = errors.New("wan: no chunk: call Chunk before the first forward")

// errRecalled says that a chunk was begun to be remembered only.
var errRecalled = errors.New("wan: the chunk is only recalled: call Again or Chunk before a forward of all blocks")

// Chunk goes on to the next chunk of a causal session's video: y is its image conditioning
// and plucker its camera rays, as in Input, of the chunk's frames. The forwards that follow
// are about it, until the next call: each of them writes the chunk's keys and values over
// those of the one before, and forgets what the window has no room for. On a dry device both
// may be nil.
//
// A chunk that failed, or is to be made otherwise, may be begun again with Again.
func (s *Session) Chunk(ctx context.Context, y, plucker []float32) error {
	if err := s.checkChunk(y, plucker); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	if err := s.cache.next(ctx, s.m.dev); err != nil {
		return err
	}
	return s.begin(ctx, y, plucker, len(s.m.w.blocks))
}

// Recall begins chunk k, counted from 0, which was made before, so that Remember brings its keys
// and values back: those of so many blocks, the first ones, as Depth says. There are no other
// forwards of it.
func (s *Session) Recall(ctx context.Context, k, blocks int, y, plucker []float32) error {
	if err := s.checkChunk(y, plucker); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	s.Seek(k)
	if err := s.cache.next(ctx, s.m.dev); err != nil {
		return err
	}
	return s.begin(ctx, y, plucker, blocks)
}

// Depth returns how many blocks' keys and values of chunk j the session must have had in its
// cache for the cache before chunk k to have the bits that it has; 0 for none.
func (s *Session) Depth(j, k int) int { return s.cache.depthOf(j, k, len(s.m.w.blocks)) }

// Window lists the chunks that chunk k attends to, but for itself: the sink's and the latest.
func (s *Session) Window(k int) []int { return s.cache.attendedBy(k) }

// Cut has chunk k and those after it know nothing of what its window has no room for, also not
// through the chunks in its window: those behind the sink know the sink and each other alone. All
// of Window(k) are to be brought back with Recall then. Without a cut, 0, a chunk knows what the
// chunks that it attends to knew.
func (s *Session) Cut(k int) {
	list, from := s.Window(k), k // the first of those that follow each other up to chunk k
	for i := len(list) - 1; i >= 0 && list[i] == from-1; i-- {
		from--
	}
	s.cache.cut = max(0, from*s.cache.chunk-s.cache.Sink)
}

// Again begins the chunk at hand again, with other conditioning: nothing that its forwards
// need was overwritten by the ones before.
func (s *Session) Again(ctx context.Context, y, plucker []float32) error {
	if err := s.checkChunk(y, plucker); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	if s.cache.depth == 0 {
		return errNoChunk
	}
	if err := s.cache.place(ctx, s.m.dev); err != nil {
		return err
	}
	return s.begin(ctx, y, plucker, len(s.m.w.blocks))
}

// AtChunk returns the number of the chunk at hand, from 0; -1 before the first call of Chunk.
func (s *Session) AtChunk() int { return s.cache.end/s.cache.chunk - 1 }

// Seek goes to before chunk k, counted from 0, which Chunk begins then. What is remembered of the
// chunks before it is to be brought back with Recall, before or after that.
func (s *Session) Seek(k int) { s.cache.end, s.cache.depth = k*s.cache.chunk, 0 }

func (s *Session) checkChunk(y, plucker []float32) error {
	if s.cache == nil {
		return errors.New("a chunk of a session that is not causal")
	}
	in := s.in
	in.Y, in.Plucker = y, plucker
	return s.m.checkConditioning(in)
}

// begin computes what is the same in all forwards of the chunk, which go as far as a number of
// blocks: of the last of them a forward that is not the whole one takes keys and values only.
func (s *Session) begin(ctx context.Context, y, plucker []float32, blocks int) error {
	s.cache.depth = blocks
	s.grid.patchify(s.hostPatches, s.patches.Cols, s.m.Config.OutDim*s.grid.patchSize(), y, s.m.Config.InDim-s.m.Config.OutDim)
	if err := s.fillRope(ctx, s.cache.end-s.grid.f); err != nil || s.camera == nil {
		return err
	}
	if blocks < len(s.m.w.blocks) {
		blocks--
	}
	return s.camera.follow(ctx, s, plucker, blocks)
}

// SetContexts changes the prompts of a session, from the next forward on. A causal session
// remembers the frames so far as they were made.
func (s *Session) SetContexts(ctx context.Context, contexts []Context) error {
	if err := s.checkContexts(contexts); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	return s.prepareText(ctx, contexts)
}

// SetChange is SetContexts where the prompts are to act more than they would: cross-attention goes
// from what it gives for the prompts before scale times the way to what it gives for the new ones.
// It is guidance for the price of the cross-attention, where whole forwards would cost twice.
func (s *Session) SetChange(ctx context.Context, contexts, before []Context, scale float32) error {
	if err := errors.Join(s.checkContexts(contexts), s.checkContexts(before)); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	if err := s.prepareText(ctx, slices.Concat(contexts, before)); err != nil {
		return err
	}
	s.prompts.change = change{on: true, scale: scale, zero: s.texts.Filled(ctx, "text.zero", 1, s.m.Config.Dim, func([]float32) {})}
	return s.texts.Err()
}

func (s *Session) checkContexts(contexts []Context) error {
	if len(contexts) != s.contexts {
		return fmt.Errorf("found %d text contexts, expected %d as before", len(contexts), s.contexts)
	}
	return s.m.checkContexts(contexts)
}

// Remember is the forward of a causal session after a chunk's last step: it leaves the keys
// and values of the finished latent x at timestep 0 in the cache, which the chunks after it
// attend to, and stops where nothing else comes of it. Of a chunk that is recalled x is what it
// was then.
func (s *Session) Remember(ctx context.Context, x []float32, text int) error {
	if s.cache == nil {
		return errors.New("wan: a session that is not causal remembers nothing")
	}
	if err := s.load(x, text); err != nil {
		return err
	}
	if err := s.remember(ctx, text); err != nil {
		return fmt.Errorf("wan: clean forward: %w", err)
	}
	return nil
}

func (s *Session) remember(ctx context.Context, text int) error {
	last := s.cache.depth - 1
	if err := s.start(ctx, 0, text); err != nil {
		return err
	}
	for i := range last {
		if err := s.runBlock(ctx, i, text); err != nil {
			return err
		}
	}
	w := &s.m.w.blocks[last]
	return s.m.dev.Do(ctx, w.name, func(enc device.Encoder) {
		s.modulation.setBlock(enc, w)
		h := s.castInput(s.act.h)
		s.modulation.norm(enc, s.act.x, h, s.m.eps, attentionShift, attentionScale)
		s.writeCache(enc, w, h, last, text)
	})
}

// causalAttention is the attention of the chunk's queries to all that is remembered, and to
// the chunk itself. It returns the matrix of its results.
func (s *Session) causalAttention(enc device.Encoder, w *blockWeights, h device.Mat, i, text int) device.Mat {
	k := s.cache
	q := s.act.q()
	s.writeCache(enc, w, h, i, text)
	w.selfQ.Record(enc, h, q, nn.Epilogue{})
	out := q
	if s.attention16() {
		q = s.half(s.act.v(), 0)
	}
	s.applyRope(enc, out, q, w.selfNormQ)
	enc.Record(device.Attention{
		Q: q, K: k.keys[text][i].RowRange(k.from, k.to), V: k.values[text][i].RowRange(k.from, k.to), O: out,
		Heads: s.m.Config.NumHeads, Scale: s.m.attentionScale(), KeyBias: k.keyBias(),
	})
	return out
}

// writeCache computes the chunk's rotated keys and its values into the cache.
func (s *Session) writeCache(enc device.Encoder, w *blockWeights, h device.Mat, i, text int) {
	k := s.act.k()
	w.selfK.Record(enc, h, k, nn.Epilogue{})
	for _, part := range s.cache.spans {
		to := part.at + part.to - part.from
		enc.Record(device.Rope{
			X: k.RowRange(part.from, part.to), Y: s.cache.keys[text][i].RowRange(part.at, to), Heads: s.m.Config.NumHeads,
			Cos: s.cos.RowRange(part.from, part.to), Sin: s.sin.RowRange(part.from, part.to), Weight: w.selfNormK, Eps: s.m.eps,
		})
		w.selfV.Record(enc, h.RowRange(part.from, part.to), s.cache.values[text][i].RowRange(part.at, to), nn.Epilogue{})
	}
}
