package video

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSidecar(t *testing.T) {
	type settings struct {
		Prompt string  `json:"prompt"`
		Seed   uint64  `json:"seed"`
		Shift  float64 `json:"shift"`
	}
	path := filepath.Join(t.TempDir(), "clip.json")
	want := settings{Prompt: "a <house>\n\"é\"", Seed: 1<<63 + 1, Shift: 0.947}
	for range 2 { // the second time over the first
		if err := WriteSidecar(path, want); err != nil {
			t.Fatal(err)
		}
	}
	var got settings
	if err := ReadSidecar(path, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read %+v, %v", got, err)
	}

	if err := WriteSidecar(path, func() {}); err == nil {
		t.Error("a function was written")
	}
	if err := ReadSidecar(path, &got); err != nil {
		t.Errorf("after a failed write: %v", err)
	}
	for _, bad := range []string{"", "{", `{"seed":"x"}`, "\x00\x01"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := ReadSidecar(path, &got); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: error %v", bad, err)
		}
	}
	if err := ReadSidecar(path+"x", &got); err == nil {
		t.Error("a missing file was read")
	}
}

func TestDefaultName(t *testing.T) {
	at := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	for _, c := range []struct{ task, size, prompt, want string }{
		{"i2v-A14B", "480*832", "test", "i2v-A14B_480x832_1_test_20250304_050607.mp4"},
		{"i2v-A14B", "480*832", "a/b c", "i2v-A14B_480x832_1_a_b_c_20250304_050607.mp4"},
		{"i2v-A14B", "480*832", "", "i2v-A14B_480x832_1__20250304_050607.mp4"},
		{"i2v-A14B", "480*832", strings.Repeat("ab", 50), "i2v-A14B_480x832_1_" + strings.Repeat("ab", 25) + "_20250304_050607.mp4"},
		{"t", "s", strings.Repeat("山", 60), "t_s_1_" + strings.Repeat("山", 50) + "_20250304_050607.mp4"},
		{"i2v-A14B", "480*832", strings.Repeat("🌄", 60), "i2v-A14B_480x832_1_" + strings.Repeat("🌄", 39) + "_20250304_050607.mp4"},
		{"i2v-A14B", "480*832", strings.Repeat("e\u0301", 60), "i2v-A14B_480x832_1_" + strings.Repeat("e\u0301", 25) + "_20250304_050607.mp4"},
		{"i2v-A14B", "480*832", strings.Repeat("❤\ufe0f", 60), "i2v-A14B_480x832_1_" + strings.Repeat("❤\ufe0f", 25) + "_20250304_050607.mp4"},
		{"i2v-A14B", "480*832", strings.Repeat("🏔\ufe0f", 60), "i2v-A14B_480x832_1_" + strings.Repeat("🏔\ufe0f", 22) + "_20250304_050607.mp4"},
		{"t", "s", "..\\x:\"?<>|*\n\x00\xff", "t_s_1_.._x___________20250304_050607.mp4"},
		{"../t", "s", "x", "_._t_s_1_x_20250304_050607.mp4"},
	} {
		if got := DefaultName(c.task, c.size, "1", c.prompt, at); got != c.want {
			t.Errorf("%q: %q, want %q", c.prompt, got, c.want)
		}
	}
}

func FuzzDefaultName(f *testing.F) {
	f.Add("i2v-A14B", "480*832", "1", "a walk / a <run>")
	f.Add("", "", "", "")
	f.Add(".", "..", "/", "\xff\u202e\x00")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, task, size, ulysses, prompt string) {
		if len(task)+len(size)+len(ulysses) > 30 {
			t.Skip("flags, not free text")
		}
		name := DefaultName(task, size, ulysses, prompt, time.Now())
		if name[0] == '.' || len(name) > 197 || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\:*?\"<>|\x00\n ") {
			t.Fatalf("name %q", name)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(path)
	})
}

func TestFreePath(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "clip.v1.mp4")
	take := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(want string, beside ...string) {
		t.Helper()
		if got, err := FreePath(path, beside...); err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	check("clip.v1.mp4")
	take("clip.v1.mp4")
	check("clip.v1_2.mp4")
	take("clip.v1_2.json")
	check("clip.v1_2.mp4")
	check("clip.v1_3.mp4", ".json", ".png")

	if _, err := FreePath(filepath.Join(dir, strings.Repeat("x", 5000)+".mp4")); err == nil {
		t.Error("a name that no file can have is free")
	}
}
