package mapped

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkTouch reads the pages of the largest weight of a block, 5120 x 13824 in BF16, that
// is in memory: what a submission to a GPU costs more for it.
func BenchmarkTouch(b *testing.B) {
	const size = 2 * 5120 * 13824
	path := filepath.Join(b.TempDir(), "weights")
	if err := os.WriteFile(path, make([]byte, size), 0o644); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	m, err := Map(f, size)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	for name, step := range map[string]int{"pages": os.Getpagesize(), "MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			Touch(m.Data(), step)
			for b.Loop() {
				Touch(m.Data(), step)
				if err := Lost(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
