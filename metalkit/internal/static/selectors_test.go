//go:build !darwin

package static

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// message is one that metal_darwin.m sends: a selector, and the class or protocol of its
// receiver, or nothing if that is any object.
type message struct{ class, selector string }

// unbound are the messages that macdriver's bindings do not have, and why. Where they have
// left one out they have another one of the same class with other arguments.
var unbound = map[message]string{
	{"MTLCompileOptions", "setMathMode:"}: "of macOS 15, the bindings are older",
	{"MTLDevice", "architecture"}:         "of macOS 14, the bindings are older",
	{"MTLArchitecture", "name"}:           "of macOS 14, the bindings are older",
	{"MTLDevice", "newComputePipelineStateWithDescriptor:options:reflection:error:"}: "left out, of macOS 10.11",
	{"NSURL", "fileURLWithPath:"}: "left out, of macOS 10.0",
}

// counting are the selectors of every object that the bindings have as methods of package objc.
var counting = []string{"retain", "release", "autorelease"}

var (
	ofObject  = regexp.MustCompile(`id<(\w+)>\s*(\w+)|\b((?:MTL|NS)\w+)\s*\*\s*(\w+)`)
	ofCast    = regexp.MustCompile(`^\(id<(\w+)>\)`)
	part      = regexp.MustCompile(`^\w+:`)
	word      = regexp.MustCompile(`^\w+`)
	boundName = regexp.MustCompile(`objc\.GetClass\("(\w+)"\)`)
	boundSel  = regexp.MustCompile(`objc\.Sel\("([^"]+)"\)(.*)\)`)
	wrapper   = regexp.MustCompile(`type (\w+)Wrapper struct`)
	embedded  = regexp.MustCompile(`(?m)^type \w+ struct \{\n\t(?:(\w+)\.)?(\w+)\n\}`)
	comments  = regexp.MustCompile(`//[^\n]*|@?"(?:[^"\\]|\\.)*"`)
)

// sender reads the messages of a source.
type sender struct {
	text string
	of   map[string]string // what variables point to, as declared last
	sent map[message]bool
}

// messages returns what a text of Objective-C sends.
func messages(source string) map[message]bool {
	s := sender{comments.ReplaceAllString(source, "0"), map[string]string{}, map[message]bool{}}
	declared := ofObject.FindAllStringSubmatchIndex(s.text, -1)
	for at := 0; at < len(s.text); at++ {
		for len(declared) > 0 && declared[0][0] <= at {
			d := declared[0]
			declared = declared[1:]
			if d[2] >= 0 {
				s.of[s.text[d[4]:d[5]]] = s.text[d[2]:d[3]]
			} else {
				s.of[s.text[d[8]:d[9]]] = s.text[d[6]:d[7]]
			}
		}
		if s.opens(at) {
			s.message(at)
		}
	}
	return s.sent
}

// opens reports whether a message, and no index, opens at a place.
func (s *sender) opens(at int) bool {
	if s.text[at] != '[' || at == 0 {
		return false
	}
	before := s.text[at-1]
	return !(before == ']' || before == '_' || before >= '0' && before <= '9' || before >= 'a' && before <= 'z' || before >= 'A' && before <= 'Z')
}

