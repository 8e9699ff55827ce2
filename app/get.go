package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/hub"
)

func runGet(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("get", flag.ContinueOnError)
	var dir string
	pathVar(fs, &dir, "dir", "`folder` for the model; if not given, one of its name in this folder")
	revision := fs.String("revision", "", "`commit`, branch or tag of the repository; if not given, the newest")
	accept := fs.Bool("accept_licence", false, "the model's licence is accepted: where it forbids commercial use, nothing is fetched without")
	list := fs.Bool("list", false, "list what there would be to fetch, and fetch nothing")
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: gimbal get [flags] MODEL\n\nFetches a model from Hugging Face's hub: one of these, or of any repository, OWNER/NAME. What was cut off goes on when\n"+
			"the command is given again. HF_ENDPOINT names a mirror, HF_TOKEN an account's token, HTTPS_PROXY a proxy.")
		for _, m := range hub.Models {
			fmt.Fprintf(fs.Output(), "  %-34s %s; %s\n", m.Name, m.Title, or(m.Licence, "its page states the licence"))
		}
		fs.PrintDefaults()
	}
	if err := parse(fs, args, stdout, "MODEL"); err != nil {
		return err
	}
	model, ok := hub.FindModel(fs.Arg(0))
	if !ok {
		return usagef("no model is called %q; want OWNER/NAME of a repository, or one of %s", fs.Arg(0), strings.Join(modelNames(), ", "))
	}
	if model.NonCommercial && !*accept && !*list {
		return usagef("%s has the licence %s, which forbids commercial use: https://creativecommons.org/licenses/by-nc-sa/4.0/; --accept_licence accepts it", model.Title, model.Licence)
	}
	options := hub.FromEnvironment()
	options.Log = slog.Default()
	client, err := hub.New(options)
	if err != nil {
		return usageError{err}
	}
	g := &fetching{ctx: ctx, client: client, model: model, dir: dir, stdout: stdout, stderr: stderr}
	if g.dir == "" {
		g.dir = model.Name
	}
	return g.run(*revision, *list)
}

func modelNames() (names []string) {
	for _, m := range hub.Models {
		names = append(names, m.Name)
	}
	return names
}

// fetching is a model on its way.
type fetching struct {
	ctx            context.Context
	client         *hub.Client
	model          hub.Model
	dir            string
	stdout, stderr io.Writer

	told  time.Time
	meter hub.Meter
}

func (g *fetching) run(revision string, list bool) error {
	offer, err := g.client.Offer(g.ctx, g.model, revision)
	if err == nil && !list {
		offer, err = g.client.Begun(g.ctx, offer, g.dir)
	}
	if err != nil {
		return err
	}
	for _, l := range offer.Listings {
		licence := g.model.Licence
		if licence == "" {
			licence = l.Licence
		}
		fmt.Fprintf(g.stdout, "%s at %.7s: %d files, %s; licence: %s\n", g.client.Page(l.Repo), l.Commit, len(l.Files), inference.Size(l.Bytes()), or(licence, "not stated"))
		if list {
			for _, f := range l.Files {
				fmt.Fprintf(g.stdout, "  %10s %s\n", inference.Size(f.Size), filepath.Join(l.Into, f.Path))
			}
		}
	}
	if list {
		return nil
	}
	if err := os.MkdirAll(g.dir, 0o755); err != nil {
		return err
	}
	if err := g.client.Fetch(g.ctx, offer, g.dir, g.progress); err != nil {
		return err
	}
	fmt.Fprintf(g.stdout, "%s: complete, every file's hash is the hub's; 'gimbal generate --ckpt_dir %[1]s' runs it\n", g.dir)
	return nil
}

// progress tells how much is there, every few seconds.
func (g *fetching) progress(p hub.Progress) {
	now := time.Now()
	if now.Sub(g.told) < 3*time.Second {
		return
	}
	g.told = now
	g.meter.Add(now, p)
	left := ""
	switch rate := g.meter.Rate(); {
	case p.Checking:
		left = " there: looking at it"
	case rate > 0:
		left = fmt.Sprintf(", %s/s, %v left", inference.Size(int64(rate)), g.meter.Left().Round(time.Second))
	}
	fmt.Fprintf(g.stderr, "%s of %s%s\n", inference.Size(p.Done), inference.Size(p.Total), left)
}
