package metalkit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/kernels"
)

// What every GPU of Apple's has for a threadgroup.
const (
	mostThreads = 1024
	mostShared  = 32 << 10 // bytes
)

var (
	sharedArray = regexp.MustCompile(`SHARED\((\w+), \w+, (.*)\);`)
	constexprs  = regexp.MustCompile(`constexpr uint ([^;]*);`)

	// How kernels count on threads, or on simd-groups.
	countedThreads = regexp.MustCompile(`\* (\d+) \+ tid\b|= tid; [^;]*; \w+ \+= (\d+)\)`)
	countedSimds   = regexp.MustCompile(`\* (\d+) \+ simd\b|= simd; [^;]*; \w+ \+= (\d+)\)|sum_all\(.*?, (\d+), simd`)
)

// resources returns the bytes of a kernel's threadgroup arrays, each of which begins at a
// multiple of 16, and all numbers of threads that it counts on.
func resources(t *testing.T, s source, name string) (shared int, threads []int) {
	t.Helper()
	made := s.made[name]
	kernel := s.functions[made.function]
	c := calculatorFor(t, s, kernel, made.arguments)
	for _, m := range constexprs.FindAllStringSubmatch(kernel.body, -1) {
		c.declare(m[1])
	}
	for _, m := range sharedArray.FindAllStringSubmatch(kernel.body, -1) {
		shared = ceilDiv(shared, 16)*16 + c.sizeOf(m[1])*c.evaluate(m[2])
	}
	if n, ok := c.values["threads"]; ok {
		threads = append(threads, n)
	}
	if n, ok := c.values["simds"]; ok {
		threads = append(threads, simdWidth*n)
	}
	for i, pattern := range []*regexp.Regexp{countedThreads, countedSimds} {
		for _, m := range pattern.FindAllStringSubmatch(kernel.body, -1) {
			n, err := strconv.Atoi(strings.Join(m[1:], ""))
			if err != nil {
				t.Fatal(err)
			}
			threads = append(threads, n*[]int{1, simdWidth}[i])
		}
	}
	return shared, threads
}

// resourceMistakes holds launches to the limits and to what the kernels count on.
func resourceMistakes(t *testing.T, all map[launch]bool, s source) (mistakes []string) {
	t.Helper()
	for l := range all {
		shared, threads := resources(t, s, l.kernel)
		if shared > mostShared {
			mistakes = append(mistakes, fmt.Sprintf("%s has %d bytes of threadgroup memory", l.kernel, shared))
		}
		if l.threads > mostThreads || l.threads%simdWidth != 0 {
			mistakes = append(mistakes, fmt.Sprintf("%s is given %d threads", l.kernel, l.threads))
		}
		if len(threads) == 0 || slices.ContainsFunc(threads, func(n int) bool { return n != l.threads }) {
			mistakes = append(mistakes, fmt.Sprintf("%s counts on %v threads and is given %d", l.kernel, threads, l.threads))
		}
	}
	return mistakes
}

// TestResources holds every kernel to a threadgroup's memory and threads.
func TestResources(t *testing.T) {
	s := allSource(t)
	for _, mistake := range resourceMistakes(t, launches(t), s) {
		t.Error(mistake)
	}
	arrays, all := 0, tables()[device.F32]
	for name, made := range s.made {
		declared := strings.Count(s.functions[made.function].body, "SHARED(")
		arrays += declared
		if shared, _ := resources(t, s, name); (shared > 0) != (declared > 0) {
			t.Errorf("%s declares %d arrays of %d bytes", name, declared, shared)
		}
	}
	if arrays < len(all.linear)+len(all.conv)+len(all.attention) {
		t.Errorf("only %d arrays are found", arrays)
	}
	for name, want := range map[string]int{ // by hand
		"transpose_8":              32 * 33 * 8,
		"rope":                     8 * 4,
		"linear_f32_64x64x16x4":    (64 + 64) * (16 + 4) * 4,
		"linear_bf16_64x64x32x4_w": 64 * (32 + 8) * 2,
		"attention_f16_64x64x4":    64 * (64 + 8) * 2,
	} {
		if got, _ := resources(t, s, name); got != want {
			t.Errorf("%s: %d bytes of threadgroup memory, want %d", name, got, want)
		}
	}
}

