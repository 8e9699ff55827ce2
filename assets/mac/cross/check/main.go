// Command check says what a program for a Mac needs of the system, and fails where that is not what
// it should be: another processor, a newer system, or libraries that a Mac has not.
package main

import (
	"debug/macho"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
)

// system is the oldest macOS that the program is for.
const system = "14.0"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: check PROGRAM")
		os.Exit(2)
	}
	if err := check(os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
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
	for _, library := range libraries {
		if !strings.HasPrefix(library, "/usr/lib/") && !strings.HasPrefix(library, "/System/Library/Frameworks/") {
			return fmt.Errorf("it wants %s, which no Mac has", library)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("%s: arm64, macOS %s, %.1f MB, of the system: %s\n", path, system, float64(info.Size())/1e6, strings.Join(names(libraries), ", "))
	return nil
}

func names(paths []string) (names []string) {
	for _, path := range paths {
		names = append(names, path[strings.LastIndexByte(path, '/')+1:])
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
