package wan

import (
	"testing"

	"gimbal/inference/device"
)

// Remembered returns the keys and values of a block, in order of the tokens in the video, as
// the reference has them.
func (s *Session) Remembered(tb testing.TB, block, text int) (keys, values []float32) {
	tb.Helper()
	read := func(m device.Mat) []float32 {
		all := make([]float32, m.Rows*m.Cols)
		if err := s.m.dev.Read(tb.Context(), device.Bytes(all), m.Buf); err != nil {
			tb.Fatal(err)
		}
		var ordered []float32
		frame := s.cache.frameTokens * m.Cols
		for _, f := range s.cache.frames() {
			ordered = append(ordered, all[s.cache.slot(f)*frame:][:frame]...)
		}
		return ordered
	}
	return read(s.cache.keys[text][block]), read(s.cache.values[text][block])
}
