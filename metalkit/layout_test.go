package metalkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// TestLayout holds the structures of metal_darwin.h to those that they mirror.
func TestLayout(t *testing.T) {
	var c call
	var b binding
	var m matmulArgs
	facts := map[string]uintptr{
		"sizeof(metal_call)":             unsafe.Sizeof(c),
		"offsetof(metal_call, pipeline)": unsafe.Offsetof(c.pipeline),
		"offsetof(metal_call, threads)":  unsafe.Offsetof(c.threads),
		"offsetof(metal_call, groups)":   unsafe.Offsetof(c.groups),
		"offsetof(metal_call, buffers)":  unsafe.Offsetof(c.buffers),
		"offsetof(metal_call, bind)":     unsafe.Offsetof(c.bind),
		"offsetof(metal_call, args)":     unsafe.Offsetof(c.args),
		"sizeof(c.bind[0])":              unsafe.Sizeof(b),
		"sizeof(c.bind[0].handle)":       unsafe.Sizeof(b.handle),
		"sizeof(c.bind)":                 unsafe.Sizeof(c.bind),
		"sizeof(c.args)":                 unsafe.Sizeof(c.args),
		"sizeof(metal_matmul)":           unsafe.Sizeof(m),
		"offsetof(metal_matmul, ldx)":    unsafe.Offsetof(m.ldx),
		"offsetof(metal_matmul, ldy)":    unsafe.Offsetof(m.ldy),
	}
	var source strings.Builder
	source.WriteString("#include \"metal_darwin.h\"\nextern metal_call c;\n")
	for fact, want := range facts {
		fmt.Fprintf(&source, "_Static_assert(%s == %d, \"%s\");\n", fact, want, fact)
	}
	file := filepath.Join(t.TempDir(), "layout.c")
	if err := os.WriteFile(file, []byte(source.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-std=c11", "-fsyntax-only", "-I", ".", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
