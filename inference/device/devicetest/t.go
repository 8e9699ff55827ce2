package devicetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"gimbal/inference/device"
)

// T is what the suite needs of testing.T, which a program has not.
type T interface {
	common
	Run(name string, f func(T)) bool
}

type common interface {
	Helper()
	Log(args ...any)
	Error(args ...any)
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
	Context() context.Context
	TempDir() string
}

// tester is *testing.T.
type tester[R any] interface {
	common
	Run(name string, f func(R)) bool
}

// onTest is T over a testing.T, whose run it is.
type onTest[R tester[R]] struct {
	common
	run func(name string, f func(R)) bool
}

func (t onTest[R]) Run(name string, f func(T)) bool {
	return t.run(name, func(sub R) { f(onTest[R]{sub, sub.Run}) })
}

// Result is what Check found.
type Result struct {
	Cases    int // that ran
	Failures []Failure
}

// Failure is a case that failed, with what was wrong.
type Failure struct {
	Case string
	Text string
}

// Check runs the suite on dev, which it uses alone and leaves open, outside of a test. It calls
// began with the name of each part, and ends early, with its error, once ctx has ended.
func Check(ctx context.Context, dev device.Device, opts Options, began func(part string)) (Result, error) {
	var result Result
	root := &plain{ctx: ctx, result: &result, began: began}
	run(root, dev, opts)
	return result, ctx.Err()
}

// plain is T outside of a test.
type plain struct {
	ctx    context.Context
	name   string
	result *Result
	began  func(part string) // of the root's own
	inner  bool              // it has cases of its own, so that it is none

	mu       sync.Mutex // cases report from several goroutines
	texts    []string
	failed   bool
	cleanups []func()
}

// fatal ends a case.
type fatal struct{}

func (t *plain) Run(name string, f func(T)) bool {
	if t.ctx.Err() != nil {
		return false
	}
	if t.began != nil {
		t.began(name)
	}
	t.inner = true
	ctx, cancel := context.WithCancel(t.ctx)
	sub := &plain{ctx: ctx, name: strings.TrimPrefix(t.name+"/"+name, "/"), result: t.result}
	sub.run(f, cancel)
	if !sub.inner || len(sub.texts) > 0 {
		t.result.Cases++
	}
	if t.ctx.Err() == nil && len(sub.texts) > 0 {
		t.result.Failures = append(t.result.Failures, Failure{sub.name, strings.Join(sub.texts, "\n")})
	}
	t.failed = t.failed || sub.failed
	return !sub.failed
}

// run calls f, and at its end what Cleanup was given, as testing.T does: after ctx has ended.
func (t *plain) run(f func(T), cancel context.CancelFunc) {
	defer func() {
		for _, clean := range slices.Backward(t.cleanups) {
			clean()
		}
	}()
	defer cancel()
	defer func() {
		if r := recover(); r != nil && r != (fatal{}) {
			panic(r)
		}
	}()
	f(t)
}

func (t *plain) Helper() {}

// Log does nothing: what a device may be without is no failure.
func (t *plain) Log(...any) {}

func (t *plain) Error(args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = true
	t.texts = append(t.texts, strings.TrimSuffix(fmt.Sprintln(args...), "\n"))
}

func (t *plain) Errorf(format string, args ...any) { t.Error(fmt.Sprintf(format, args...)) }

func (t *plain) Fatal(args ...any) {
	t.Error(args...)
	panic(fatal{})
}

func (t *plain) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }

func (t *plain) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

func (t *plain) Context() context.Context { return t.ctx }

func (t *plain) TempDir() string {
	dir, err := os.MkdirTemp("", "gimbal-devicetest-*")
	if err != nil {
		t.Fatal(errors.Join(errors.New("a folder for the case"), err))
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
