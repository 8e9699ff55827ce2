package studio

import (
	"context"
	"testing"
)

// BenchmarkEdit times a key press.
func BenchmarkEdit(b *testing.B) {
	st := newBench(b, b.TempDir())
	for b.Loop() {
		st.Edit(FieldPrompt, "a green meadow with columns at noon, and a long road that leads to the hills")
	}
	must(b, st.Close(context.Background()))
}
