//go:build !darwin

package ptx

import (
	"regexp"
	"strings"
	"testing"
)

const (
	f32  = 1 // as package device numbers types
	bf16 = 3
)

// TestInstructions counts what the innermost loops of products and attention execute for one product
// of 8x8x8 by a simd-group, as LLVM leaves them: docs/gpu-limits.md has the history. A number that
// grows is a change for the worse on every GPU.
func TestInstructions(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles kernels")
	}
	c, err := NewCompiler(clang(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, k := range []struct {
		name   string
		values []uint32 // types of A, B, C and Y, FUNC, FLAGS: everything raw, whole and in octs where that can be
		most   float64  // instructions
	}{
		{"linear_bf16_64x64x32x4", []uint32{bf16, bf16, f32, f32, 0, 32 | 64 | 128 | 256}, 2.1},
		{"linear_bf16_64x64x32x2", []uint32{bf16, bf16, f32, f32, 0, 32 | 64 | 128 | 256}, 1.9},
		{"linear_f32_64x64x16x4", []uint32{f32, f32, f32, f32, 0, 128}, 18.7},
		{"attention_bf16_128x32x4", []uint32{bf16, bf16, bf16, f32, 0, 4 | 8 | 16 | 32 | 64}, 5.5},
		{"attention_bf16_128x64x4x2", []uint32{bf16, bf16, bf16, f32, 0, 4 | 8 | 16 | 32 | 64}, 3.7},
		{"attention_f32_128x16x4", []uint32{f32, f32, f32, f32, 0, 32}, 25.3},
	} {
		text, err := c.CompileFor(t.Context(), k.name, k.values)
		if err != nil {
			t.Fatal(err)
		}
		found := countLoop(text)
		products := found["product"]
		if products == 0 {
			products = found["fma"] / 16 // of which each lane does so many
		}
		if products < 32 {
			t.Errorf("%s: %d products in the loop", k.name, products)
			continue
		}
		per := float64(found["all"]) / float64(products)
		t.Logf("%s: %.2f instructions for a product of %d: %v", k.name, per, products, found)
		if per > k.most {
			t.Errorf("%s: %.2f instructions for a product, want %.2f at most", k.name, per, k.most)
		}
	}
}

func TestCountLoop(t *testing.T) {
	text := strings.Join([]string{
		"\tmma.sync.a;", "LBB0_1:", "\tmov.u32 \t%r1, 0;", "$L__BB0_2:                // comment", "\t@%p1 ld.shared.u32 \t%r1, [%r2];",
		"\tmma.sync.a;", "\tmma.sync.a;", "\t@%p1 bra \t$L__BB0_2;", "\tst.shared.u32 \t[%r2], %r1;", "\t@%p2 bra \tLBB0_1;", "\tbra.uni \tLBB0_9;", "LBB0_9:", "\tret;",
	}, "\n")
	c := countLoop(text)
	if c["product"] != 2 || c["all"] != 4 || c["load shared"] != 1 || c["branch"] != 1 || c["store shared"] != 0 {
		t.Errorf("%v, want the inner loop", c)
	}
	if c := countLoop("\tmma.sync.a;\n"); len(c) != 0 {
		t.Errorf("without a loop: %v", c)
	}
}

// counts are the instructions of a loop by what they do.
type counts map[string]int

// kinds are what instructions do, by the beginning of their names. Products are mma's in 16 bits.
var kinds = []struct{ kind, begins string }{
	{"product", "mma."}, {"fma", "fma."}, {"load shared", "ld.shared"}, {"store shared", "st.shared"},
	{"load device", "ld.global"}, {"store device", "st.global"}, {"barrier", "bar."}, {"shuffle", "shfl."},
	{"convert", "cvt."}, {"branch", "bra"},
}

var (
	label  = regexp.MustCompile(`^(\$?L\w*BB\w+):`)
	jump   = regexp.MustCompile(`\bbra(?:\.uni)?\s+(\$?L\w*BB\w+);`)
	opcode = regexp.MustCompile(`^\s*(?:@!?%p\d+\s+)?([a-z][\w.]*)`)
)

// countLoop counts the instructions of the loop of a text that has the most products or, without
// any, the most fmas, an inner one's before those around it.
func countLoop(text string) counts {
	lines := strings.Split(text, "\n")
	at := map[string]int{}
	for i, line := range lines {
		if m := label.FindStringSubmatch(line); m != nil {
			at[m[1]] = i
		}
	}
	best, work := counts{}, 0
	for i, line := range lines {
		m := jump.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		from, ok := at[m[1]]
		if !ok || from > i {
			continue // forward
		}
		c := countLines(lines[from : i+1])
		w := 1000*c["product"] + c["fma"]
		if w > work || w == work && w > 0 && c["all"] < best["all"] {
			best, work = c, w
		}
	}
	return best
}

func countLines(lines []string) counts {
	c := counts{}
	for _, line := range lines {
		m := opcode.FindStringSubmatch(line)
		if m == nil || label.MatchString(line) {
			continue
		}
		c["all"]++
		kind := "other"
		for _, k := range kinds {
			if strings.HasPrefix(m[1], k.begins) {
				kind = k.kind
				break
			}
		}
		c[kind]++
	}
	return c
}
