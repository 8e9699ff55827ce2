package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"gimbal/inference/bench"
)

// version is FyneApp.toml's, which the Makefile sets.
var version = "dev"

// builtFrom is the commit that the Makefile sets.
var builtFrom string

// commit returns the commit that the program was built from, as far as it is known.
func commit() string {
	if builtFrom != "" {
		return builtFrom
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	revision, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changes"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + changed
}

// runVersion says what a report of a fault needs.
func runVersion(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := flag.NewFlagSet("version", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: gimbal version\n\nSays which Gimbal this is, and on what it runs: what a report of a fault needs.")
	}
	if err := parse(fs, args, stdout); err != nil {
		return err
	}
	m := bench.ThisMachine()
	fmt.Fprintf(stdout, "Gimbal %s, commit %s\n", version, or(commit(), "not known"))
	why := ""
	dev, err := defaultDevice().open(func(text string) { why = "; " + text })
	if err != nil {
		fmt.Fprintf(stdout, "device: none: %s\n", errorText(err))
	} else {
		fmt.Fprintf(stdout, "device: %s%s\n", dev.Info().Name, why)
		if err := dev.Close(); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stdout, "system: %s %s, %s, %d cores, %.0f GiB of memory\nbuilt with: %s for %s/%s\n",
		m.OS, m.Arch, or(m.CPU, "a processor that is not known"), m.Cores, float64(m.Memory)/(1<<30), m.Go, runtime.GOOS, runtime.GOARCH)
	return err
}
