//go:build headless

package main

import (
	"context"
	"io"

	"gimbal/app/internal/doctor"
)

const windowUsage = "(this build has no window)"

// runWindow says that this build has no window and none of its C libraries.
func runWindow(_ context.Context, _ []string, stderr io.Writer) error {
	printUsage(stderr)
	return usagef("this build has no window (it was built with the tag headless): give a command")
}

func examineWindow(context.Context, *doctor.Session) doctor.Verdict {
	return skipped("this build has no window")
}
