package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gimbal/app/internal/doctor"
	"gimbal/inference/video"
)

// doctorFolder begins the names of examinations' folders.
const doctorFolder = "gimbal-doctor-"

// errUnwell is that parts failed, which their verdicts have told.
var errUnwell = errors.New("something is wrong here: see the lines above")

// runDoctor examines the program on this machine, part by part, and packs what it finds.
func runDoctor(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if ran, err := doctor.RunPart(ctx, doctorParts, stdout); ran {
		return err
	}
	o := doctor.Options{Program: strings.TrimSpace("Gimbal " + version + " " + commit()), Out: stdout}
	var only words
	fs := flag.NewFlagSet("doctor", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: gimbal doctor [flags]\n\nExamines Gimbal on this machine, each part in a process of its own, and packs what a report of a fault needs:\n")
		for _, p := range doctorParts {
			fmt.Fprintf(fs.Output(), "  %-12s %s\n", p.Name, p.About)
		}
		fmt.Fprintf(fs.Output(), "\nAn examination that was interrupted, or that took the machine with it, goes on where it stopped.\n\nflags:\n")
		fs.PrintDefaults()
	}
	pathVar(fs, &o.Dir, "out", "`folder` for what is found; made of the time if not given, or that of an examination here that stopped")
	fs.Var(&only, "parts", "`parts` to look at, instead of all")
	fs.DurationVar(&o.Limit, "limit", 0, "the longest `time` that a part may take, such as 90s; 0 for its own")
	if err := parse(fs, joinLists(fs, args), stdout); err != nil {
		return err
	}
	var err error
	if o.Parts, err = chosenParts(only); err != nil {
		return err
	}
	if o.Limit < 0 {
		return usagef("--limit %v: want 0 or more", o.Limit)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	o.Command = []string{program, "doctor"}
	if o.Dir == "" {
		if o.Dir, err = examinationHere(o.Program); err != nil {
			return err
		}
	}
	x, err := doctor.Run(ctx, o)
	if err != nil {
		if begun, found, _ := doctor.Find(o.Dir); !found || begun.Finished {
			return err
		}
		return fmt.Errorf("%w ('gimbal doctor --out %s' goes on with it)", err, o.Dir)
	}
	fmt.Fprintf(stdout, "\nWithout the names of you and your machine, to attach to a report: %s\n", doctor.Bundle(o.Dir))
	if x.Wrong() {
		return errUnwell
	}
	return nil
}

// chosenParts are those of names, or all.
func chosenParts(names words) ([]doctor.Part, error) {
	if len(names) == 0 {
		return doctorParts, nil
	}
	var parts []doctor.Part
	var known []string
	for _, p := range doctorParts {
		known = append(known, p.Name)
		if slices.Contains(names, p.Name) {
			parts = append(parts, p)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, usagef("--parts %s: want some of %s", name, strings.Join(known, ", "))
		}
	}
	return parts, nil
}

// examinationHere is the folder of an examination by the same program in the working folder that
// stopped, or else a new one.
func examinationHere(program string) (string, error) {
	folders, err := filepath.Glob(doctorFolder + "*")
	if err != nil {
		return "", err
	}
	for _, dir := range slices.Backward(folders) {
		if x, found, err := doctor.Find(dir); err == nil && found && !x.Finished && x.Program == program {
			return dir, nil
		}
	}
	return video.FreePath(doctorFolder + time.Now().Format("20060102-150405"))
}
