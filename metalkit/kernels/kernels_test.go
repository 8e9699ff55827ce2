package kernels

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	kernelHead = regexp.MustCompile(`kernel void (\w+)\(([^{]*)\) \{`)
	attribute  = regexp.MustCompile(`^(.*[ *&])(\w+) \[\[(.*)\]\]$`)
	inclusion  = regexp.MustCompile(`(?m)^#include ["<](.*)[">]$`)
)

// TestParameters checks what the host and the software driver count on: a
// structure of arguments, operands in the order of their numbers, four positions.
func TestParameters(t *testing.T) {
	positions := []string{
		"uint3 group threadgroup_position_in_grid", "uint tid thread_index_in_threadgroup",
		"uint simd simdgroup_index_in_threadgroup", "uint lane thread_index_in_simdgroup",
	}
	source := Source(Metal3) + Source(Metal4)
	found := kernelHead.FindAllStringSubmatch(source, -1)
	if n := strings.Count(source, "kernel void "); n != len(found) || n == 0 {
		t.Fatalf("parsed %d kernels of %d", len(found), n)
	}
	for _, k := range found {
		name, parameters := k[1], strings.Split(k[2], ",")
		buffers := len(parameters) - len(positions)
		for i, p := range parameters {
			m := attribute.FindStringSubmatch(strings.TrimSpace(p))
			if m == nil {
				t.Errorf("%s: parameter %q has no attribute", name, p)
				continue
			}
			kind, variable, attr := strings.TrimSuffix(m[1], " "), m[2], m[3]
			if i >= buffers {
				if got := fmt.Sprintf("%s %s %s", kind, variable, attr); got != positions[i-buffers] {
					t.Errorf("%s: parameter %d is %q, want %q", name, i, got, positions[i-buffers])
				}
				continue
			}
			if want := fmt.Sprintf("buffer(%d)", i); attr != want {
				t.Errorf("%s: %s is %s, want %s", name, variable, attr, want)
			}
			if want := map[bool]string{true: "constant ", false: "device "}[i == 0]; !strings.HasPrefix(kind, want) {
				t.Errorf("%s: %s is in no %saddress space", name, variable, want)
			}
		}
	}
}

// TestSource checks that the texts for Apple's compiler stand on their own, and keep
// away from what is not the same everywhere.
func TestSource(t *testing.T) {
	first := []string{"metal_stdlib", "metal_simdgroup_matrix"}
	for language, known := range map[Language][]string{
		Metal3: first, Metal4: append(first, "metal_tensor", "MetalPerformancePrimitives/MetalPerformancePrimitives.h"),
	} {
		source := Source(language)
		for _, m := range inclusion.FindAllStringSubmatch(source, -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s is included, which Apple's compiler does not find", m[1])
			}
		}
		if strings.Contains(source, "#pragma once") {
			t.Error("#pragma once is used")
		}
		if uses := strings.Contains(source, "matmul2d<"); uses != (language == Metal4) {
			t.Errorf("the source of language %d uses matmul2d: %v", language, uses)
		}
	}
	names, err := fs.Glob(files, "*.metal")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "thread_elements") {
			t.Errorf("%s: thread_elements is used outside of common.h", name)
		}
		heads := kernelHead.FindAllStringSubmatch(string(text), -1)
		for _, k := range heads {
			if !regexp.MustCompile(`(?m)^(KERNEL\(` + k[1] + `\)|INSTANCE\(\w+, ` + k[1] + `, .*\));$`).Match(text) {
				t.Errorf("%s: kernel %s is never instantiated", name, k[1])
			}
		}
	}
}

// TestSourceOf asks for every kernel alone: all else of its file is there but the
// other instances, on the same lines.
func TestSourceOf(t *testing.T) {
	names := append(Names(Metal3), Names(Metal4)...)
	if len(Names(Metal3)) == 0 || len(Names(Metal4)) == 0 {
		t.Fatal("no kernels")
	}
	for _, name := range names {
		if want := slices.Contains(Names(Metal4), name); (LanguageOf(name) == Metal4) != want {
			t.Errorf("%s is of language %d", name, LanguageOf(name))
		}
		source := SourceOf(name)
		if n := strings.Count(source, "("+name+")") + strings.Count(source, "INSTANCE("+name+","); n != 1 {
			t.Errorf("%s is made %d times", name, n)
		}
		for line := range strings.Lines(source) {
			if strings.HasPrefix(line, "INSTANCE(") && !strings.HasPrefix(line, "INSTANCE("+name+",") {
				t.Errorf("%s comes with %s", name, line)
			}
		}
	}
}
