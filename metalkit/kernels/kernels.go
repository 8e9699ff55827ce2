// Package kernels holds the Metal Shading Language sources, one file per
// operation, and the headers that they include.
//
// There are two sources. What every Mac's compiler takes is in Metal 3.1; files called
// *_matmul2d.metal are of the second one, in Metal 4.0, for GPUs with Neural Accelerators and
// systems whose compiler knows MetalPerformancePrimitives, see metal4.h.
//
// Apple's compiler takes SourceOf each kernel that is used at run time. Everywhere else package
// metalkit/internal/driver/soft compiles the same files as C++, so they keep to what
// both understand: threadgroup arrays, function constants and template instances
// by the macros of common.h; every parameter with its attribute, operands
// numbered as they stand; simd functions in uniform flow only, no return before a
// barrier; precise:: or fast:: before every mathematical function; thread_elements()
// by matrix.h only; no vector swizzles.
package kernels

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed *.h *.metal
var files embed.FS

// Language is the version of the Metal Shading Language of a source.
type Language int

// The languages of the two sources.
const (
	Metal3 Language = iota // 3.1
	Metal4                 // 4.0
)

// LanguageOf returns that of the kernel called name.
func LanguageOf(name string) Language { return languageOf(fileOf(name)) }

// languageOf returns that of a file.
func languageOf(file string) Language {
	if strings.HasSuffix(file, "_matmul2d.metal") {
		return Metal4
	}
	return Metal3
}

// Source returns all kernels of a language as one translation unit: the headers first, then the
// files in order of name, without the lines that include those. Messages of a compiler
// name the files and their lines.
func Source(l Language) string {
	var b strings.Builder
	for _, name := range append(slices.Clone(headers[l]), sources(l)...) {
		appendFile(&b, name, func(string) bool { return true })
	}
	return b.String()
}

// Hash returns the SHA-256 of the sources: what is measured with other kernels is of no use.
func Hash() string { return fmt.Sprintf("%x", sha256.Sum256([]byte(Source(Metal3)+Source(Metal4)))) }

// SourceOf returns a translation unit with the kernel called name and no other
// instance of a template, so that what a compiler refuses costs one kernel and not
// all. It panics where there is no such kernel.
func SourceOf(name string) string {
	var b strings.Builder
	file, made := fileOf(name), makes(name)
	for _, header := range headers[languageOf(file)] {
		appendFile(&b, header, func(string) bool { return true })
	}
	appendFile(&b, file, func(line string) bool { return !strings.HasPrefix(line, "INSTANCE(") || made.MatchString(line) })
	return b.String()
}

// makes matches the line that makes the kernel called name.
func makes(name string) *regexp.Regexp {
	return regexp.MustCompile(`(?m)^(KERNEL\(` + name + `\)|INSTANCE\(` + name + `,)`)
}

// fileOf returns the file of the kernel called name. It panics where there is none.
func fileOf(name string) string {
	made := makes(name)
	for _, file := range append(sources(Metal3), sources(Metal4)...) {
		if made.MatchString(read(file)) {
			return file
		}
	}
	panic("kernels: there is no kernel " + name)
}

// Instance is a kernel that is made of a template.
type Instance struct {
	Name     string
	Function string // the template, such as "linear"
	Element  string // its first parameter: the type that it multiplies in, such as "bfloat"
	Sizes    []int  // its other parameters, in order; true is 1
}

// Instances returns the kernels that are made of a template for a type of elements, in the
// order of the source: the variants of an operation. The lines of the source are the only
// table of them.
func Instances(function, element string) (list []Instance) {
	for _, m := range instanceLine.FindAllStringSubmatch(Source(Metal3)+Source(Metal4), -1) {
		if m[2] != function || m[3] != element {
			continue
		}
		i := Instance{Name: m[1], Function: function, Element: element}
		for word := range strings.FieldsFuncSeq(m[4], func(r rune) bool { return r == ',' || r == ' ' }) {
			i.Sizes = append(i.Sizes, sizeOf(word))
		}
		list = append(list, i)
	}
	return list
}

// sizeOf is the value of a template's parameter.
func sizeOf(word string) int {
	n, err := strconv.Atoi(word)
	if err != nil && word != "true" && word != "false" {
		panic("kernels: a parameter " + word)
	}
	if word == "true" {
		return 1
	}
	return n
}

// Names returns the names of all kernels of a language.
func Names(l Language) []string {
	var names []string
	for _, m := range madeLine.FindAllStringSubmatch(Source(l), -1) {
		names = append(names, m[1])
	}
	return names
}

var (
	headers = map[Language][]string{
		Metal3: {"common.h", "swizzle.h", "blocks.h", "linear.h", "conv.h", "attention.h", "matrix.h", "tile.h"},
		Metal4: {"metal4.h", "common.h", "swizzle.h", "linear.h", "conv.h", "attention.h"},
	}
	madeLine = regexp.MustCompile(`(?m)^(?:KERNEL|INSTANCE)\((\w+)`)
	// name, template, type of elements, and the other parameters.
	instanceLine = regexp.MustCompile(`(?m)^INSTANCE\((\w+), (\w+), (\w+)(.*)\);$`)
)

// sources are the files of a language.
func sources(l Language) []string {
	names, err := fs.Glob(files, "*.metal")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	return slices.DeleteFunc(names, func(name string) bool { return languageOf(name) != l })
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