// TestResourceMistakes makes mistakes that TestResources must find.
func TestResourceMistakes(t *testing.T) {
	all, s := launches(t), allSource(t)
	rope := *s.functions["rope"]
	rope.body = strings.Replace(rope.body, "j += 256", "j += 128", 1)
	strange := *s.functions["unary"]
	strange.body = ""
	for _, c := range []struct {
		name     string
		instance instance
		function *routine // in place of the kernel's
		want     string
	}{
		{"linear_f32_64x64x16x4", instance{"linear", []string{"float", "256", "256", "16", "2", "2", "0"}}, nil, "40960 bytes"},
		{"conv_f16_64x64x32x4", instance{"conv", []string{"half", "64", "64", "32", "4", "2"}}, nil, "counts on [256] threads and is given 128"},
		{"attention_f16_64x32x8", instance{"attention", []string{"half", "64", "32", "4", "1", "false", "false"}}, nil, "counts on [128] threads and is given 256"},
		{"attention_bf16_128x32x4", instance{"attention", []string{"bfloat", "128", "128", "4", "1", "false", "false"}}, nil, "bytes of threadgroup memory"},
		{"rope", instance{"rope", nil}, &rope, "rope counts on"},
		{"unary", instance{"unary", nil}, &strange, "unary counts on [] threads"},
	} {
		changed := source{s.structs, maps.Clone(s.functions), maps.Clone(s.made)}
		changed.made[c.name] = c.instance
		if c.function != nil {
			changed.functions[c.instance.function] = c.function
		}
		found := strings.Join(resourceMistakes(t, all, changed), "\n")
		if !strings.Contains(found, c.name) || !strings.Contains(found, c.want) {
			t.Errorf("%s as %v: found %q, want %q", c.name, c.instance, found, c.want)
		}
	}
	for l := range all {
		if l.kernel == "unary" {
			l.threads = mostThreads + simdWidth
			if found := resourceMistakes(t, map[launch]bool{l: true}, s); len(found) != 2 {
				t.Errorf("%d threads: %v", l.threads, found)
			}
			break
		}
	}
}

// TestInstances wants the same variants in every type, F32's with slices and keys half as
// deep, and names that tell their sizes.
func TestInstances(t *testing.T) {
	suffix := map[device.DType]string{device.F32: "f32", device.F16: "f16", device.BF16: "bf16"}
	for _, c := range computes {
		for function, halved := range map[string]int{"linear": 2, "conv": 2, "attention": 1} { // the number of the size that is
			all, want := kernels.Instances(function, elements[c.dtype]), kernels.Instances(function, elements[device.BF16])
			if function == "attention" && c.dtype == device.F32 { // which has none of two blocks
				want = slices.DeleteFunc(want, func(k kernels.Instance) bool { return k.Sizes[3] > 1 })
			}
			if len(all) != len(want) || len(all) < 6 {
				t.Fatalf("%d variants of %s in %s, %d in BF16", len(all), function, c.name, len(want))
			}
			for i, k := range all {
				sizes := slices.Clone(want[i].Sizes)
				if c.dtype == device.F32 {
					sizes[halved] /= 2
				}
				if !slices.Equal(k.Sizes, sizes) {
					t.Errorf("%s has the sizes %v, want %v", k.Name, k.Sizes, sizes)
				}
				if name := function + "_" + suffix[c.dtype] + "_" + sizedName(function, k.Sizes); k.Name != name {
					t.Errorf("%s has the sizes of %s", k.Name, name)
				}
			}
		}
		if names := kernels.Instances("linear_expand", elements[c.dtype]); len(names) != 1 || names[0].Name != "linear_expand_"+suffix[c.dtype] {
			t.Errorf("%s expands weights by %v", c.name, names)
		}
	}
}

// sizedName is how a variant of such sizes is called.
func sizedName(function string, s []int) string {
	if function == "attention" {
		name := fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2])
		if s[3] > 1 {
			name += fmt.Sprintf("x%d", s[3])
		}
		return name + []string{"", "_s"}[s[4]] + []string{"", "_kv"}[s[5]]
	}
	name := fmt.Sprintf("%dx%dx%dx%d", s[0], s[1], s[2], s[3]*s[4])
	if function == "linear" {
		name += []string{"", "_w", "_xw"}[s[5]]
	}
	return name
}
