package weights

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// one is a safetensors file with one tensor of that name.
func one(name string) []byte {
	return safetensors(`{"`+name+`":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2)
}

// folder writes files, by name, to a new folder.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenSharded(t *testing.T) {
	index := []byte(`{"metadata":{"total_size":4},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}`)
	for _, c := range []struct {
		name  string
		files map[string][]byte
		want  []string
	}{
		{"shards", map[string][]byte{"m.safetensors.index.json": index, "1.safetensors": one("a"), "2.safetensors": one("b")}, []string{"a", "b"}},
		{"single", map[string][]byte{singleFile: one("a"), "other.safetensors": one("b"), "zero.safetensors": nil}, []string{"a"}},
		{"only", map[string][]byte{"model.safetensors": one("a"), "config.json": nil}, []string{"a"}},
	} {
		s, err := Open(folder(t, c.files))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := s.Names(); !slices.Equal(got, c.want) {
			t.Errorf("%s: names %q, want %q", c.name, got, c.want)
		}
		for _, n := range s.Names() {
			if x, err := s.Tensor(n); err != nil || !slices.Equal(x.Data, []byte{0, 1}) {
				t.Errorf("%s: tensor %+v, %v", c.name, x, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBadShards(t *testing.T) {
	const index = "m.safetensors.index.json"
	type files = map[string][]byte
	weightMap := func(m string) []byte { return []byte(`{"weight_map":` + m + `}`) }
	for _, c := range []struct {
		name               string
		files              files
		at                 string // the file that the error names
		field, found, want string
	}{
		{"nothing", files{}, "", "model", "no file of weights", singleFile},
		{"two files", files{"1.safetensors": one("a"), "2.safetensors": one("b")}, "", "index", "2 files of weights", "one *"},
		{"two indexes", files{index: nil, "n.safetensors.index.json": nil}, "", "index", index, "one *"},
		{"empty index", files{index: nil}, index, "contents", "unexpected end", "JSON object"},
		{"no map", files{index: []byte(`{}`)}, index, "weight_map", "no tensor", "object"},
		{"empty map", files{index: weightMap(`{}`)}, index, "weight_map", "no tensor", "object"},
		{"mistyped map", files{index: weightMap(`[]`)}, index, "weight_map", "[", "object"},
		{"mistyped shard", files{index: weightMap(`{"a":1}`)}, index, "weight_map", "number", "file names"},
		{"duplicate", files{index: weightMap(`{"a":"1","a":"2"}`)}, index, `tensor "a"`, "second", "unique"},
		{"missing shard", files{index: weightMap(`{"a":"1.safetensors"}`)}, index, `tensor "a" shard`, "1.safetensors, which is missing", "a file in"},
		{"tensor not in shard", files{index: weightMap(`{"b":"1.safetensors"}`), "1.safetensors": one("a")}, index, `tensor "b" shard`, "which lacks it", "shard"},
		{"truncated shard", files{index: weightMap(`{"a":"1.safetensors"}`), "1.safetensors": one("a")[:50]}, "1.safetensors", "header length", "", "at most"},
		{"parent", files{index: weightMap(`{"a":"../1.safetensors"}`)}, index, `tensor "a" shard`, "../1", "next to the index"},
		{"absolute", files{index: weightMap(`{"a":"/etc/passwd"}`)}, index, `tensor "a" shard`, "/etc/passwd", "next to the index"},
		{"nested", files{index: weightMap(`{"a":"sub/1.safetensors"}`)}, index, `tensor "a" shard`, "sub/1", "next to the index"},
		{"dots", files{index: weightMap(`{"a":".."}`)}, index, `tensor "a" shard`, "..", "next to the index"},
		{"no name", files{index: weightMap(`{"a":""}`)}, index, `tensor "a" shard`, `""`, "next to the index"},
		{"folder as shard", files{index: weightMap(`{"a":"sub"}`), "sub/x": nil}, "sub", "file type", "folder", "a file"},
		{"folder as index", files{index + "/x": nil}, index, "file type", "d", "regular"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t, c.files)
			_, err := Open(dir)
			checkError(t, err, filepath.Join(dir, c.at), c.field, c.found, c.want)
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing folder opens")
	}
}
