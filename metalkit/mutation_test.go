//go:build !darwin

package metalkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A mutation makes a kernel wrong in one place: it replaces what the expression
// matches, one match at a time.
var mutations = []struct {
	what  string
	match *regexp.Regexp
	with  string
}{
	{"no barrier", regexp.MustCompile(`(threadgroup|simdgroup)_barrier\(mem_flags::\w+\);`), ";"},
	{"guard one too far", regexp.MustCompile(` < (a\.\w+|pixels|depth_all|h|width)\b`), " <= $1"},
	{"index one too far", regexp.MustCompile(`\b(load\([^;\n]*?|store\(\w+, \w+, [^;\n]*?\* a\.\w+)( \+ )`), "$1 + 1$2"},
	{"element one too far", regexp.MustCompile(`\b(xs|ws|qs|kv|s|p|parts|diagonal|tile|memory|weight|bias|scale|shift|gate|rel|key_bias|cosines|sines|code|nested|nested_code|ids|w|packed)\[([^\[\]\n]+)\]`), "$1[$2 + 1]"},
}

// TestMutations runs the conformance suite over every mutant and fails for those
// that it does not notice. It takes long: GIMBAL_MUTATE is a regular expression for
// those to try, such as "attention.metal.*no barrier".
func TestMutations(t *testing.T) {
	wanted, err := regexp.Compile(os.Getenv("GIMBAL_MUTATE"))
	if err != nil {
		t.Fatal(err)
	}
	if wanted.String() == "" {
		t.Skip("GIMBAL_MUTATE is not set")
	}
	root := copyModule(t)
	kernels, err := filepath.Glob(filepath.Join(root, "metalkit/kernels", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range kernels {
		if ext := filepath.Ext(path); ext == ".metal" || ext == ".h" {
			mutateFile(t, root, path, wanted)
		}
	}
}

// copyModule copies what the conformance suite needs.
func copyModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"go.mod", "go.sum", "inference/device", "metalkit"} {
		to := filepath.Join(root, dir)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-r", filepath.Join("..", dir), to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, name := range []string{"reference_test.go", "mutation_test.go"} { // these need more
		if err := os.Remove(filepath.Join(root, "metalkit", name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func mutateFile(t *testing.T, root, path string, wanted *regexp.Regexp) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(path, text, 0o666)
	for _, m := range mutations {
		for _, at := range m.match.FindAllSubmatchIndex(text, -1) {
			line := 1 + strings.Count(string(text[:at[0]]), "\n")
			mutant := slices.Concat(text[:at[0]], m.match.Expand(nil, []byte(m.with), text, at), text[at[1]:])
			name := fmt.Sprintf("%s:%d: %s: %s", filepath.Base(path), line, m.what, text[at[0]:at[1]])
			if !wanted.MatchString(name) {
				continue
			}
			if err := os.WriteFile(path, mutant, 0o666); err != nil {
				t.Fatal(err)
			}
			checkKilled(t, root, name)
		}
	}
}

func checkKilled(t *testing.T, root, name string) {
	cmd := exec.Command("go", "test", "-failfast", "-timeout", "5m", "-run", "TestDevice$|TestBackward", "./metalkit")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Errorf("survives: %s", name)
	case strings.Contains(string(out), "[build failed]"):
		t.Logf("does not compile: %s\n%s", name, out)
	default:
		t.Logf("killed: %s", name)
	}
}
