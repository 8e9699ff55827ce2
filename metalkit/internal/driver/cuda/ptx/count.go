package ptx

import (
	"regexp"
	"strings"
)

// Counts are the instructions of a loop by what they do.
type Counts map[string]int

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

// CountLoop counts the instructions of the loop of a text that has the most products or, without
// any, the most fmas, an inner one's before those around it.
func CountLoop(text string) Counts {
	lines := strings.Split(text, "\n")
	at := map[string]int{}
	for i, line := range lines {
		if m := label.FindStringSubmatch(line); m != nil {
			at[m[1]] = i
		}
	}
	best, work := Counts{}, 0
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

func countLines(lines []string) Counts {
	c := Counts{}
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
