package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
)

// Status is how a part came out.
type Status string

// The statuses. A part is Stopped that gave no verdict: its process crashed or was ended, or all of
// the examination was.
const (
	OK      Status = "ok"
	Failed  Status = "failed"
	Skipped Status = "skipped"
	Stopped Status = "stopped"
)

// Verdict is what a part found.
type Verdict struct {
	Status   Status   `json:"status"`
	Text     string   `json:"text"` // in a line
	Findings []string `json:"findings,omitempty"`
	Seconds  float64  `json:"seconds"`
}

// Part is one part of an examination.
type Part struct {
	Name  string        // of one word, and of its files
	About string        // what is looked at, for people
	Env   []string      // of its process, beside the program's own
	Limit time.Duration // of its process
	Run   func(ctx context.Context, s *Session) Verdict
}

// Session is what a part has of its examination.
type Session struct {
	Dir string // for its files, which must hold nothing private
	out io.Writer
}

// Doing says what the part is about to do, by which a crash is told.
func (s *Session) Doing(format string, args ...any) { fmt.Fprintf(s.out, doing+format+"\n", args...) }

// Printf adds to what the part prints.
func (s *Session) Printf(format string, args ...any) { fmt.Fprintf(s.out, format, args...) }

// doing begins the lines of Session.Doing.
const doing = "> "

// variable tells a process which part of which examination it is.
const variable = "GIMBAL_DOCTOR_PART"

// RunPart runs a part, if this process was started for one, and reports whether it was.
func RunPart(ctx context.Context, parts []Part, stdout io.Writer) (ran bool, err error) {
	var task task
	text := os.Getenv(variable)
	if text == "" {
		return false, nil
	}
	if err := json.Unmarshal([]byte(text), &task); err != nil {
		return true, fmt.Errorf("environment variable %s: %w", variable, err)
	}
	go func() { // whoever started this process has gone when there is no more to read
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	for _, p := range parts {
		if p.Name == task.Part {
			ctx, cancel := context.WithTimeout(ctx, task.Limit)
			defer cancel()
			began := time.Now()
			v := p.Run(ctx, &Session{Dir: task.Dir, out: stdout})
			v.Seconds = time.Since(began).Seconds()
			text, err := json.Marshal(v)
			if err != nil {
				return true, err
			}
			return true, renameio.WriteFile(filepath.Join(task.Dir, verdictFile(p.Name)), text, 0o644)
		}
	}
	return true, fmt.Errorf("environment variable %s: no part %q", variable, task.Part)
}

// task is what variable says.
type task struct {
	Part  string        `json:"part"`
	Dir   string        `json:"dir"`
	Limit time.Duration `json:"limit"`
}

func verdictFile(part string) string { return part + ".verdict" }

func logFile(part string) string { return part + ".txt" }