// end returns the place after the bracket that closes the one at a place.
func (s *sender) end(at int) int {
	depth := 0
	for ; at < len(s.text); at++ {
		switch s.text[at] {
		case '[', '(':
			depth++
		case ']', ')':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return at
}

// message notes the message that opens at a place and returns the class of its result, as
// far as it is needed.
func (s *sender) message(at int) string {
	end := s.end(at) - 1
	class, i := "", at+1
	if m := ofCast.FindStringSubmatch(s.text[i:]); m != nil {
		class, i = m[1], i+len(m[0])
	} else if s.text[i] == '(' { // a cast to any object
		i = s.end(i)
	}
	switch {
	case s.text[i] == '[':
		result := s.message(i)
		if class == "" {
			class = result
		}
		i = s.end(i)
	default:
		name := word.FindString(s.text[i:])
		if class == "" && i == at+1 {
			class = name
			if of, ok := s.of[name]; ok {
				class = of
			}
		}
		for i < end && s.text[i] != ' ' {
			i++
		}
	}
	selector := ""
	for i < end {
		switch rest := s.text[i:end]; {
		case rest[0] == '[' || rest[0] == '(':
			i = s.end(i)
		case part.MatchString(rest):
			selector += part.FindString(rest)
			i += len(part.FindString(rest))
		case selector == "" && word.MatchString(rest):
			selector = word.FindString(rest)
			i = end
		case word.MatchString(rest):
			i += len(word.FindString(rest))
		default:
			i++
		}
	}
	s.sent[message{class, selector}] = true
	switch {
	case selector == "name" || selector == "localizedDescription":
		return "NSString"
	case slices.Contains([]string{"alloc", "autorelease"}, selector), strings.HasPrefix(selector, "init"), strings.HasPrefix(selector, "shared"):
		return class
	}
	return ""
}

// bindings are the messages that macdriver's packages send, by class or protocol, and
// what these are derived from.
type bindings struct {
	sent    map[message]int // the number of arguments
	parents map[string][]string
}

// prefixes are those of the frameworks' names, by macdriver's package.
var prefixes = map[string]string{"foundation": "NS", "metal": "MTL"}

func readBindings(t *testing.T) bindings {
	t.Helper()
	// On Linux nothing else needs the module: it may not be there yet.
	said, err := exec.Command("go", "mod", "download", "-json", "github.com/progrium/macdriver").Output()
	var module struct{ Dir string }
	if err = errors.Join(err, json.Unmarshal(said, &module)); err != nil {
		t.Fatal("where macdriver is: ", err)
	}
	b := bindings{map[message]int{}, map[string][]string{
		"MTLComputeCommandEncoder": {"MTLCommandEncoder"}, "MTLBuffer": {"MTLResource"}, // protocols, which are not embedded
	}}
	for pkg, prefix := range prefixes {
		files, err := filepath.Glob(filepath.Join(module.Dir, "macos", pkg, "*.gen.go"))
		if err != nil || len(files) == 0 {
			t.Fatal("no bindings of ", pkg, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b.read(string(text), prefix)
		}
	}
	return b
}

// read takes what one file of a framework binds.
func (b bindings) read(text, prefix string) {
	class := ""
	if m := boundName.FindStringSubmatch(text); m != nil {
		class = m[1]
	} else if m := wrapper.FindStringSubmatch(text); m != nil {
		class = prefix + m[1]
	}
	for _, m := range boundSel.FindAllStringSubmatch(text, -1) {
		if at := (message{class, m[1]}); b.sent[at] <= strings.Count(m[2], ",") {
			b.sent[at] = strings.Count(m[2], ",")
		}
	}
	for _, m := range embedded.FindAllStringSubmatch(text, -1) {
		of := prefix
		if m[1] != "" {
			of = prefixes[m[1]]
		}
		b.parents[class] = append(b.parents[class], of+m[2])
	}
}

// has reports whether the bindings send m to its class or what that is derived from, with
// as many arguments.
func (b bindings) has(m message) bool {
	if n, ok := b.sent[m]; ok {
		return n == strings.Count(m.selector, ":")
	}
	return slices.ContainsFunc(b.parents[m.class], func(parent string) bool { return b.has(message{parent, m.selector}) })
}

// unknown returns the messages of source that neither the bindings have nor the list.
func (b bindings) unknown(source string) (all []message) {
	for m := range messages(source) {
		_, listed := unbound[m]
		if !listed && !slices.Contains(counting, m.selector) && !b.has(m) {
			all = append(all, m)
		}
	}
	return all
}

// TestSelectors holds every message that metal_darwin.m sends to the bindings that
// macdriver has made of Apple's headers. What metalkit's Go sends, it sends by these.
func TestSelectors(t *testing.T) {
	b := readBindings(t)
	source := read(t, apple+"/metal_darwin.m")
	sent := messages(source)
	if len(sent) < 50 {
		t.Errorf("%d messages found: %v", len(sent), sent)
	}
	for _, m := range append(b.unknown(source), b.unknown(read(t, awake+"/awake_darwin.m"))...) {
		t.Errorf("[%s %s] is not among macdriver's bindings", m.class, m.selector)
	}
	for m, why := range unbound {
		if !sent[m] || b.has(m) {
			t.Errorf("[%s %s] need not be in the list (%s)", m.class, m.selector, why)
		}
	}
}

// TestSelectorMistakes makes mistakes that TestSelectors must find.
func TestSelectorMistakes(t *testing.T) {
	b := readBindings(t)
	source := read(t, apple+"/metal_darwin.m")
	for _, c := range []struct{ from, to, class string }{
		{"newCommandQueue]", "makeCommandQueue]", "MTLDevice"},
		{"atIndex:0]", "index:0]", "MTLComputeCommandEncoder"},
		{" length:sizeof c->args atIndex", " atIndex", "MTLComputeCommandEncoder"},
		{"[buffer commit]", "[buffer endEncoding]", "MTLCommandBuffer"},
		{"setFastMathEnabled:", "setMathEnabled:", "MTLCompileOptions"},
	} {
		wrong := strings.Replace(source, c.from, c.to, 1)
		found := b.unknown(wrong)
		if wrong == source || len(found) != 1 || found[0].class != c.class {
			t.Errorf("%q for %q: found %v", c.to, c.from, found)
		}
	}
}
