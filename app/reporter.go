package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"gimbal/inference"
)

// reporter shows a pipeline's events: as JSON lines on stdout, or for people on
// stderr, with a progress bar where that is a terminal. The files that were
// written are named on stdout.
type reporter struct {
	json           *json.Encoder
	stdout, stderr io.Writer
	terminal       bool
	bar            *progressbar.ProgressBar
	barKind        string // of the events that the bar shows
}

func newReporter(asJSON bool, stdout, stderr io.Writer) *reporter {
	r := &reporter{stdout: stdout, stderr: stderr}
	if asJSON {
		r.json = json.NewEncoder(stdout)
	}
	if f, ok := stderr.(*os.File); ok {
		r.terminal = term.IsTerminal(int(f.Fd()))
	}
	return r
}

// failure is the event with which JSON lines end where a command fails.
type failure struct {
	Error    string   `json:"error"` // what standard error says, too
	ExitCode int      `json:"exit_code"`
	Settings []string `json:"settings,omitempty"` // that are wrong
	RunDir   string   `json:"run_dir,omitempty"`  // where the run is kept, for --resume
}

// writeError ends JSON lines with what went wrong.
func writeError(w io.Writer, err error, text string, code int) {
	f := failure{Error: text, ExitCode: code}
	for _, e := range inference.SettingErrors(err) {
		f.Settings = append(f.Settings, e.Setting)
	}
	if paused := (*inference.PausedError)(nil); errors.As(err, &paused) {
		f.RunDir = paused.Dir
	}
	writeEvent(json.NewEncoder(w), "error", f)
}

// writeEvent writes a line of JSON.
func writeEvent(to *json.Encoder, kind string, data any) {
	to.Encode(map[string]any{"event": kind, "time": time.Now().Format(time.RFC3339Nano), "data": data})
}

func (r *reporter) event(e inference.Event) {
	if r.json != nil {
		writeEvent(r.json, e.Kind(), e)
		return
	}
	switch e := e.(type) {
	case inference.Loading:
		r.line("opened %s (%s of %s)", e.Part, inference.Size(e.Done), inference.Size(e.Total))
	case inference.Quantizing:
		r.quantizing(e)
	case inference.Quantized:
		r.line("%s: %s weights in %s (%s)", e.Part, e.Quant, e.File, inference.Size(e.Bytes))
	case inference.Notice:
		text := e.Text
		if e.About == inference.NoticeReloads {
			text += "; --auto chooses settings that avoid it"
		}
		r.line("note: %s", text)
	case inference.Planned:
		for _, text := range planLines(e) {
			r.line("%s", text)
		}
	case inference.Prepared:
		steps := fmt.Sprintf("steps %d to %d", e.FirstStep, e.Steps)
		if e.FirstStep > e.Steps {
			steps = fmt.Sprintf("all %d steps are done", e.Steps)
		}
		r.line("%d frames of %dx%d, latent %v, %s; run folder %s", e.Frames, e.Width, e.Height, e.LatentShape, steps, e.RunDir)
	case inference.Waiting:
		r.line("the server has it; %d videos are made before it", e.Before)
	case inference.Connection:
		if e.Away {
			r.line("the server %s is away, the video goes on there (%s); trying again", e.Server, e.Why)
		} else {
			r.line("the server %s is back", e.Server)
		}
	case inference.Preparing:
		r.preparing(e)
	case inference.TextEncoded:
		if e.Seconds == 0 { // not known, of a server's
			return
		}
		r.line("encoded the prompts: %d and %d tokens, %.1f s", e.Tokens, e.NegativeTokens, e.Seconds)
	case inference.PictureEncoded:
		if e.Seconds == 0 {
			return
		}
		r.line("encoded the picture: %.1f s", e.Seconds)
	case inference.Step:
		r.step(e)
	case inference.Decoding:
		r.decoding(e)
	case inference.Saved:
		r.close()
		r.line("done in %.1f s", e.Seconds)
		fmt.Fprintf(r.stdout, "video: %s\ncontact sheet: %s\nsettings: %s\n", e.Video, e.ContactSheet, e.Sidecar)
	}
}

func (r *reporter) step(e inference.Step) {
	text := fmt.Sprintf("step %d/%d %s t=%.0f %.2f s, %s left",
		e.Index, e.Total, e.Expert, e.Timestep, e.Seconds, e.Remaining.Round(time.Second))
	if !r.terminal {
		r.line("%s", text)
		return
	}
	r.progress(e.Kind(), text, e.Index, e.Total)
}

// preparing shows everything on a terminal, the end elsewhere.
func (r *reporter) preparing(e inference.Preparing) {
	text := fmt.Sprintf("preparing the GPU, %d of %d, %.0f s", e.Done, e.Total, e.Seconds)
	switch {
	case r.terminal:
		r.progress(e.Kind(), text, e.Done, e.Total)
	case e.Done == e.Total:
		r.line("%s", text)
	}
}

func (r *reporter) decoding(e inference.Decoding) {
	text := fmt.Sprintf("decoded %d/%d frames", e.Frames, e.Total)
	if !r.terminal {
		r.line("%s", text)
		return
	}
	r.progress(e.Kind(), text, e.Frames, e.Total)
}

// quantizing shows every percent on a terminal, every tenth one elsewhere.
func (r *reporter) quantizing(e inference.Quantizing) {
	percent := int(100 * e.Done / max(1, e.Total))
	text := fmt.Sprintf("quantising %s to %s: %s of %s", e.Part, e.Quant, inference.Size(e.Done), inference.Size(e.Total))
	switch {
	case r.terminal:
		r.progress(e.Kind()+e.Part, text, percent, 100)
	case percent%10 == 0:
		r.line("%s", text)
	}
}

// progress moves the bar; events of another kind start a new one. With the longest
// text it fits 80 columns.
func (r *reporter) progress(kind, text string, done, total int) {
	if r.bar == nil || r.barKind != kind {
		r.close()
		r.barKind = kind
		r.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(r.stderr),
			progressbar.OptionSetWidth(10), progressbar.OptionSetPredictTime(false))
	}
	r.bar.Describe(text)
	r.bar.Set(done)
}

func (r *reporter) line(format string, args ...any) {
	r.close()
	fmt.Fprintf(r.stderr, format+"\n", args...)
}

// close leaves the bar where it is and ends its line.
func (r *reporter) close() {
	if r.bar != nil {
		fmt.Fprintln(r.stderr)
		r.bar = nil
	}
}
