package main

import "runtime/debug"

// version is FyneApp.toml's, which the Makefile sets.
var version = "dev"

// commit returns the commit that the program was built from, as far as it is known.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return ""
}
