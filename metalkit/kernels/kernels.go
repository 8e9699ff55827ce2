// Package kernels holds the Metal Shading Language sources, one file per
// operation, and common.h, which every one of them includes.
//
// Apple's compiler takes Source at run time. Everywhere else package
// metalkit/internal/soft compiles the same files as C++, so they keep to what
// both understand: threadgroup arrays, function constants and template instances
// by the macros of common.h; every parameter with its attribute, operands
// numbered as they stand; simd functions in uniform flow only, no return before a
// barrier; precise:: or fast:: before every mathematical function; no
// thread_elements(), no vector swizzles.
package kernels

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed common.h *.metal
var files embed.FS

// Source returns all kernels as one translation unit: common.h first, then the
// files in order of name, without the lines that include it.
func Source() string {
	var b strings.Builder
	b.WriteString(read("common.h"))
	names, err := fs.Glob(files, "*.metal")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, name := range names {
		b.WriteString(strings.Replace(read(name), "#include \"common.h\"\n", "", 1))
	}
	return b.String()
}

func read(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // embedded files can be read
	}
	return string(text)
}
