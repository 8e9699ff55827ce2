// Package kernels holds the Metal Shading Language sources, one file per
// operation, and the headers that they include.
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
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.h *.metal
var files embed.FS

// Source returns all kernels as one translation unit: the headers first, then the
// files in order of name, without the lines that include those. Messages of a compiler
// name the files and their lines.
func Source() string {
	names, err := fs.Glob(files, "*.metal")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	var b strings.Builder
	for _, name := range append([]string{"common.h", "tile.h"}, names...) {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded files can be read
		}
		fmt.Fprintf(&b, "#line 1 %q\n", name)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "#include \"") || strings.HasPrefix(line, "#pragma once") {
				line = "\n"
			}
			b.WriteString(line)
		}
	}
	return b.String()
}
