//go:build !darwin

package static

import (
	"go/constant"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	cppSelector = regexp.MustCompile(`_(?:MTL|NS)_PRIVATE_DEF_SEL\(\w+,\s*"([^"]+)"\)`)
	cppConstant = regexp.MustCompile(`\b(\w+)\s*=\s*([0-9][\w<+| ()]*),`)
	ourConstant = regexp.MustCompile(`\bMTL(\w+?)\s*(?:SINCE\([\d.]+\)\s*)?= ([^,}]+?)\s*[,}]`)
	suffix      = regexp.MustCompile(`\b(0x[0-9a-fA-F]+|\d+)[uUlL]+\b`)
)

// metalCpp returns the text of Apple's own C++ headers of Metal, in the folder GIMBAL_METAL_CPP (Apache
// licence; `make metal-cpp` takes them from PyPI's mlx-metal and runs this).
func metalCpp(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GIMBAL_METAL_CPP")
	if dir == "" {
		t.Skip("GIMBAL_METAL_CPP names no folder of Apple's metal-cpp: make metal-cpp")
	}
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".hpp" {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// TestMetalCppSelectors looks every message that the Objective-C sends up in Apple's headers, but for
// those to Foundation's classes, of which they have a part only.
func TestMetalCppSelectors(t *testing.T) {
	known := map[string]bool{}
	for _, m := range cppSelector.FindAllStringSubmatch(metalCpp(t), -1) {
		known[m[1]] = true
	}
	if len(known) < 1000 {
		t.Fatalf("only %d selectors are found", len(known))
	}
	looked := 0
	for folder, file := range objectiveCFiles {
		for m := range messages(read(t, folder+"/"+file)) {
			looked++
			if !strings.HasPrefix(m.class, "NS") && !known[m.selector] && !slices.Contains(counting, m.selector) {
				t.Errorf("%s: Apple's headers have no %s, sent to %s", file, m.selector, m.class)
			}
		}
	}
	if looked < 50 {
		t.Errorf("only %d messages are found", looked)
	}
}

// TestMetalCppConstants compares the numbers of testdata/apple with Apple's.
func TestMetalCppConstants(t *testing.T) {
	apples := map[string][]string{}
	for _, m := range cppConstant.FindAllStringSubmatch(metalCpp(t), -1) {
		if v := valueOf(m[2]); v != "" {
			apples[m[1]] = append(apples[m[1]], v)
		}
	}
	compared := 0
	for _, m := range ourConstant.FindAllStringSubmatch(read(t, "testdata/apple/Metal/Metal.h"), -1) {
		if values := apples[m[1]]; !slices.Contains(values, valueOf(m[2])) {
			t.Errorf("MTL%s is %s, in Apple's headers %v", m[1], valueOf(m[2]), values)
		}
		compared++
	}
	if compared < 9 {
		t.Errorf("only %d constants are compared", compared)
	}
}

// valueOf is the number of a constant expression of C; "" where it is none.
func valueOf(expression string) string {
	v, err := types.Eval(token.NewFileSet(), nil, token.NoPos, suffix.ReplaceAllString(expression, "$1"))
	if err != nil || v.Value == nil || v.Value.Kind() != constant.Int {
		return ""
	}
	return v.Value.ExactString()
}
