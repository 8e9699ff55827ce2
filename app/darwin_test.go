package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// listed is what this test reads of a package in the output of go list -json.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	CgoFiles   []string
	ImportMap  map[string]string
	Module     *struct{ Main bool }
}

// TestDarwinTypeCheck type-checks all our packages and their tests as they are built
// for an Apple Silicon Mac, on any machine: ours with their function bodies, their
// dependencies without. It cannot see names of C (FakeImportC), nor what Objective-C is called by
// name, which checkObjc looks at.
func TestDarwinTypeCheck(t *testing.T) {
	packages := listDarwin(t)
	fset := token.NewFileSet()
	done := map[string]*types.Package{"unsafe": types.Unsafe}
	ours := 0
	for _, p := range packages { // dependencies come first
		if p.ImportPath == "unsafe" || strings.HasSuffix(p.ImportPath, ".test") {
			continue // the compiler's own, and what go test generates
		}
		own := p.Module != nil && p.Module.Main
		files := parsePackage(t, fset, p, own)
		if len(files) == 0 {
			continue
		}
		config := types.Config{
			FakeImportC:      true,
			IgnoreFuncBodies: !own,
			Sizes:            types.SizesFor("gc", "arm64"),
			Importer: importerFunc(func(path string) (*types.Package, error) {
				if mapped, ok := p.ImportMap[path]; ok {
					path = mapped
				}
				if q := done[path]; q != nil {
					return q, nil
				}
				return nil, errors.New("not listed: " + path)
			}),
			Error: func(err error) {
				if own {
					t.Error(err)
				}
			},
		}
		if !own {
			done[p.ImportPath], _ = config.Check(p.ImportPath, fset, files, nil)
			continue
		}
		ours++
		info := newInfo()
		done[p.ImportPath], _ = config.Check(p.ImportPath, fset, files, info) // errors went to Error
		for _, wrong := range checkObjc(fset, info, files) {
			t.Error(wrong)
		}
	}
	if done["gimbal/ui/desktop"] == nil || done["github.com/progrium/macdriver/objc"] == nil {
		t.Error("the desktop's files for a Mac were not type-checked")
	}
	if ours < 25 {
		t.Errorf("type-checked %d packages of our own, want all of them", ours)
	}
}

type importerFunc func(string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }

func listDarwin(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps", "-test", "-json=ImportPath,Dir,GoFiles,CgoFiles,ImportMap,Module", "gimbal/...")
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func parsePackage(t *testing.T, fset *token.FileSet, p listed, own bool) []*ast.File {
	t.Helper()
	var files []*ast.File
	for _, name := range append(append([]string{}, p.GoFiles...), p.CgoFiles...) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil && own {
			t.Errorf("%s: %v", p.ImportPath, err)
		}
		if f != nil {
			files = append(files, f)
		}
	}
	return files
}
