package ptx

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gimbal/metalkit/kernels"
)

//go:embed include
var include embed.FS

// flags compile for the GPUs since 2020, which have mma for 16 bits. Everything is inlined
// and unrolled, so that arrays become registers, and loads of four elements stay whole.
var flags = []string{
	"-x", "cuda", "--cuda-device-only", "--cuda-gpu-arch=sm_80", "-nocudainc", "-nocudalib", "-nostdinc",
	"-Xclang", "-target-feature", "-Xclang", "+ptx70", "-std=c++17", "-S", "-O3", "-mllvm", "-inline-threshold=100000",
	"-mllvm", "-pragma-unroll-threshold=200000", "-mllvm", "-unroll-threshold=4000", "-mllvm", "-disable-vector-combine",
	"-Wno-unknown-attributes", "-Wno-unknown-cuda-version", "-Werror",
}

// Compiler compiles kernels.
type Compiler struct {
	clang   string
	headers string // a folder
}

// NewCompiler returns a compiler by the clang at a path; call Close.
func NewCompiler(clang string) (*Compiler, error) {
	folder, err := os.MkdirTemp("", "ptx")
	if err == nil {
		err = os.CopyFS(folder, include)
	}
	if err != nil {
		os.RemoveAll(folder)
		return nil, fmt.Errorf("ptx: the headers: %w", err)
	}
	return &Compiler{clang, filepath.Join(folder, "include")}, nil
}

// Close removes the headers.
func (c *Compiler) Close() error { return os.RemoveAll(filepath.Dir(c.headers)) }

// Compile returns the text of a kernel.
func (c *Compiler) Compile(ctx context.Context, name string, aligned bool) (string, error) {
	return c.compile(ctx, name, fmt.Sprintf("-DFUNCTION_CONSTANT_ALIGNED=%d", number(aligned)))
}

// CompileFor returns the text of a kernel whose rows are aligned for values of the other function
// constants, in order of index, without what these leave out.
func (c *Compiler) CompileFor(ctx context.Context, name string, values []uint32) (string, error) {
	var words []string
	for _, v := range values {
		words = append(words, strconv.FormatUint(uint64(v), 10))
	}
	return c.compile(ctx, name, "-DFUNCTION_CONSTANT_ALIGNED=1", "-DFUNCTION_CONSTANT_VALUES="+strings.Join(words, ","))
}

func (c *Compiler) compile(ctx context.Context, name string, defines ...string) (string, error) {
	args := append(append(slices.Clone(flags), defines...), "-I", c.headers, "-o", "-", "-")
	cmd := exec.CommandContext(ctx, c.clang, args...)
	var text, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(kernels.SourceOf(name)), &text, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ptx: kernel %s: %w\n%s", name, err, said.String())
	}
	return text.String(), nil
}

// All compiles every kernel both ways, some at a time, and calls f with each, one call
// after the other. It returns the first error.
func (c *Compiler) All(ctx context.Context, f func(name string, aligned bool, text string) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var group sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, name := range kernels.Names(kernels.Metal3) {
		for _, aligned := range []bool{false, true} {
			group.Go(func() {
				turn <- struct{}{}
				defer func() { <-turn }()
				text, err := c.Compile(ctx, name, aligned)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && ctx.Err() == nil {
					err = f(name, aligned, text)
				}
				if err != nil {
					cancel(err)
				}
			})
		}
	}
	group.Wait()
	return context.Cause(ctx)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// File is the name of a kernel's file.
func File(name string, aligned bool) string { return fmt.Sprintf("%s.%d.ptx", name, number(aligned)) }

// Entry is the name of a kernel in its text.
func Entry(name string) string { return name + "_entry" }

var constant = regexp.MustCompile(`\bFUNCTION_CONSTANT_(\d+)\b`)

// Specialise puts in the values of the function constants, in order of index.
func Specialise(text string, values []uint32) (string, error) {
	var err error
	done := constant.ReplaceAllStringFunc(text, func(word string) string {
		i, _ := strconv.Atoi(constant.FindStringSubmatch(word)[1])
		if i >= len(values) {
			err = fmt.Errorf("ptx: no value for %s", word)
			return word
		}
		return strconv.FormatUint(uint64(values[i]), 10)
	})
	return done, err
}
