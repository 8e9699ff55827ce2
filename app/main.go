package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"gimbal/inference"
	"gimbal/ui/desktop/awake"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// command is one subcommand.
type command struct {
	name, about string
	run         func(ctx context.Context, args []string, stdout, stderr io.Writer) error
	awake       string // why the machine must not sleep meanwhile; "" for a command that takes no time
}

var commands = []command{
	{"generate", "make a video from a picture, a camera path and a prompt", runGenerate, "Making a video"},
	{"generate_fast", "the same with the fast model beside or in a checkpoint, chunk by chunk", runGenerateFast, "Making a video"},
	{"plan", "say what generate would take: memory, disk and time", runPlan, ""},
	{"demo", "make a video with the model, picture and camera path that come with Gimbal", runDemo, "Making a video"},
	{"quantize", "make a checkpoint's quantised weights ahead of time", runQuantize, "Quantising a model"},
	{"get", "fetch a model from Hugging Face's hub", runGet, "Fetching a model"},
	{"convert", "write a model in another format: bf16, int8, nf4, GGUF", runConvert, "Converting a model"},
	{"bench", "measure what this machine makes of the model", runBench, "Measuring"},
	{"tune", "choose the fastest kernels for this Mac's GPU anew", runTune, "Choosing kernels"},
	{"serve", "make videos for others: an HTTP API, a page for browsers and a queue of jobs", runServe, "Making videos for others"},
	{"worker", "make videos of the jobs of a server", runWorker, "Making videos for others"},
	{"devices", "list the devices that can run the model, and their limits", runDevices, ""},
	{"doctor", "examine Gimbal on this machine, and pack what a report of a fault needs", runDoctor, "Examining this machine"},
	{"inspect", "say what a file or folder is: a checkpoint, a camera path, a run, a picture, a video; and what is wrong with it", runInspect, ""},
	{"version", "say which Gimbal this is, and on what it runs", runVersion, ""},
}

func main() {
	// A reader of the output that goes away must not take a run of hours with it.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := runMain(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func runMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &checkedWriter{Writer: stdout}
	err := dispatch(ctx, args, out, stderr)
	if err == nil && out.err != nil {
		err = fmt.Errorf("standard output: %w", out.err)
	}
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return exitDone
	}
	text, code := errorText(err), exitFailed
	var usage usageError
	switch {
	case errors.Is(err, context.Canceled):
		code = exitInterrupted
		if text = "interrupted: " + text; onlyCanceled(err) {
			text = "interrupted"
		}
	case errors.As(err, &usage):
		code = exitUsage
	}
	if slices.ContainsFunc(args, asksForJSON) {
		writeError(stdout, err, text, code)
	}
	fmt.Fprintf(stderr, "gimbal: %s\n", text)
	return code
}

// checkedWriter keeps the first error of what it writes to. That nobody reads is none.
type checkedWriter struct {
	io.Writer
	err error
}

func (w *checkedWriter) Write(data []byte) (int, error) {
	n, err := w.Writer.Write(data)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.EBADF) {
		return len(data), nil
	}
	if w.err == nil {
		w.err = err
	}
	return n, err
}

// asksForJSON recognizes the flag where others could not be parsed.
func asksForJSON(arg string) bool {
	name, value, _ := strings.Cut(arg, "=")
	return (name == "--json" || name == "-json") && value != "false"
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	args = withoutFinder(args)
	if len(args) == 0 {
		return runWindow(ctx, nil, stderr)
	}
	var names []string
	for _, c := range commands {
		if c.name == args[0] {
			defer keepAwake(c.awake)()
			return c.run(ctx, args[1:], stdout, stderr)
		}
		names = append(names, c.name)
	}
	switch args[0] {
	case "help":
		if len(args) > 1 {
			return dispatch(ctx, append(slices.Clone(args[1:]), "--help"), stdout, stderr)
		}
		fallthrough
	case "-h", "-help", "--help":
		printUsage(stdout)
		return nil
	case "-v", "-V", "-version", "--version":
		return runVersion(ctx, args[1:], stdout, stderr)
	}
	files := asPaths(args)
	if areFiles(files) {
		return runWindow(ctx, files, stderr)
	}
	if near := nearest(args[0], names); near != "" {
		return usagef("no command and no file %q: did you mean 'gimbal %s'? 'gimbal help' lists the commands", args[0], near)
	}
	return usagef("no command and no file %q; 'gimbal help' lists the commands", args[0])
}

