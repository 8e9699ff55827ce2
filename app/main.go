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
}

var commands = []command{
	{"generate", "make a video from a picture, a camera path and a prompt", runGenerate},
	{"generate_fast", "the same with the fast model beside or in a checkpoint, chunk by chunk", runGenerateFast},
	{"plan", "say what generate would take: memory, disk and time", runPlan},
	{"demo", "make a video with the model, picture and camera path that come with Gimbal", runDemo},
	{"quantize", "make a checkpoint's quantised weights ahead of time", runQuantize},
	{"bench", "measure what this machine makes of the model", runBench},
	{"tune", "choose the fastest kernels for this Mac's GPU anew", runTune},
	{"serve", "make videos for others: an HTTP API, a page for browsers and a queue of jobs", runServe},
	{"worker", "make videos of the jobs of a server", runWorker},
	{"devices", "list the devices that can run the model, and their limits", runDevices},
	{"inspect", "say what a checkpoint or action folder holds and what is wrong with it", runInspect},
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
	err := dispatch(ctx, args, stdout, stderr)
	var usage usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "gimbal: interrupted: %s\n", errorText(err))
		return exitInterrupted
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "gimbal: %s\n", errorText(err))
		return exitUsage
	default:
		fmt.Fprintf(stderr, "gimbal: %s\n", errorText(err))
		return exitFailed
	}
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	args = withoutFinder(args)
	if len(args) == 0 {
		return runWindow(ctx, nil, stderr)
	}
	for _, c := range commands {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		printUsage(stdout)
		return nil
	}
	if areFiles(args) {
		return runWindow(ctx, args, stderr)
	}
	printUsage(stderr)
	return usagef("no command and no file %q", args[0])
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
	fmt.Fprintf(w, "\n'gimbal COMMAND --help' lists a command's flags.\n"+
		"Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted.\n")
}

// parse parses a command's flags; mistakes are usage errors and further
// arguments are allowed only where rest says so.
func parse(fs *flag.FlagSet, args []string, help io.Writer, rest int) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(help)
		fs.Usage()
		return err
	case err != nil:
		return usagef("%s: %w; 'gimbal %[1]s --help' lists the flags", fs.Name(), err)
	case fs.NArg() != rest:
		return usagef("%s: %d arguments besides the flags, want %d (a value with blanks or * wants quotes): %q", fs.Name(), fs.NArg(), rest, fs.Args())
	}
	return nil
}
