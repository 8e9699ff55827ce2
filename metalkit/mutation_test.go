//go:build !darwin

package metalkit

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// servedBy are the parts of the conformance suite for which a file's mistakes can matter;
// for the other files it is all.
var servedBy = map[string]string{
	"unary.metal": "Unary", "binary.metal": "Binary", "gated_add.metal": "GatedAdd", "gather.metal": "Gather",
	"move.metal": "Move", "norm.metal": "Norm", "rope.metal": "Rope", "linear.metal": "Linear|Quantised",
	"attention.metal": "Attention", "conv.metal": "Conv|ConvFrames",
}

// TestMutations runs the conformance suite over mutants of the kernels and fails for
// those that it does not notice, but for the ones that testdata/survivors.txt gives a
// reason for, and for reasons that are not needed. Without more it tries a small
// sample; GIMBAL_MUTATE is a regular expression for those to try, such as
// "attention.metal.*no barrier", or "." for all, which takes long.
func TestMutations(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles kernels")
	}
	pattern := os.Getenv("GIMBAL_MUTATE")
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	root := copyModule(t)
	mutants := mutateKernels(t, root, pattern == "")
	reasons := readReasons(t, mutants)
	var tried []mutant
	for i, m := range mutants {
		if pattern == "" && sampled(m) && i%37 == 0 || pattern != "" && wanted.MatchString(m.name) {
			tried = append(tried, m)
		}
	}
	if len(tried) == 0 {
		t.Fatal("no such mutant")
	}
	binary := filepath.Join(root, "mutants.test")
	build := exec.Command("go", "test", "-c", "-o", binary, "./metalkit")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the mutants do not compile: %v\n%s", err, out)
	}
	if !survives(t, root, mutant{name: "no mutant", file: tried[0].file}) {
		t.Fatal("the suite fails without a mutation")
	}
	killed := 0
	for _, m := range tried {
		switch alive := survives(t, root, m); {
		case alive && reasons[m.name] == "":
			t.Errorf("survives: %s", m.name)
		case !alive && reasons[m.name] != "":
			t.Errorf("is noticed, though there is a reason why not: %s", m.name)
		case !alive:
			killed++
		}
	}
	t.Logf("%d of %d mutants tried, %d noticed", len(tried), len(mutants), killed)
}

// sampled says whether the sample has mutants of a file: of those that compile quickly.
func sampled(m mutant) bool {
	return m.file != "linear.metal" && m.file != "attention.metal" && m.file != "conv.metal" && !strings.HasSuffix(m.file, ".h")
}

// needsMore matches tests that need more of the module than copyModule copies.
var needsMore = regexp.MustCompile(`"gimbal/inference/[^d]`)

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
	tests, err := filepath.Glob(filepath.Join(root, "metalkit", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tests {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if needsMore.Match(text) || strings.HasPrefix(filepath.Base(path), "muta") {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

var (
	narrow = regexp.MustCompile(`(?m)^INSTANCE\(\w+_b?f16.*\n`) // kernels that differ from those in F32 by the type
	slow   = regexp.MustCompile(`(?m)^#include "\S+(linear|attention|conv)\.metal"\n`)
)

// mutateKernels puts mutants into the kernels below root and leaves out what is not
// needed for them, or for the sample of them.
func mutateKernels(t *testing.T, root string, sample bool) []mutant {
	t.Helper()
	m := mutator{seen: map[string]int{}}
	paths, err := filepath.Glob(filepath.Join(root, "metalkit/kernels", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if ext := filepath.Ext(path); ext == ".metal" || ext == ".h" {
			rewrite(t, path, func(text string) string { return narrow.ReplaceAllString(m.mutate(filepath.Base(path), text), "") })
		}
	}
	if sample {
		rewrite(t, filepath.Join(root, "metalkit/internal/soft/kernels.cpp"), func(text string) string { return slow.ReplaceAllString(text, "") })
	}
	return m.mutants
}

func rewrite(t *testing.T, path string, f func(string) string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(f(string(text))), 0o666); err != nil {
		t.Fatal(err)
	}
}

// readReasons reads why mutants survive: lines that begin with a tab are names of
// mutants, and the lines before them are the reason.
func readReasons(t *testing.T, mutants []mutant) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/survivors.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, m := range mutants {
		known[m.name] = true
	}
	reasons, reason, named := map[string]string{}, "", false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		name, isName := strings.CutPrefix(lines.Text(), "\t")
		switch {
		case isName && (reason == "" || !known[name]):
			t.Errorf("survivors.txt has no reason for, or there is no such mutant: %s", name)
		case isName:
			reasons[name] = reason
		case named:
			reason = ""
			fallthrough
		default:
			reason = strings.TrimSpace(reason + " " + name)
		}
		named = isName
	}
	return reasons
}

// survives runs the suite with a mutant: on the fixed variants forward and backward,
// and then on all of them.
func survives(t *testing.T, root string, m mutant) bool {
	t.Helper()
	parts, variants := servedBy[m.file], "."
	if parts == "" {
		parts = "."
	} else {
		variants = "^(" + strings.Split(parts, "|")[0] + "|" + parts + ") "
	}
	for _, run := range []string{"^(TestDevice|TestBackward)$/^(" + parts + ")$", "^TestVariants$/^F32$/" + variants} {
		if parts == "." {
			run = strings.ReplaceAll(run, "^(.)$", ".")
		}
		start := time.Now()
		cmd := exec.Command(filepath.Join(root, "mutants.test"), "-test.failfast", "-test.timeout", "30s", "-test.run", run)
		cmd.Dir = filepath.Join(root, "metalkit")
		cmd.Env = append(os.Environ(), fmt.Sprintf("GIMBAL_MUTANT=%d", m.number))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("noticed in %.1f s: %s", time.Since(start).Seconds(), m.name)
			if m.number == 0 {
				t.Logf("%s", out)
			}
			return false
		}
		if !variantsOf(m.file) {
			break
		}
	}
	return true
}

// variantsOf says whether the kernels of a file have variants.
func variantsOf(file string) bool {
	return !sampled(mutant{file: file})
}
