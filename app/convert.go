package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/inference/weights"
)

func runConvert(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("convert", flag.ContinueOnError)
	var words []string
	for _, t := range weights.Targets {
		words = append(words, string(t))
	}
	to := fs.String("to", "", "`form` to write: "+strings.Join(words, ", ")+"; q8_0 and q4_k are GGUF, the others safetensors")
	part := fs.String("part", "", "the `part` of a file of several that is meant: expert, text-encoder or vae")
	asJSON := fs.Bool("json", false, "print what was written as JSON lines")
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: gimbal convert --to FORM MODEL OUT\n\nWrites a model, of any of the formats that Gimbal reads, in another one. MODEL is a checkpoint, and OUT a new folder for one that\n"+
			"is complete, in which text encoder, VAE and tokenizer stay as they are; or MODEL is a file or folder of one part, and OUT a new\nfile. Every file is read back before it is there. What was cut off goes on when the command is given again.")
		fs.PrintDefaults()
	}
	if err := parse(fs, args, stdout, "MODEL", "OUT"); err != nil {
		return err
	}
	c := converting{ctx: ctx, to: weights.Target(*to), from: inference.Path(fs.Arg(0)), out: filepath.Clean(inference.Path(fs.Arg(1))), stderr: stderr}
	if !slices.Contains(weights.Targets, c.to) {
		return usagef("--to: found %q, want %s", *to, strings.Join(words, ", "))
	}
	made, err := c.run(*part)
	for _, m := range made {
		if *asJSON {
			err = errors.Join(err, json.NewEncoder(stdout).Encode(m))
			continue
		}
		fmt.Fprintf(stdout, "%s: %s, read back; %s\n", m.Path, inference.Size(m.Bytes), errorOf(m))
		if len(m.Unused) > 0 {
			fmt.Fprintf(stdout, "  left out, as the model does not use them: %d tensors, such as %s\n", len(m.Unused), m.Unused[0])
		}
	}
	return err
}

func errorOf(m weights.Converted) string {
	if m.Error == 0 {
		return "the same values as before"
	}
	return fmt.Sprintf("values at most %.2g %% off, in %s", 100*m.Error, m.Worst)
}

// converting is what is converted to what.
type converting struct {
	ctx       context.Context
	to        weights.Target
	from, out string
	stderr    io.Writer

	part   string // whose progress was told last
	tenths int64
}

// partKinds are the parts by what the flag calls them.
var partKinds = map[string]weights.Kind{"expert": weights.KindExpert, "text-encoder": weights.KindText, "vae": weights.KindVAE}

func (c *converting) run(part string) ([]weights.Converted, error) {
	kind, ok := partKinds[part]
	if part != "" && !ok {
		return nil, usagef("--part: found %q, want expert, text-encoder or vae", part)
	}
	if dir, err := weights.Find(c.from); err == nil && part == "" && weights.IsCheckpoint(dir) {
		return weights.ConvertModel(c.ctx, weights.Checkpoint{Dir: dir}, c.to, c.out, c.progress)
	}
	if kind == "" {
		kinds, err := weights.KindsIn(c.from)
		switch {
		case err != nil:
			return nil, err
		case len(kinds) > 1:
			return nil, usagef("%s holds several parts, %v: say with --part which one is meant", c.from, kinds)
		}
		kind = kinds[0]
	}
	if info, err := os.Stat(c.out); err == nil && info.IsDir() {
		return nil, usagef("%s is a folder: name the file to write, such as %s", c.out, filepath.Join(c.out, "model"+c.to.Extension()))
	}
	if !strings.EqualFold(filepath.Ext(c.out), c.to.Extension()) {
		return nil, usagef("%s: want a name that ends in %s, as %s is written in such files", c.out, c.to.Extension(), c.to)
	}
	made, err := c.file(kind)
	if err != nil {
		return nil, err
	}
	return []weights.Converted{made}, nil
}

// file converts one part to a file, and states beside it what its tensors do not tell.
func (c *converting) file(kind weights.Kind) (weights.Converted, error) {
	progress := func(done, total int64) { c.progress(string(kind), done, total) }
	if kind != weights.KindExpert {
		store, err := weights.OpenKind(c.from, kind)
		if err != nil {
			return weights.Converted{}, err
		}
		defer store.Close()
		return weights.Convert(c.ctx, store, kind, c.to, c.out, progress)
	}
	expert, err := weights.OpenExpert(c.from)
	if err != nil {
		return weights.Converted{}, err
	}
	defer expert.Store.Close()
	if err := weights.CheckConfig(filepath.Dir(c.out), expert); err != nil {
		return weights.Converted{}, err
	}
	made, err := weights.Convert(c.ctx, expert.Store, kind, c.to, c.out, progress)
	if err != nil {
		return made, err
	}
	return made, weights.StateConfig(filepath.Dir(c.out), expert)
}

// progress tells how far a part is, in tenths.
func (c *converting) progress(part string, done, total int64) {
	if part != c.part {
		c.part, c.tenths = part, 0
	}
	if tenths := 10 * done / max(1, total); tenths > c.tenths {
		c.tenths = tenths
		fmt.Fprintf(c.stderr, "%s: %d %%\n", part, 10*tenths)
	}
}
