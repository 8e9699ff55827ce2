package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const macdriver = "github.com/progrium/macdriver/"

// selectors returns those of the methods that assets/mac/cross declares after Apple's
// documentation. Only these may be named in objc.Sel, of which the compiler takes any.
var selectors = sync.OnceValue(func() map[string]bool {
	const headers = "../assets/mac/cross/include"
	all := map[string]bool{}
	err := filepath.WalkDir(headers, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, method := range methods.FindAllString(string(text), -1) {
			all[selectorOfMethod(method)] = true
		}
		return err
	})
	if err != nil {
		panic(err)
	}
	return all
})

var (
	methods = regexp.MustCompile(`(?m)^[-+] \([^;]*;`)
	inner   = regexp.MustCompile(`\([^()]*\)`)
	labels  = regexp.MustCompile(`\w+:`)
	names   = regexp.MustCompile(`\w+`)
)

// selectorOfMethod reads a method's declaration, such as - (BOOL)openURL:(NSURL *)url;
func selectorOfMethod(declared string) string {
	for inner.MatchString(declared) {
		declared = inner.ReplaceAllString(declared, "")
	}
	if all := labels.FindAllString(declared, -1); all != nil {
		return strings.Join(all, "")
	}
	return names.FindString(declared)
}

// newInfo returns what checkObjc needs to be noted by the type checker.
func newInfo() *types.Info {
	return &types.Info{Uses: map[*ast.Ident]types.Object{}, Types: map[ast.Expr]types.TypeAndValue{}}
}

// checkObjc returns what is wrong with a package's calls of Objective-C that the type
// checker cannot see: selectors of no method, other numbers of arguments than a
// selector has colons, and results of fewer than the eight bytes that macdriver
// writes into the result's variable.
func checkObjc(fset *token.FileSet, info *types.Info, files []*ast.File) (wrong []string) {
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, what := range checkCall(info, call) {
				wrong = append(wrong, fmt.Sprintf("%s: %s", fset.Position(call.Pos()), what))
			}
			return true
		})
	}
	return wrong
}

func checkCall(info *types.Info, call *ast.CallExpr) (wrong []string) {
	f := calledMacdriver(info, call)
	if f == nil {
		return nil
	}
	sends := f.Name() == "Call" || strings.HasPrefix(f.Pkg().Path(), macdriver+"macos/")
	if result := info.Types[call].Type; sends && !wideEnough(result) {
		wrong = append(wrong, fmt.Sprintf("%s gives a %v, into which eight bytes are written; want objc.Call[uintptr] & 0xff", f.Name(), result))
	}
	arguments := -1
	switch f.Name() {
	case "Call":
		arguments = len(call.Args) - 2
	case "AddMethod":
		arguments = info.Types[call.Args[2]].Type.(*types.Signature).Params().Len() - 1
	default:
		return wrong
	}
	selector := selectorOf(info, call.Args[1])
	if !selectors()[selector] {
		wrong = append(wrong, fmt.Sprintf("assets/mac/cross declares no method %q", selector))
	}
	if colons := strings.Count(selector, ":"); colons != arguments {
		wrong = append(wrong, fmt.Sprintf("%s takes %d arguments, %d are given", selector, colons, arguments))
	}
	return wrong
}

// calledMacdriver returns the function of macdriver that is called, nil for others.
func calledMacdriver(info *types.Info, call *ast.CallExpr) *types.Func {
	fun := ast.Unparen(call.Fun)
	switch f := fun.(type) {
	case *ast.IndexExpr:
		fun = f.X
	case *ast.IndexListExpr:
		fun = f.X
	}
	selector, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	f, ok := info.Uses[selector.Sel].(*types.Func)
	if !ok || f.Pkg() == nil || !strings.HasPrefix(f.Pkg().Path(), macdriver) {
		return nil
	}
	return f
}

// wideEnough tells whether macdriver can store a result in a variable of this type.
func wideEnough(t types.Type) bool {
	if t == nil {
		return true
	}
	if basic, ok := t.Underlying().(*types.Basic); ok && basic.Kind() != types.Invalid {
		return basic.Info()&types.IsString != 0 || types.SizesFor("gc", "arm64").Sizeof(basic) == 8
	}
	return true
}

// selectorOf returns the constant in objc.Sel("…"), "" where there is none.
func selectorOf(info *types.Info, sel ast.Expr) string {
	call, ok := sel.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return ""
	}
	value := info.Types[call.Args[0]].Value
	if value == nil || value.Kind() != constant.String {
		return ""
	}
	return constant.StringVal(value)
}

// TestCheckObjc has the check find mistakes, and only them.
func TestCheckObjc(t *testing.T) {
	const objc = `package objc
		type Object struct{}
		type Selector struct{}
		func Sel(string) Selector { return Selector{} }
		func Call[T any](o Object, s Selector, args ...any) (t T) { return t }
		func AddMethod(o Object, s Selector, f any) bool { return true }`
	const calls = `package p
		import "github.com/progrium/macdriver/objc"
		var o objc.Object
		func f() {
			_ = objc.Call[uintptr](o, objc.Sel("openURL:"), o)
			_ = objc.Call[uintptr](o, objc.Sel("openURL:"), o, o)
			_ = objc.Call[uintptr](o, objc.Sel("openUrl:"), o)
			_ = objc.Call[bool](o, objc.Sel("openURL:"), o)
			objc.AddMethod(o, objc.Sel("application:openURLs:"), func(o, a, b objc.Object) {})
			objc.AddMethod(o, objc.Sel("application:openURLs:"), func(o, a objc.Object) {})
		}`
	fset := token.NewFileSet()
	done := map[string]*types.Package{}
	var wrong []string
	for _, p := range []struct{ path, text string }{{macdriver + "objc", objc}, {"p", calls}} {
		file, err := parser.ParseFile(fset, p.path, p.text, 0)
		if err != nil {
			t.Fatal(err)
		}
		info := newInfo()
		config := types.Config{Importer: importerFunc(func(path string) (*types.Package, error) { return done[path], nil })}
		if done[p.path], err = config.Check(p.path, fset, []*ast.File{file}, info); err != nil {
			t.Fatal(err)
		}
		wrong = append(wrong, checkObjc(fset, info, []*ast.File{file})...)
	}
	want := []string{"p:6:", "p:7:", "p:8:", "p:10:"}
	if len(wrong) != len(want) {
		t.Fatalf("found %q, want %d mistakes", wrong, len(want))
	}
	for i, w := range wrong {
		if !strings.HasPrefix(w, want[i]) {
			t.Errorf("found %q, want one at %s", w, want[i])
		}
	}
}

func TestSelectorOfMethod(t *testing.T) {
	for declared, want := range map[string]string{
		"- (void)run;": "run",
		"+ (NSFont *)menuFontOfSize:(CGFloat)size;":                                                              "menuFontOfSize:",
		"- (BOOL)trashItemAtURL:(NSURL *)url\n   resultingItemURL:(NSURL **)result\n   error:(NSError **)error;": "trashItemAtURL:resultingItemURL:error:",
		"- (void)add:(id)request with:(void (^)(BOOL granted, NSError *error))handler;":                          "add:with:",
	} {
		if got := selectorOfMethod(declared); got != want {
			t.Errorf("%s: %q, want %q", declared, got, want)
		}
	}
}
