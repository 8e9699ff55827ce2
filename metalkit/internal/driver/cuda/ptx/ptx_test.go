//go:build !darwin

package ptx

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// clang returns the compiler's path. It must be there where CI is set.
func clang(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("clang-14")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("no clang: install the package clang-14")
	}
	if err != nil {
		t.Skip("no clang (the package clang-14): kernels are not compiled for NVIDIA's GPUs")
	}
	return path
}

const (
	constants  = 6        // in the text
	mostShared = 32 << 10 // bytes, as for Metal
)

var sharedArray = regexp.MustCompile(`(?m)^\s*\.shared .*\[(\d+)\];`)

// check returns what is wrong with the text of a kernel.
func check(name, text string) error {
	shared := 0
	for _, m := range sharedArray.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return err
		}
		shared += n
	}
	if shared > mostShared {
		return fmt.Errorf("%d bytes of shared memory", shared)
	}
	for what, why := range map[string]string{".local": "arrays in memory instead of registers", ".extern": "something is missing", "call": "a function is not inlined"} {
		if regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(what) + `\b`).MatchString(text) {
			return fmt.Errorf("%s: %s", what, why)
		}
	}
	if !strings.Contains(text, ".entry "+Entry(name)+"(") {
		return fmt.Errorf("no entry %s", Entry(name))
	}
	if special, err := Specialise(text, make([]uint32, constants)); err != nil || strings.Contains(special, "FUNCTION_CONSTANT") {
		return fmt.Errorf("function constants remain, %v", err)
	}
	return nil
}

// TestKernels compiles every kernel.
func TestKernels(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	c, err := NewCompiler(clang(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	count := map[string]int{}
	err = c.All(t.Context(), func(name string, aligned bool, text string) error {
		if err := check(name, text); err != nil {
			t.Errorf("%s: %v", File(name, aligned), err)
		}
		count[strings.SplitN(name, "_", 2)[0]] += strings.Count(text, "FUNCTION_CONSTANT_")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"linear", "attention", "conv", "norm", "rope", "unary"} {
		if count[kind] == 0 {
			t.Errorf("kernels %s have no function constants", kind)
		}
	}
}

// TestCheck finds what check is for.
func TestCheck(t *testing.T) {
	const sound = ".visible .entry f_entry(\n)\n{\n\t.shared .align 16 .b8 a[64];\n\tmov.u32 \t%r1, FUNCTION_CONSTANT_5;\n}\n"
	if err := check("f", sound); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ what, from, to string }{
		{"too much shared memory", "[64]", "[40000]"},
		{"local memory", "\tmov.u32", "\t.local .align 4 .b8 \t__local_depot0[32];\n\tmov.u32"},
		{"another function", "\tmov.u32", "\tcall.uni expf,\n\tmov.u32"},
		{"an unknown constant", "CONSTANT_5", "CONSTANT_6"},
		{"another name", "f_entry", "g_entry"},
	} {
		if check("f", strings.Replace(sound, c.from, c.to, 1)) == nil {
			t.Errorf("%s is not found", c.what)
		}
	}
}

func TestSpecialise(t *testing.T) {
	got, err := Specialise("a FUNCTION_CONSTANT_1; b FUNCTION_CONSTANT_0;", []uint32{7, 4000000000})
	if want := "a 4000000000; b 7;"; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if _, err := Specialise("FUNCTION_CONSTANT_2", []uint32{1, 2}); err == nil {
		t.Error("a constant without a value is let through")
	}
}

// TestMaths compiles the mathematical functions for the processor and compares them with
// those of double precision, for every 997th float.
func TestMaths(t *testing.T) {
	const source = `
#include "maths.h"
#include <cmath>
#include <cstdio>
#include <cstring>
#include <cstdint>

static float number(uint32_t bits) { float f; memcpy(&f, &bits, 4); return f; }

static double worst_of(float (*f)(float), double (*exact)(double)) {
    double worst = 0;
    for (uint64_t bits = 0; bits < 1ull << 32; bits += 997) {
        float x = number(bits), got = f(x);
        double want = exact(x);
        if (std::isnan(want) && std::isnan(got) || float(want) == got)
            continue;
        double a = std::fabs(want);
        if (std::isinf(got) && a > 0x1.fffffep127)
            a = 0x1p128;
        double ulp = a < 0x1p-126 ? 0x1p-149 : std::ldexp(1.0, std::ilogb(a) - 23);
        double off = std::fabs((std::isinf(got) ? std::copysign(0x1p128, got) : double(got)) - want) / ulp;
        if (!(off <= worst))
            worst = off;
    }
    return worst;
}

int main() {
    printf("exp %g\n", worst_of(metal::precise::exp, std::exp));
    printf("sqrt %g\n", worst_of(metal::precise::sqrt, std::sqrt));
    printf("rsqrt %g\n", worst_of(metal::precise::rsqrt, [](double x) { return 1 / std::sqrt(x); }));
}
`
	compiler := clang(t)
	program := filepath.Join(t.TempDir(), "maths")
	cmd := exec.CommandContext(context.Background(), compiler, "-x", "c++", "-std=c++17", "-O2", "-mfma", "-I", "include", "-o", program, "-", "-lm", "-lstdc++")
	if out, err := exec.Command("uname", "-m").Output(); err != nil || strings.TrimSpace(string(out)) != "x86_64" {
		t.Skip("for x86-64")
	}
	cmd.Stdin = strings.NewReader(source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		var name string
		var ulps float64
		if _, err := fmt.Sscan(line, &name, &ulps); err != nil || !(ulps <= 1.5) {
			t.Errorf("%q is off by %g units in the last place, %v", name, ulps, err)
		}
		t.Logf("%s is off by %.3f units in the last place at most", name, ulps)
	}
}
