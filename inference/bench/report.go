package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/renameio/v2"

	"gimbal/inference/device"
	"gimbal/inference/output"
)

// Report is a finished benchmark.
type Report struct {
	Benchmark string    `json:"benchmark"`
	Started   time.Time `json:"started"`
	Seconds   float64   `json:"seconds"`
	Machine   Machine   `json:"machine"`
	Device    string    `json:"device"`
	Model     Model     `json:"model"`
	Settings  any       `json:"settings"`
	Rows      any       `json:"rows"`
	Totals    []Total   `json:"totals,omitempty"`
	Notes     []string  `json:"notes,omitempty"`

	Tables []Table `json:"-"` // the rows, for people
	panels []panel
}

// Model is what a benchmark ran on: a checkpoint, or Dims with random weights.
type Model struct {
	Checkpoint string `json:"checkpoint,omitempty"` // its folder's name
	Synthetic  *Dims  `json:"synthetic,omitempty"`
}

// String names m.
func (m Model) String() string {
	if m.Synthetic != nil {
		return "random weights, " + m.Synthetic.String()
	}
	return m.Checkpoint
}

// Total is a figure that follows from the rows.
type Total struct {
	Name         string  `json:"name"`
	Value        float64 `json:"value"`
	Unit         string  `json:"unit"`
	Extrapolated bool    `json:"extrapolated"`
	How          string  `json:"how,omitempty"` // worked out from what
}

// String writes t as a sentence.
func (t Total) String() string {
	text := fmt.Sprintf("%s: %s %s", t.Name, number(t.Value), t.Unit)
	if t.Extrapolated {
		text += " (extrapolated: " + t.How + ")"
	}
	return text
}

// Table is text in rows and columns.
type Table struct {
	Title  string
	Header []string
	Rows   [][]string
}

// begin returns a report of a benchmark on dev that starts now.
func (o Options) begin(name string, dev device.Info) *Report {
	r := &Report{Benchmark: name, Started: time.Now(), Machine: ThisMachine(), Device: dev.Name}
	if r.Model.Synthetic = o.Dims; o.Dims == nil {
		r.Model.Checkpoint = filepath.Base(o.Checkpoint)
	}
	return r
}

func (r *Report) end() *Report {
	r.Seconds = time.Since(r.Started).Seconds()
	return r
}

// Files are what WriteFiles writes of a benchmark to the folder dir.
func Files(dir, benchmark string) []output.File {
	return []output.File{
		{Setting: "out", Path: filepath.Join(dir, benchmark+".json"), Ours: madeReport},
		{Setting: "out", Path: filepath.Join(dir, benchmark+".png"), Ours: output.MadePNG},
	}
}

// madeReport reports whether the file at path is a report of WriteFiles's.
func madeReport(path string) bool {
	text, err := os.ReadFile(path)
	var r Report
	return err == nil && json.Unmarshal(text, &r) == nil && r.Benchmark+".json" == filepath.Base(path) && r.Device != ""
}

// WriteFiles writes BENCHMARK.json and BENCHMARK.png to the folder dir, which it
// makes, and returns their paths.
func (r *Report) WriteFiles(dir string) (files []string, err error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, err
	}
	plot, err := r.plot()
	if err != nil {
		return nil, fmt.Errorf("plot of %s: %w", r.Benchmark, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for ending, data := range map[string][]byte{".json": append(text, '\n'), ".png": output.MarkPNG(plot)} {
		path := filepath.Join(dir, r.Benchmark+ending)
		files = append(files, path)
		err = errors.Join(err, renameio.WriteFile(path, data, 0o644))
	}
	return files, err
}

// where says in a line what was measured where.
func (r *Report) where() string {
	return fmt.Sprintf("%s · %s, %d cores, %s · load %.1f", r.Device, r.Machine.CPU, r.Machine.Cores, runtime.GOOS, r.Machine.Load[0])
}

// number writes v with three digits or all of its whole ones.
func number(v float64) string {
	switch {
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.0f", v)
	case v == 0 || v >= 0.001 || v <= -0.001:
		return fmt.Sprintf("%.3g", v)
	}
	return fmt.Sprintf("%.1e", v)
}

// size writes a number of bytes.
func size(n int64) string {
	v, unit := float64(n), ""
	for _, unit = range []string{"B", "kB", "MB", "GB"} {
		if v < 1000 {
			break
		}
		if unit != "GB" {
			v /= 1000
		}
	}
	return number(v) + " " + unit
}

// duration writes seconds.
func duration(seconds float64) string {
	if seconds < 0.1 {
		return number(seconds*1000) + " ms"
	}
	return number(seconds) + " s"
}
