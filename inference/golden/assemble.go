package golden

import (
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/inference/weights"
)

// Plan is a checkpoint in another layout: the plan of it, the folder in Dir whose tensors it
// has, and the case that it must give.
type Plan struct{ Plan, Source, Equals string }

// Plans are those of FormatsDir, by the names of their cases.
func Plans(tb testing.TB) map[string]Plan {
	tb.Helper()
	all := map[string]Plan{}
	for name, scalars := range listed(tb, filepath.Join(FormatsDir(tb), "cases")) {
		var p Plan
		if err := json.Unmarshal(scalars, &p); err == nil && p.Plan != "" {
			all[name] = p
		}
	}
	if len(all) == 0 {
		tb.Fatal("golden: no plans")
	}
	return all
}

// Assemble writes the folder that a plan of FormatsDir describes, with the tensors of a
// checkpoint in the original layout under other names. False if the repository is without the
// plan.
func Assemble(tb testing.TB, plan, source, target string) bool {
	tb.Helper()
	path, ok := FormatFile(tb, plan)
	if !ok {
		return false
	}
	var p struct {
		JSON        map[string]any
		Copy        map[string]string
		Safetensors map[string]struct {
			Metadata map[string]string
			Tensors  map[string][2]string // part and name in source
		}
	}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	at := func(name string) string {
		to := filepath.Join(target, name)
		must(os.MkdirAll(filepath.Dir(to), 0o755))
		return to
	}
	text, err := os.ReadFile(path)
	must(err)
	must(json.Unmarshal(text, &p))
	for name, value := range p.JSON {
		text, err := json.Marshal(value)
		must(err)
		must(os.WriteFile(at(name), text, 0o644))
	}
	for name, from := range p.Copy {
		text, err := os.ReadFile(filepath.Join(source, from))
		must(err)
		must(os.WriteFile(at(name), text, 0o644))
	}
	stores := map[string]*weights.Store{}
	defer func() {
		for _, s := range stores {
			s.Close()
		}
	}()
	for name, file := range p.Safetensors {
		var tensors []weights.Source
		for _, to := range slices.Sorted(maps.Keys(file.Tensors)) {
			part, from := file.Tensors[to][0], file.Tensors[to][1]
			if stores[part] == nil {
				stores[part], err = weights.Open(filepath.Join(source, part))
				must(err)
			}
			t, err := stores[part].Tensor(from)
			must(err)
			tensors = append(tensors, weights.Source{Name: to, DType: t.DType, Shape: t.Shape, Write: func(w io.Writer) error {
				_, err := w.Write(t.Data)
				return err
			}})
		}
		must(weights.WriteSafetensors(at(name), tensors, file.Metadata))
	}
	return true
}
