package weights

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
