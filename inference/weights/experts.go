package weights

import (
	"bytes"
	"fmt"
)

// ExpertPaths returns where the experts of a checkpoint are, files or folders; "" for one that is
// not there. No weights are looked at where their folders have the original names.
func (c Checkpoint) ExpertPaths() (high, low string) {
	if c.isOriginal() {
		f, err := readFolder(c.Dir)
		if err != nil {
			return "", ""
		}
		return f.expert(HighNoise), f.expert(LowNoise)
	}
	p, _ := c.find() // whoever opens it says what is wrong
	return p.HighNoise, p.LowNoise
}

// Twins reports whether both experts of an open checkpoint hold the same weights, as where one file
// was fetched twice: by the beginnings of their heads and of matrices from the first to the last
// block.
func (l *Layout) Twins() bool {
	high, ok := l.Experts[HighNoise]
	low, both := l.Experts[LowNoise]
	if !ok || !both {
		return false
	}
	names := []string{"head.head.weight", "head.modulation", "blocks.0.self_attn.q.weight", "blocks.0.modulation"}
	if n := low.Config.NumLayers; n > 1 {
		names = append(names, fmt.Sprintf("blocks.%d.ffn.0.weight", n/2), fmt.Sprintf("blocks.%d.modulation", n-1))
	}
	for _, name := range names {
		a, errA := high.Store.Tensor(name)
		b, errB := low.Store.Tensor(name)
		n := min(len(a.Data), len(b.Data), sampleSize)
		if errA != nil || errB != nil || n == 0 || !bytes.Equal(a.Data[:n], b.Data[:n]) {
			return false
		}
	}
	return true
}

// IsPlain reports whether the experts of a checkpoint are there and have no camera branch, as
// those of Wan2.2 have none. Of their files the names of tensors are read.
func (c Checkpoint) IsPlain() bool {
	high, low := c.ExpertPaths()
	for _, path := range []string{low, high} {
		if path == "" {
			continue
		}
		s, err := OpenKind(path, KindExpert)
		if err != nil {
			return false
		}
		defer s.Close()
		return s.mustBe(KindExpert) == nil && !s.hasCamera()
	}
	return false
}
