package metalkit

import (
	"regexp"
	"strings"
	"testing"

	"gimbal/metalkit/kernels"
)

// source is what the text of the kernels declares.
type source struct {
	structs   map[string]string   // their members
	functions map[string]*routine // kernels and constexpr functions
	made      map[string]instance // kernels by the name that the host knows
}

// routine is a kernel or a constexpr function.
type routine struct {
	types      []string // of the template's parameters: "typename" and others
	templates  []string // their names
	parameters []string // each with its type
	body       string
}

// instance is a function with values for its template's parameters.
type instance struct {
	function  string
	arguments []string
}

var (
	structText    = regexp.MustCompile(`(?m)^struct (\w+) \{([^}]*)\};`)
	functionText  = regexp.MustCompile(`(?ms)^(?:template <([^>\n]*)>\s)?(?:kernel void|constexpr uint) (\w+)\(([^{]*?)\) \{(?: ([^\n]*) \}$|\n(.*?)^\})`)
	instanceText  = regexp.MustCompile(`(?m)^(?:KERNEL\((\w+)\)|INSTANCE\((\w+), (\w+), (.*)\));$`)
	commentOfLine = regexp.MustCompile(`//.*`)
)

// parseSource reads the text of kernels.
func parseSource(text string) source {
	text = commentOfLine.ReplaceAllString(text, "")
	s := source{map[string]string{}, map[string]*routine{}, map[string]instance{}}
	for _, m := range structText.FindAllStringSubmatch(text, -1) {
		s.structs[m[1]] = m[2]
	}
	for _, m := range functionText.FindAllStringSubmatch(text, -1) {
		f := &routine{parameters: splitList(m[3]), body: m[4] + m[5]}
		for _, p := range splitList(m[1]) {
			kind, name, _ := strings.Cut(p, " ")
			f.types, f.templates = append(f.types, kind), append(f.templates, name)
		}
		s.functions[m[2]] = f
	}
	for _, m := range instanceText.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			s.made[m[1]] = instance{function: m[1]}
		} else {
			s.made[m[2]] = instance{m[3], splitList(m[4])}
		}
	}
	return s
}

// splitList cuts a list at its commas.
func splitList(list string) []string {
	if list = strings.TrimSpace(list); list == "" {
		return nil
	}
	words := strings.Split(list, ",")
	for i, w := range words {
		words[i] = strings.TrimSpace(w)
	}
	return words
}

// allSource reads all kernels.
func allSource(t *testing.T) source {
	t.Helper()
	s := parseSource(kernels.Source(kernels.Metal3) + kernels.Source(kernels.Metal4))
	for _, name := range append(kernels.Names(kernels.Metal3), kernels.Names(kernels.Metal4)...) {
		if k, ok := s.made[name]; !ok || s.functions[k.function] == nil {
			t.Fatalf("kernel %s is not understood", name)
		}
	}
	return s
}

// buffers returns a kernel's parameters that are buffers.
func (f *routine) buffers() []string {
	var list []string
	for _, p := range f.parameters {
		if strings.Contains(p, "[[buffer(") {
			list = append(list, p)
		}
	}
	return list
}
