package golden

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// FormatsDir returns the folder of the reference cases of file formats, LoRAs and few steps:
// that in GIMBAL_FORMATS_DIR, or else inference/testdata/golden-formats, which has a part of
// them.
func FormatsDir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("GIMBAL_FORMATS_DIR"); dir != "" {
		return dir
	}
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("golden: no caller information")
	}
	return filepath.Join(filepath.Dir(file), "..", "testdata", "golden-formats")
}

// FormatsBase returns the folder of the reference cases that those of FormatsDir build on.
func FormatsBase(tb testing.TB) string {
	tb.Helper()
	var about struct {
		Base string `json:"base"`
	}
	if err := json.Unmarshal(listed(tb, filepath.Join(FormatsDir(tb), "cases"))["_"], &about); err != nil || about.Base == "" {
		tb.Fatalf("golden: the base of %s: %v", FormatsDir(tb), err)
	}
	return filepath.Join(FormatsDir(tb), about.Base)
}

// FormatCases is Cases for those of FormatsDir. Of the repository's own it opens the part that is there,
// and skips the test if that is none.
func FormatCases(tb testing.TB, prefix string) []Case {
	tb.Helper()
	dir := filepath.Join(FormatsDir(tb), "cases")
	if os.Getenv("GIMBAL_FORMATS_DIR") == "" {
		if there, _ := filepath.Glob(filepath.Join(dir, prefix+"*.safetensors")); len(there) == 0 {
			tb.Skip("not in the repository")
		}
	}
	return open(tb, dir, prefix, listed(tb, dir))
}

// FormatFile returns the path of a file of FormatsDir; false if the repository's own part is
// without it.
func FormatFile(tb testing.TB, name string) (string, bool) {
	tb.Helper()
	path := filepath.Join(FormatsDir(tb), name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("GIMBAL_FORMATS_DIR") != "" {
			tb.Fatal(err)
		}
		return "", false
	}
	return path, true
}
