// Package kernels holds the Metal Shading Language sources, one file per
// operation, and the headers that they include.
//
// Apple's compiler takes SourceOf each kernel that is used at run time. Everywhere else package
// metalkit/internal/soft compiles the same files as C++, so they keep to what
// both understand: threadgroup arrays, function constants and template instances
// by the macros of common.h; every parameter with its attribute, operands
// numbered as they stand; simd functions in uniform flow only, no return before a
// barrier; precise:: or fast:: before every mathematical function; no
// thread_elements(), no vector swizzles.
package kernels

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

//go:embed *.h *.metal
var files embed.FS

// Source returns all kernels as one translation unit: the headers first, then the
// files in order of name, without the lines that include those. Messages of a compiler
// name the files and their lines.
func Source() string {
	var b strings.Builder
	for _, name := range append(slices.Clone(headers), sources()...) {
		appendFile(&b, name, func(string) bool { return true })
	}
	return b.String()
}

// SourceOf returns a translation unit with the kernel called name and no other
// instance of a template, so that what a compiler refuses costs one kernel and not
// all. It panics where there is no such kernel.
func SourceOf(name string) string {
	made := regexp.MustCompile(`(?m)^(KERNEL\(` + name + `\)|INSTANCE\(` + name + `,)`)
	for _, source := range sources() {
		if !made.MatchString(read(source)) {
			continue
		}
		var b strings.Builder
		for _, header := range headers {
			appendFile(&b, header, func(string) bool { return true })
		}
		appendFile(&b, source, func(line string) bool {
			return !strings.HasPrefix(line, "INSTANCE(") || made.MatchString(line)
		})
		return b.String()
	}
	panic("kernels: there is no kernel " + name)
}

// Names returns the names of all kernels.
func Names() []string {
	var names []string
	for _, m := range madeLine.FindAllStringSubmatch(Source(), -1) {
		names = append(names, m[1])
	}
	return names
}

var (
	headers  = []string{"common.h", "tile.h"}
	madeLine = regexp.MustCompile(`(?m)^(?:KERNEL|INSTANCE)\((\w+)`)
)

func sources() []string {
	names, err := fs.Glob(files, "*.metal")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	return names
}

func read(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embedded files can be read
	}
	return string(text)
}

// appendFile adds the file's lines, empty ones for those that keep refuses and for
// what one unit does without.
func appendFile(b *strings.Builder, name string, keep func(line string) bool) {
	fmt.Fprintf(b, "#line 1 %q\n", name)
	for line := range strings.Lines(read(name)) {
		if strings.HasPrefix(line, "#include \"") || strings.HasPrefix(line, "#pragma once") || !keep(line) {
			line = "\n"
		}
		b.WriteString(line)
	}
}