// keepAwake keeps the machine from sleeping until release is called. What asks the system
// may take its time; where that has no such thing, there is nothing to do.
func keepAwake(reason string) (release func()) {
	if reason == "" {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		if release, err := awake.Keep(reason); err == nil {
			<-done
			release()
		}
	}()
	return func() { close(done) }
}

// asPaths returns the paths of files and folders as people write them.
func asPaths(args []string) []string {
	paths := make([]string, len(args))
	for i, arg := range args {
		paths[i] = inference.Path(arg)
	}
	return paths
}

// withoutFinder leaves out the process serial number that the Finder of some systems
// starts programs with.
func withoutFinder(args []string) []string {
	return slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return strings.HasPrefix(arg, "-psn_") })
}

// areFiles tells whether the arguments are files or folders, as a file manager gives
// them to a program that they are opened with.
func areFiles(args []string) bool {
	return !slices.ContainsFunc(args, func(arg string) bool {
		_, err := os.Stat(arg)
		return err != nil
	})
}

func printUsage(w io.Writer) {
	fmt.Fprintf(w, "usage: gimbal [FILE...]        %s\n       gimbal COMMAND [flags]\n\ncommands:\n", windowUsage)
	for _, c := range commands {
		fmt.Fprintf(w, "  %-13s %s\n", c.name, c.about)
	}
	fmt.Fprintf(w, "\n'gimbal help COMMAND' lists a command's flags.\n"+
		"Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted.\n")
}

// flagError says what is wrong with a command's flags, and which one was most likely meant
// where there is none of a name.
func flagError(fs *flag.FlagSet, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: -"); ok {
		return usagef("%s: --%s needs a value; 'gimbal %[1]s --help' lists the flags", fs.Name(), strings.TrimLeft(name, "-"))
	}
	if !unknown {
		return usagef("%s: %s; 'gimbal %[1]s --help' lists the flags", fs.Name(), valueText(fs, err))
	}
	hint := ""
	if near := suggestFlag(fs, name); near != "" {
		hint = fmt.Sprintf(": did you mean --%s?", near)
	}
	return usagef("%s: there is no flag --%s%s 'gimbal %[1]s --help' lists the flags", fs.Name(), strings.TrimLeft(name, "-"), or(hint, ";"))
}

// valueText says what is wrong with a flag's value, in package flag's words but for those that
// do not say what is wanted.
func valueText(fs *flag.FlagSet, err error) string {
	before, after, _ := strings.Cut(err.Error(), " for flag -")
	name, why, _ := strings.Cut(after, ": ")
	f := fs.Lookup(name)
	if f == nil {
		return strings.Replace(err.Error(), " for -", " for --", 1)
	}
	if value, ok := f.Value.(flag.Getter); ok {
		switch value.Get().(type) {
		case time.Duration:
			why = "want a time such as 90s or 720h"
		case int:
			why = "want a whole number"
		}
	}
	return fmt.Sprintf("%s for flag --%s: %s", before, name, why)
}

// parse parses a command's flags and its operands, which are called so and stand before,
// between or behind the flags. Mistakes are usage errors.
func parse(fs *flag.FlagSet, args []string, help io.Writer, operands ...string) error {
	fs.SetOutput(io.Discard)
	var found []string
	err := fs.Parse(args)
	for err == nil && fs.NArg() > 0 && len(found) < len(operands) {
		found = append(found, fs.Arg(0))
		err = fs.Parse(fs.Args()[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(help)
		fs.Usage()
		return err
	case err != nil:
		return flagError(fs, err)
	case len(found) < len(operands):
		return usagef("%s: no %s given; 'gimbal %[1]s --help' says what it is", fs.Name(), operands[len(found)])
	case fs.NArg() > 0:
		return usagef("%s: %q is too much (a value with blanks or * wants quotes)", fs.Name(), fs.Arg(0))
	}
	return fs.Parse(append([]string{"--"}, found...))
}
