//go:build !darwin

package metalkit

import (
	"fmt"
	"regexp"
	"strings"
)

// A mutant is a kernel with one small mistake.
type mutant struct {
	number int    // that turns it on, see prelude
	file   string // such as "norm.metal"
	name   string // file, function, what is wrong, and the line with the place in brackets
}

// mutator rewrites the kernels, so that each place where a mistake is tried
// asks which mutant runs: all mutants are compiled at once.
type mutator struct {
	mutants []mutant
	seen    map[string]int
	file    string
	text    string
	code    string // text with blanks for what is no code: comments, declarations, constants
	edits   []edit
}

// edit puts text before position at; edits at one position stay in order.
type edit struct {
	at   int
	text string
}

// prelude goes into common.h. The comparisons keep the precedence of those that they
// stand for: x < Compare{n, always} < y; always is -1 where it is no mutant.
const prelude = `
#include <stdlib.h>
static const int mutant = getenv("GIMBAL_MUTANT") ? atoi(getenv("GIMBAL_MUTANT")) : 0;
inline int shifted(int n, int by) { return mutant == n ? by : mutant == n + 1 ? -by : 0; }
template <int kind> struct Compare { int n, always; };
template <class T, int kind> struct Compared { T x; Compare<kind> c; };
template <class T> inline Compared<T, 0> operator<(T x, Compare<0> c) { return {x, c}; }
template <class T> inline Compared<T, 1> operator>(T x, Compare<1> c) { return {x, c}; }
template <class T> inline Compared<T, 2> operator>=(T x, Compare<2> c) { return {x, c}; }
template <class T, class U> inline bool operator<(Compared<T, 0> l, U y) {
    return mutant == l.c.always ? true : mutant == l.c.n ? l.x <= y : mutant == l.c.n + 1 ? l.x + 1 < y : l.x < y;
}
template <class T, class U> inline bool operator>(Compared<T, 1> l, U y) { return mutant == l.c.always ? true : mutant == l.c.n ? l.x >= y : l.x > y; }
template <class T, class U> inline bool operator>=(Compared<T, 2> l, U y) { return mutant == l.c.always ? true : mutant == l.c.n ? l.x > y : l.x >= y; }
`

// indexArguments are the arguments, from 0, that are an index or a pointer into
// memory, and the step to the next one that may be read.
var indexArguments = map[string][]struct{ argument, step int }{
	"load": {{2, 1}}, "load4": {{2, 4}}, "store": {{2, 1}}, "put4": {{0, 1}}, "put_raw": {{0, 1}}, "put_oct": {{0, 1}}, "QUAD": {{2, 4}}, "OCT": {{1, 8}},
	"simdgroup_load": {{1, 1}}, "simdgroup_store": {{1, 1}}, "element": {{1, 1}}, "put": {{1, 1}},
	"weight": {{6, 1}, {7, 1}}, "weight4": {{6, 1}, {7, 4}}, "finish": {{7, 1}, {8, 1}}, "block_scale": {{4, 1}},
}

var (
	noCode = regexp.MustCompile(`(?m)//.*$|^#(.*\\\n)*.*$|^(CONSTANT|KERNEL|INSTANCE|enum|using)\b.*$|^ *(SHARED|constexpr)\b[^;]*;|` +
		`^(template [^\n]*|inline )?constexpr [^\n]*\{(.*\}$|[^}]*\n\}$)|(?s:^struct \w+ \{.*?\n\};)|\[\[.*?\]\]|\(&\w+\)\[\w+\]\[\w+\]|\(&\w+\)\[\w+\]`)
	barrier    = regexp.MustCompile(`\b(threadgroup|simdgroup)_barrier\(mem_flags::\w+\);`)
	comparison = regexp.MustCompile(` (<|>|>=) `)
	loopStart  = regexp.MustCompile(`\bfor \((?:uint|int) \w+ = ([^;]+);`)
	called     = regexp.MustCompile(`\b(\w+)(?:<[\w, ]+>)?\(`)
	function   = regexp.MustCompile(`(?m)^(?:template <[^\n]*> ?)?(?:inline|kernel) [^\n(=;]*?(\w+)\(`)
	declared   = regexp.MustCompile(`(?:^|[;{})])\s*(?:UNROLL )?(?:threadgroup |constant |device )?(?:float\w*|int|uint4?|ushort4|ulong|T|simdgroup_\w+(?:<[\w, ]+>)?) [\w, ]*(?:\[[^\]=]*\][\w, ]*)*$`)
)

