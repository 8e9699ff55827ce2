// Command check says what programs for a Mac need of the system, and fails where that is not what it
// should be: another processor, a newer system, libraries that a Mac has not, functions or classes
// that none of them is to bring, or none of the program's own that ui/desktop looks up by its name.
package main

import (
	"bytes"
	"debug/macho"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

const (
	// system is the oldest macOS that the program is for.
	system = "14.0"

	// delegate is GLFW's class that ui/desktop teaches to take files from the Finder.
	delegate = "GLFWApplicationDelegate"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: check PROGRAM...")
		os.Exit(2)
	}
	for _, path := range os.Args[1:] {
		if err := check(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

func check(path string) error {
	f, err := macho.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Cpu != macho.CpuArm64 || f.Type != macho.TypeExec {
		return fmt.Errorf("%v, %v: want a program for arm64", f.Cpu, f.Type)
	}
	if least := leastSystem(f); least != system {
		return fmt.Errorf("it wants macOS %q, not %s", least, system)
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	if err := errors.Join(checkLibraries(libraries), checkImports(f, libraries), checkDelegate(f, libraries)); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("%s: arm64, macOS %s, %.1f MB, of the system: %s\n", path, system, float64(info.Size())/1e6, strings.Join(names(libraries), ", "))
	return nil
}

func checkLibraries(libraries []string) error {
	for _, library := range libraries {
		if !strings.HasPrefix(library, "/usr/lib/") && !strings.HasPrefix(library, "/System/Library/Frameworks/") {
			return fmt.Errorf("it wants %s, which no Mac has", library)
		}
	}
	return nil
}

// checkImports looks at which library each undefined symbol names: the linker may have left one to be
// looked for in any when the program runs.
func checkImports(f *macho.File, libraries []string) error {
	const debugging, kind = 0xe0, 0x0e
	for _, s := range f.Symtab.Syms {
		library := int(s.Desc >> 8) // from 1
		if s.Type&(debugging|kind) == 0 && (library < 1 || library > len(libraries)) {
			return fmt.Errorf("no library brings %s", s.Name)
		}
	}
	return nil
}

// checkDelegate looks for GLFW's class in a program with a window.
func checkDelegate(f *macho.File, libraries []string) error {
	if !slices.Contains(names(libraries), "AppKit") {
		return nil
	}
	section := f.Section("__objc_classname")
	if section == nil {
		return errors.New("it has no classes of Objective-C")
	}
	text, err := section.Data()
	if err == nil && !slices.ContainsFunc(bytes.Split(text, []byte{0}), func(name []byte) bool { return string(name) == delegate }) {
		err = fmt.Errorf("it has no %s: no file can be opened from the Finder", delegate)
	}
	return err
}

// names gives each library's own name once.
func names(paths []string) (names []string) {
	for _, path := range paths {
		if name := path[strings.LastIndexByte(path, '/')+1:]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// leastSystem is what LC_BUILD_VERSION says; "" if it is not there.
func leastSystem(f *macho.File) string {
	const buildVersion = 0x32
	for _, l := range f.Loads {
		raw := l.Raw()
		if len(raw) >= 16 && binary.LittleEndian.Uint32(raw) == buildVersion {
			v := binary.LittleEndian.Uint32(raw[12:])
			return fmt.Sprintf("%d.%d", v>>16, v>>8&0xff)
		}
	}
	return ""
}
