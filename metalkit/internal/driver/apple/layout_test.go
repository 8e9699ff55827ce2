package apple

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"gimbal/metalkit/internal/driver"
)

// TestLayout holds the structures of metal_darwin.h to those that they mirror.
func TestLayout(t *testing.T) {
	var d driver.Dispatch
	var b driver.Binding
	facts := map[string]uintptr{
		"sizeof(metal_dispatch)":             unsafe.Sizeof(d),
		"offsetof(metal_dispatch, pipeline)": unsafe.Offsetof(d.Pipeline),
		"offsetof(metal_dispatch, threads)":  unsafe.Offsetof(d.Threads),
		"offsetof(metal_dispatch, groups)":   unsafe.Offsetof(d.Groups),
		"offsetof(metal_dispatch, buffers)":  unsafe.Offsetof(d.Buffers),
		"offsetof(metal_dispatch, bind)":     unsafe.Offsetof(d.Bind),
		"offsetof(metal_dispatch, args)":     unsafe.Offsetof(d.Args),
		"sizeof(c.bind[0])":                  unsafe.Sizeof(b),
		"sizeof(c.bind[0].handle)":           unsafe.Sizeof(b.Handle),
		"sizeof(c.bind)":                     unsafe.Sizeof(d.Bind),
		"sizeof(c.args)":                     unsafe.Sizeof(d.Args),
	}
	var source strings.Builder
	source.WriteString("#include \"metal_darwin.h\"\nextern metal_dispatch c;\n")
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