// mutate returns text, the kernels of file, with mutants in it.
func (m *mutator) mutate(file, text string) string {
	m.file, m.text, m.edits = file, text, nil
	code := []byte(text)
	for _, at := range noCode.FindAllStringIndex(text, -1) {
		for i := at[0]; i < at[1]; i++ {
			if code[i] != '\n' {
				code[i] = ' '
			}
		}
	}
	m.code = string(code)
	m.barriers()
	m.comparisons()
	m.loopStarts()
	m.subscripts()
	m.arguments()
	var b strings.Builder
	for at := 0; at <= len(text); at++ {
		for _, e := range m.edits {
			if e.at == at {
				b.WriteString(e.text)
			}
		}
		if at < len(text) {
			b.WriteByte(text[at])
		}
	}
	if file == "common.h" {
		return strings.Replace(b.String(), "using namespace metal;\n", "using namespace metal;\n"+prelude, 1)
	}
	return b.String()
}

// add adds mutants, one for each of what, of the code from first to last, and
// returns the number of the first.
func (m *mutator) add(first, last int, what ...string) int {
	n := len(m.mutants) + 1
	start, end := strings.LastIndexByte(m.text[:first], '\n')+1, last+strings.IndexByte(m.text[last:], '\n')
	line := strings.Join(strings.Fields(m.text[start:first]+"⟦"+m.text[first:last]+"⟧"+m.text[last:end]), " ")
	in := "?"
	for _, f := range function.FindAllStringSubmatch(m.text[:first], -1) {
		in = f[1]
	}
	for i, w := range what {
		name := fmt.Sprintf("%s %s: %s: %s", m.file, in, w, line)
		if m.seen[name]++; m.seen[name] > 1 {
			name += fmt.Sprintf(" #%d", m.seen[name])
		}
		m.mutants = append(m.mutants, mutant{n + i, m.file, name})
	}
	return n
}

func (m *mutator) put(at int, format string, args ...any) {
	m.edits = append(m.edits, edit{at, fmt.Sprintf(format, args...)})
}

func (m *mutator) barriers() {
	for _, at := range barrier.FindAllStringIndex(m.code, -1) {
		m.put(at[0], "if (mutant != %d) ", m.add(at[0], at[1], "no barrier"))
	}
}

func (m *mutator) comparisons() {
	for _, at := range comparison.FindAllStringSubmatchIndex(m.code, -1) {
		op := m.code[at[2]:at[3]]
		kind := map[string]int{"<": 0, ">": 1, ">=": 2}[op]
		what, always := []string{"or equal"}, -1
		switch op {
		case "<":
			what = append(what, "bound one less")
		case ">=":
			what[0] = "not equal"
		}
		if before := m.code[:at[0]]; !strings.Contains(before[strings.LastIndexAny(before, "{}\n")+1:], "for (") {
			always = len(m.mutants) + 1 + len(what)
			what = append(what, "always true")
		}
		m.put(at[0], " %s Compare<%d>{%d, %d}", op, kind, m.add(at[2], at[3], what...), always)
	}
}

func (m *mutator) loopStarts() {
	for _, at := range loopStart.FindAllStringSubmatchIndex(m.code, -1) {
		m.shift(at[2], at[3], 1, "loop starts later")
	}
}

// shift adds the mutants that add to an expression.
func (m *mutator) shift(first, last, step int, what ...string) {
	n := m.add(first, last, what...)
	if len(what) == 1 {
		m.put(first, "(mutant == %d ? %d : 0) + (", n, step)
	} else {
		m.put(first, "shifted(%d, %d) + (", n, step)
	}
	m.put(last, ")")
}

func (m *mutator) subscripts() {
	for at := range m.code {
		if m.code[at] != '[' || at == 0 || !strings.ContainsRune(")]_", rune(m.code[at-1])) && !isWord(m.code[at-1]) {
			continue
		}
		if declared.MatchString(m.code[max(0, at-200):at]) {
			continue
		}
		m.shift(at+1, m.closing(at), 1, "index +1", "index -1")
	}
}

func isWord(c byte) bool { return c == '_' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' }

// closing returns where the bracket that opens at ends.
func (m *mutator) closing(at int) int {
	depth := 0
	for i := at; i < len(m.code); i++ {
		switch m.code[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	panic("brackets do not match")
}

func (m *mutator) arguments() {
	for _, at := range called.FindAllStringSubmatchIndex(m.code, -1) {
		which := indexArguments[m.code[at[2]:at[3]]]
		end := m.closing(at[1] - 1)
		if which == nil || strings.HasPrefix(strings.TrimSpace(m.code[end+1:]), "{") { // a definition
			continue
		}
		starts, depth := []int{at[1]}, 0
		for i := at[1]; i < end; i++ {
			switch m.code[i] {
			case '(', '[':
				depth++
			case ')', ']':
				depth--
			case ',':
				if depth == 0 {
					starts = append(starts, i+1)
				}
			}
		}
		starts = append(starts, end+1)
		for _, w := range which {
			first, last := starts[w.argument], starts[w.argument+1]-1
			for m.code[first] == ' ' || m.code[first] == '\n' {
				first++
			}
			m.shift(first, last, w.step, fmt.Sprintf("index +%d", w.step), fmt.Sprintf("index -%d", w.step))
		}
	}
}
