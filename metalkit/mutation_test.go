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
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// servedBy are the parts of the conformance suite for which a file's mistakes can matter;
// for the other files it is all.
var servedBy = map[string]string{
	"tile.h": "Linear|Quantised|Conv|ConvFrames", "swizzle.h": "Linear|Quantised|Conv|ConvFrames",
	"linear.h": "Linear|Quantised", "linear_matmul2d.metal": "Linear|Quantised",
	"blocks.h": "Quantised", "conv.h": "Conv|ConvFrames", "conv_matmul2d.metal": "Conv|ConvFrames",
	"unary.metal": "Unary", "binary.metal": "Binary", "gated_add.metal": "GatedAdd", "gather.metal": "Gather",
	"move.metal": "Move", "norm.metal": "Norm", "rope.metal": "Rope", "linear.metal": "Linear|Quantised",
	"attention.metal": "Attention", "attention_shared.metal": "Attention", "attention.h": "Attention", "matrix.h": "Attention", "attention_matmul2d.metal": "Attention", "conv.metal": "Conv|ConvFrames",
}

// TestMutations runs the conformance suite over mutants of the kernels and fails for
// those that it does not notice, but for the ones that testdata/survivors.txt gives a
// reason for, and for reasons that are not needed. Without more it tries a small
// sample; GIMBAL_MUTATE is a regular expression for those to try, such as
// "attention.metal.*no barrier", or "." for all: doc.go says how long that takes.
func TestMutations(t *testing.T) {
	t.Parallel()
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
	build := exec.Command("go", "test", "-trimpath", "-c", "-o", binary, "./metalkit")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_CXXFLAGS=-O2 -w "+withoutLuck)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the mutants do not compile: %v\n%s", err, out)
	}
	suite := mutatedSuite{root: root, limits: map[string]time.Duration{}}
	for _, m := range tried {
		suite.measure(t, m.file)
	}
	var noticed, excused atomic.Int64
	next := make(chan mutant)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for m := range next {
				alive := suite.survives(t, m)
				switch {
				case alive && reasons[m.name] == "":
					t.Errorf("survives: %s", m.name)
				case !alive && reasons[m.name] != "":
					t.Errorf("is noticed, though there is a reason why not: %s", m.name)
				case alive:
					excused.Add(1)
				default:
					noticed.Add(1)
				}
			}
		})
	}
	for _, m := range tried {
		next <- m
	}
	close(next)
	workers.Wait()
	t.Logf("%d of %d mutants tried, %d noticed, %d not, with a reason", len(tried), len(mutants), noticed.Load(), excused.Load())
}

// sampled says whether the sample has mutants of a file: of those that compile quickly.
func sampled(m mutant) bool {
	return m.file != "linear.metal" && !strings.HasSuffix(m.file, "_matmul2d.metal") && m.file != "attention.metal" && m.file != "attention_shared.metal" && m.file != "conv.metal" && !strings.HasSuffix(m.file, ".h")
}

// needsMore matches tests that need more of the module than copyModule copies.
var needsMore = regexp.MustCompile(`"gimbal/inference/[^d]`)

// copyModule copies what the conformance suite needs.
func copyModule(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	own, err := filepath.Glob("../inference/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range own {
		own[i] = strings.TrimPrefix(file, "../")
	}
	for _, dir := range append(own, "go.mod", "go.sum", "inference/device", "inference/output", "inference/weights", "metalkit") {
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
	narrow = regexp.MustCompile(`(?m)^INSTANCE\(\w+_f16.*\n`) // kernels that differ from those in BF16 by the type
	slow   = regexp.MustCompile(`(?m)^#include "\S+(linear|linear_matmul2d|attention|attention_matmul2d|attention_shared|conv|conv_matmul2d)\.metal"\n`)
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
		rewrite(t, filepath.Join(root, "metalkit/internal/driver/soft/kernels.cpp"), func(text string) string { return slow.ReplaceAllString(text, "") })
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

// mutatedSuite is the test binary of the mutants.
type mutatedSuite struct {
	root   string
	limits map[string]time.Duration // of runs, several times what they take without a mutant
}

// withoutLuck are options of GCC, by which a place outside of a thread's own array, which nothing else
// may be in, stops the test, and what nothing was written to holds the same odd value everywhere.
const withoutLuck = "-fsanitize=bounds-strict,object-size -fsanitize-undefined-trap-on-error -ftrivial-auto-var-init=pattern"

// runs are the tests for the mutants of a file, as -test.run takes them, those that take the least
// first: the suite on the fixed variants forward and backward comes before all variants.
func runs(file string) []string {
	parts := servedBy[file]
	fixed := "^(TestDevice|TestBackward)$/^(" + parts + ")$"
	narrow := "^TestNarrow$/^BF16$/^(" + parts + ")$" // copies of 16-bit operands as they are
	switch file {
	case "attention.metal", "matrix.h": // fixed in 16 bits only
		return []string{narrow, "^TestVariants$/^F32$/^Attention [0-9]", "^TestVariants$/^BF16$/^Attention "}
	case "attention_shared.metal": // in F32 only
		return []string{fixed, "^TestVariants$/^F32$/^Attention shared "}
	case "blocks.h":
		return []string{fixed, narrow, "^TestVariants$/^F32$/^Linear expand "}
	case "attention.h":
		return []string{fixed, narrow, "^TestVariants$/^(F32|BF16)$/^Attention "}
	case "attention_matmul2d.metal":
		return []string{"^TestMatmul2D$/^BF16$/^Attention ", "^TestMatmul2DRegisters$/^BF16$"}
	case "linear_matmul2d.metal", "conv_matmul2d.metal":
		return []string{"^TestTilesAgree$/^BF16$", "^TestMatmul2D$/^BF16$/^(" + parts + ") "}
	}
	switch {
	case parts == "":
		return []string{"^TestDevice$", "^TestBackward$", "^TestNarrow$/^BF16$", "^TestVariants$/^F32$"}
	case sampled(mutant{file: file}): // it has no variants
		return []string{fixed}
	}
	return []string{"^(TestTilesAgree|TestSwizzle)$/^(F32|BF16)$", fixed, narrow, "^TestVariants$/^F32$/^(" + parts + ") "}
}

// measure runs the tests for a file without a mutant.
func (s *mutatedSuite) measure(t *testing.T, file string) {
	t.Helper()
	for _, run := range runs(file) {
		if s.limits[run] != 0 {
			continue
		}
		start := time.Now()
		if out, err := s.command(0, run, 10*time.Minute).CombinedOutput(); err != nil {
			t.Fatalf("the suite fails without a mutation: %v\n%s", err, out)
		}
		s.limits[run] = 10*time.Second + 5*time.Since(start)
	}
}

// survives runs the tests with a mutant. One that does not end is stopped, and does not.
func (s *mutatedSuite) survives(t *testing.T, m mutant) bool {
	start := time.Now()
	for _, run := range runs(m.file) {
		out, err := s.command(m.number, run, s.limits[run]).CombinedOutput()
		if err == nil {
			continue
		}
		how := "noticed"
		if bytes.Contains(out, []byte("panic: test timed out")) {
			how = "stopped"
		}
		t.Logf("%s after %.1f s: %s", how, time.Since(start).Seconds(), m.name)
		return false
	}
	return true
}

func (s *mutatedSuite) command(mutant int, run string, limit time.Duration) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.root, "mutants.test"), "-test.failfast", "-test.timeout", limit.String(), "-test.run", run)
	cmd.Dir = filepath.Join(s.root, "metalkit")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", fmt.Sprintf("GIMBAL_MUTANT=%d", mutant))
	return cmd
}
