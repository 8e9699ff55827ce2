//go:build !darwin

package static

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/metalkit/kernels"
)

const (
	metalkit = "../.."
	apple    = metalkit + "/internal/driver/apple"
	awake    = metalkit + "/../ui/desktop/awake"
)

// objectiveCFiles are all that Gimbal has, by folder.
var objectiveCFiles = map[string]string{apple: "metal_darwin.m", awake: "awake_darwin.m"}

// clang returns the compiler's path. It must be there where CI is set.
func clang(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"clang-14", "clang"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("no clang: install the package clang-14")
	}
	t.Skip("no clang (the package clang-14): what only a Mac compiles is not checked")
	return ""
}

// check has clang check source, which has the name of a file beside the others of
// folder, and returns what it says.
func check(t *testing.T, folder, name, source string, args ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(clang(t), append(args, "-fsyntax-only", "-Werror", "-Wall", "-I", folder, file)...)
	out, err := cmd.CombinedOutput()
	if (err != nil) != (len(out) > 0) {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return string(out)
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// objectiveC checks a text of a folder's file against an SDK.
func objectiveC(t *testing.T, folder, source, sdk string) string {
	t.Helper()
	return check(t, folder, objectiveCFiles[folder], source, "-target", "arm64-apple-macos14.0", "-std=gnu11", "-ffreestanding", "-nostdlibinc",
		"-fblocks", "-Wunguarded-availability", "-DSDK_VERSION="+sdk, "-I", "testdata/apple")
}

// SDKs of macOS 14 and 15.
var sdks = []string{"140000", "150000"}

func TestObjectiveC(t *testing.T) {
	for folder, file := range objectiveCFiles {
		source := read(t, folder+"/"+file)
		for _, sdk := range sdks {
			if said := objectiveC(t, folder, source, sdk); said != "" {
				t.Errorf("%s, SDK %s:\n%s", file, sdk, said)
			}
		}
	}
}

// TestObjectiveCMistakes makes mistakes that the check must find.
func TestObjectiveCMistakes(t *testing.T) {
	source := read(t, apple+"/metal_darwin.m")
	for _, c := range []struct{ what, from, to, want string }{
		{"a selector that there is not", "newCommandQueue]", "makeCommandQueue]", "makeCommandQueue"},
		{"an argument too few", "atIndex:0]", "]", "setBytes:length:"},
		{"an argument of another type", "setLanguageVersion:MTLLanguageVersion3_1", "setLanguageVersion:@\"3.1\"", "NSString"},
		{"no check of the system's version", "if (@available(macOS 15.0, *))", "", "macOS 15.0"},
		{"a property that there is not", "maxThreadsPerThreadgroup].width", "maxThreadsPerThreadgroup].size", "size"},
	} {
		wrong := strings.Replace(source, c.from, c.to, 1)
		if wrong == source {
			t.Errorf("%s: %q is not in the source any more", c.what, c.from)
		}
		if said := objectiveC(t, apple, wrong, "150000"); !strings.Contains(said, "error: ") || !strings.Contains(said, c.want) {
			t.Errorf("%s is not found: %s", c.what, said)
		}
	}
}

// kernel checks the text of a kernel.
func kernel(t *testing.T, source string) string {
	t.Helper()
	return check(t, metalkit+"/kernels", "kernel.metal", source, "-target", "spir64", "-x", "clcpp", "-cl-std=clc++2021",
		"-Xclang", "-cl-ext=-all,+cl_khr_fp16,+__cl_clang_function_pointers", // no generic address space, no double
		"-Wno-unknown-attributes", "-Wno-unused-variable", "-I", "testdata/opencl")
}

// kernel4 checks the text of a kernel of the second source.
func kernel4(t *testing.T, source string) string {
	t.Helper()
	return check(t, metalkit+"/kernels", "kernel.metal", source, "-target", "aarch64-linux-gnu", "-x", "c++", "-std=c++20", "-ffreestanding", "-nostdinc",
		"-Wno-unknown-attributes", "-Wno-unused-variable", "-I", "testdata/metal4")
}

// TestKernels checks the syntax and the address spaces of every kernel and instance.
func TestKernels(t *testing.T) {
	files, err := filepath.Glob(metalkit + "/kernels/*.metal")
	if err != nil || len(files) == 0 {
		t.Fatal("no kernels", err)
	}
	for _, file := range files {
		by := kernel
		if strings.HasSuffix(file, "_matmul2d.metal") {
			by = kernel4
		}
		if said := by(t, read(t, file)); said != "" {
			t.Errorf("%s:\n%s", filepath.Base(file), said)
		}
	}
}

// TestSource checks the text that Apple's compiler is given, and that messages name the
// file of a mistake and its line there.
func TestSource(t *testing.T) {
	source := kernels.Source(kernels.Metal3)
	if said := kernel(t, source); said != "" {
		t.Error(said)
	}
	for _, name := range []string{kernels.Names(kernels.Metal3)[0], "linear_rows", "rope"} {
		if said := kernel(t, kernels.SourceOf(name)); said != "" {
			t.Errorf("%s: %s", name, said)
		}
	}
	if said := kernel4(t, kernels.Source(kernels.Metal4)); said != "" {
		t.Error(said)
	}
	if said := kernel4(t, kernels.SourceOf(kernels.Names(kernels.Metal4)[0])); said != "" {
		t.Error(said)
	}
	const head = "struct RopeArgs {"
	wrong := strings.Replace(source, head, head+" mistake", 1)
	before, _, _ := strings.Cut(read(t, metalkit+"/kernels/rope.metal"), head)
	want := fmt.Sprintf("rope.metal:%d:", strings.Count(before, "\n")+1)
	if said := kernel(t, wrong); !strings.Contains(said, want) {
		t.Errorf("a mistake at %s is not found there: %s", want, said)
	}
}

// TestKernelMistakes makes mistakes that the processor would not notice.
func TestKernelMistakes(t *testing.T) {
	const sound = `#include "common.h"
struct Args {
    uint n;
};
template <typename T> inline void bring(threadgroup T *to, device const T *from, uint i) { to[i] = from[i]; }
template <typename T>
kernel void copy(constant Args &a [[buffer(0)]], device const T *x [[buffer(1)]], device T *y [[buffer(2)]],
                 uint3 group [[threadgroup_position_in_grid]], uint tid [[thread_index_in_threadgroup]],
                 uint simd [[simdgroup_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]]) {
    SHARED(T, all, 32);
    bring(all, x, tid);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (tid < a.n)
        y[tid] = all[tid];
}
INSTANCE(copy_f32, copy, float);
`
	if said := kernel(t, sound); said != "" {
		t.Fatal(said)
	}
	findsMistakes(t, sound, kernel, []mistake{
		{"an address space left out", "threadgroup T *to", "T *to"},
		{"another address space", "bring(all, x, tid)", "bring(y, x, tid)"},
		{"a pointer cast between them", "y[tid] = all[tid]", "y[tid] = ((device T *)all)[tid]"},
		{"a write to constant memory", "y[tid] = all[tid]", "a.n = 1"},
		{"double precision", "y[tid] = all[tid]", "double d = all[tid]; y[tid] = T(d)"},
		{"a missing semicolon", "bring(all, x, tid);", "bring(all, x, tid)"},
	})
}

// mistake is a change of a kernel's source that is an error.
type mistake struct{ what, from, to string }

// findsMistakes makes each mistake in a source and wants it to be found.
func findsMistakes(t *testing.T, source string, compile func(t *testing.T, source string) string, mistakes []mistake) {
	t.Helper()
	for _, m := range mistakes {
		wrong := strings.Replace(source, m.from, m.to, 1)
		if said := compile(t, wrong); wrong == source || !strings.Contains(said, "error: ") {
			t.Errorf("%s is not found: %s", m.what, said)
		}
	}
}

// TestMatmul2DMistakes makes mistakes that the software driver would not notice, or would not say where.
func TestMatmul2DMistakes(t *testing.T) {
	source := kernels.SourceOf("linear_matmul2d_bf16_64x64x4")
	findsMistakes(t, source, kernel4, []mistake{
		{"elements that are const", "tensor<device T, dextents", "tensor<device const T, dextents"},
		{"a tensor in no address space", "tensor<device T, dextents", "tensor<T, dextents"},
		{"a pointer of another address space", "Rows xs((device T *)x", "Rows xs((threadgroup T *)x"},
		{"types that matmul2d does not take", "tensor<device Weight, dextents", "tensor<device float, dextents"},
		{"a tile that is too small", "matmul2d_descriptor(rows, cols,", "matmul2d_descriptor(8, 8,"},
		{"a result that there is not", "product.run(xs, ws, sums)", "product.run(xs, ws, y)"},
		{"a name that there is not", "get_capacity()", "size()"},
		{"a descriptor that is not constant", "constexpr auto how", "auto how"},
	})
}

// TestCooperativeMistakes makes mistakes with tensors in registers.
func TestCooperativeMistakes(t *testing.T) {
	source := kernels.SourceOf("attention_matmul2d_bf16_64x32x4")
	findsMistakes(t, source, kernel4, []mistake{
		{"a left factor in registers of several simd-groups", "matmul2d<how_add, execution_simdgroup>", "matmul2d<how_add, execution_simdgroups<4>>"},
		{"a left factor in registers without a number for k", "matmul2d_descriptor(rows, width, keys,", "matmul2d_descriptor(rows, width, static_cast<int>(dynamic_extent),"},
		{"rows of several simd-groups' results", "matmul2d<how, execution_simdgroup>", "matmul2d<how, execution_simdgroups<4>>"},
		{"rows of another product's results", "reduce_rows(scores, of_step, reduction_operation::max, least)", "reduce_rows(out, of_step, reduction_operation::max, least)"},
		{"the result of another product", "sum.run(weights, vs, out)", "sum.run(weights, vs, scores)"},
		{"types that matmul2d does not take", "get_left_input_cooperative_tensor<T, T, float>", "get_left_input_cooperative_tensor<float, T, float>"},
		{"an iterator of a tensor that has none", "scores.get_iterator(e)", "qs.get_iterator(e)"},
		{"keys that are const", "using Keys = tensor<device T", "using Keys = tensor<device const T"},
		{"a pointer of another address space", "Keys ks((device T *)k", "Keys ks((threadgroup T *)k"},
	})
}

// TestLogsNothing keeps the Mac's files from writing to the system's log.
func TestLogsNothing(t *testing.T) {
	var files []string
	for folder := range objectiveCFiles {
		found, err := filepath.Glob(folder + "/*_darwin*")
		if err != nil || len(found) == 0 {
			t.Fatal("no files", err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		if strings.Contains(read(t, file), "NSLog") {
			t.Errorf("%s logs", file)
		}
	}
}
