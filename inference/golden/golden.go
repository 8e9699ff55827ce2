// Package golden gives tests the reference cases: tensors computed with the
// public reference implementation, and the scalars that go with them. The cases
// come from the folder in GIMBAL_GOLDEN_DIR, or else from inference/testdata/golden.
// Names, sizes and dimensions are read from the files, never known here.
package golden

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// Dir returns the folder of the reference cases.
func Dir(tb testing.TB) string {
	tb.Helper()
	return folder(tb, "GIMBAL_GOLDEN_DIR", "golden")
}

// Causal returns the folder of the reference cases of the causal models: that in
// GIMBAL_CAUSAL_DIR, or else inference/testdata/golden-causal, which holds some of them.
func Causal(tb testing.TB) string {
	tb.Helper()
	return folder(tb, "GIMBAL_CAUSAL_DIR", "golden-causal")
}

func folder(tb testing.TB, variable, name string) string {
	tb.Helper()
	if dir := os.Getenv(variable); dir != "" {
		return dir
	}
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("golden: no caller information")
	}
	return filepath.Join(filepath.Dir(file), "..", "testdata", name)
}

// Checkpoint returns the folder of the reference checkpoint.
func Checkpoint(tb testing.TB) string { return filepath.Join(Dir(tb), "checkpoint-tiny") }

// Action returns the camera action folder called name.
func Action(tb testing.TB, name string) string { return filepath.Join(Dir(tb), "actions", name) }

// CausalCases is Cases for the causal models, without the cases that have no tensors, or
// whose tensors are not in the repository.
func CausalCases(tb testing.TB, prefix string) []Case {
	tb.Helper()
	return CasesIn(tb, filepath.Join(Causal(tb), "cases"), prefix)
}

// CausalScalars returns the scalars of all cases of the causal models whose names start with
// prefix, those without tensors too.
func CausalScalars(tb testing.TB, prefix string) map[string]json.RawMessage {
	tb.Helper()
	all := listed(tb, filepath.Join(Causal(tb), "cases"))
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return !strings.HasPrefix(name, prefix) })
	return all
}

// Case is one reference case.
type Case struct {
	Name    string
	scalars json.RawMessage
	store   *weights.Store
}

// Cases opens all cases whose name starts with prefix, in order of name. It
// fails the test if there is none.
func Cases(tb testing.TB, prefix string) []Case {
	tb.Helper()
	return CasesIn(tb, filepath.Join(Dir(tb), "cases"), prefix)
}

// CasesIn is Cases for another folder of cases, without those that have no tensors.
func CasesIn(tb testing.TB, dir, prefix string) []Case {
	tb.Helper()
	return open(tb, dir, prefix, listed(tb, dir))
}

// listed returns the scalars of the cases in a folder.
func listed(tb testing.TB, dir string) (all map[string]json.RawMessage) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cases.json"))
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// open opens those of the cases of a folder whose names start with prefix.
func open(tb testing.TB, dir, prefix string, all map[string]json.RawMessage) []Case {
	tb.Helper()
	var cases []Case
	for name, scalars := range all {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		store, err := weights.Open(filepath.Join(dir, name+".safetensors"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { store.Close() })
		cases = append(cases, Case{Name: name, scalars: scalars, store: store})
	}
	if len(cases) == 0 {
		tb.Fatalf("golden: no case %s* in %s", prefix, dir)
	}
	slices.SortFunc(cases, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return cases
}

// Scalars decodes the case's scalars into v.
func (c Case) Scalars(tb testing.TB, v any) {
	tb.Helper()
	if err := json.Unmarshal(c.scalars, v); err != nil {
		tb.Fatalf("golden: scalars of %s: %v", c.Name, err)
	}
}

// Names returns the names of the case's tensors.
func (c Case) Names() []string { return c.store.Names() }

// Tensor returns a tensor of the case as it is stored.
func (c Case) Tensor(tb testing.TB, name string) weights.Tensor {
	tb.Helper()
	t, err := c.store.Tensor(name)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// F32 returns a copy of an F32 tensor of the case and its shape.
func (c Case) F32(tb testing.TB, name string) ([]float32, []int) {
	tb.Helper()
	t := c.Tensor(tb, name)
	if t.DType != device.F32 {
		tb.Fatalf("golden: %s of %s is %v, want F32", name, c.Name, t.DType)
	}
	values := make([]float32, len(t.Data)/4)
	if len(values) > 0 {
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), len(t.Data)), t.Data)
	}
	return values, t.Shape
}

// RelL2 returns the relative L2 error |got - want| / |want|.
func RelL2(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var diff, norm float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		norm += float64(w) * float64(w)
	}
	if norm == 0 {
		return math.Sqrt(diff)
	}
	return math.Sqrt(diff / norm)
}

// Check fails the test unless got is within bound of want in relative L2 error.
func Check(tb testing.TB, what string, got, want []float32, bound float64) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	if e := RelL2(got, want); !(e <= bound) {
		tb.Errorf("%s: relative error %.3g, want at most %.3g", what, e, bound)
	}
}
