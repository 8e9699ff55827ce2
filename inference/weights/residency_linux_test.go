package weights

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkSwitch measures the first pass over an expert's weights after its file was
// dropped from memory: cold, and after they were read ahead.
func BenchmarkSwitch(b *testing.B) {
	const bytes = 2 << 30
	s := large(b, bytes)
	t, err := s.Tensor("w")
	if err != nil {
		b.Fatal(err)
	}
	pass := func() float64 {
		begin := time.Now()
		var sum byte
		for i := 0; i < len(t.Data); i += os.Getpagesize() {
			sum += t.Data[i]
		}
		touched.Store(uint32(sum))
		return time.Since(begin).Seconds()
	}
	var cold, ahead, reading float64
	for b.Loop() {
		drop(b, s)
		cold += pass()
		drop(b, s)
		begin := time.Now()
		s.ReadAhead(b.Context())
		reading += time.Since(begin).Seconds()
		ahead += pass()
	}
	n := float64(b.N)
	b.ReportMetric(cold/n, "cold-s")
	b.ReportMetric(ahead/n, "ahead-s")
	b.ReportMetric(reading/n, "reading-s")
	b.ReportMetric(cold/ahead, "speedup")
	b.ReportMetric(0, "ns/op")
}

// drop drops the store's files from memory.
func drop(b *testing.B, s *Store) {
	b.Helper()
	s.LetGo()
	for _, m := range s.files {
		f, err := os.Open(m.path)
		if err != nil {
			b.Fatal(err)
		}
		err = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
		f.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
}
