package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// Examination is what is known of one, as its folder keeps it.
type Examination struct {
	Program  string             `json:"program"` // and its version
	Started  time.Time          `json:"started"`
	Running  string             `json:"running,omitempty"` // the part that runs, or ran when all stopped
	Verdicts map[string]Verdict `json:"verdicts"`
	Finished bool               `json:"finished"`
}

// journal is the file of a folder that says how far an examination is.
const journal = "doctor.json"

// Options say how to examine.
type Options struct {
	Dir     string        // for everything that is found
	Program string        // and its version: an examination of another one is not gone on with
	Parts   []Part        // in order
	Limit   time.Duration // of every part, instead of its own; 0 for its own
	Command []string      // starts this program so that it calls RunPart
	Out     io.Writer     // is told in words what goes on
}

// grace is how long a part may go on after its limit, to say itself what took so long.
const grace = 15 * time.Second

// Run examines, or goes on where an examination of the same program stopped. Its error says that
// it could not be gone on with; what is wrong with the program stands in the verdicts.
func Run(ctx context.Context, o Options) (Examination, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return Examination{}, err
	}
	o.Dir = dir
	unlock, err := lock(dir)
	if err != nil {
		return Examination{}, err
	}
	defer unlock()
	x, err := o.begin()
	if err != nil {
		return x, err
	}
	for _, p := range o.Parts {
		if _, done := x.Verdicts[p.Name]; done {
			continue
		}
		fmt.Fprintf(o.Out, "%-12s %s ...\n", p.Name, p.About)
		x.Running = p.Name
		if err := x.save(dir); err != nil {
			return x, err
		}
		v, err := o.run(ctx, p)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil { // the part did not stop it
			x.Running = ""
			return x, errors.Join(err, x.save(dir))
		}
		x.conclude(p.Name, v, o.Out)
	}
	x.Finished = true
	return x, errors.Join(x.save(dir), o.write(x))
}

// begin reads what the folder has of an examination that stopped, and says during what.
func (o Options) begin() (Examination, error) {
	x, found, err := Find(o.Dir)
	if err != nil || !found || x.Program != o.Program || x.Finished {
		if err == nil && found && !x.Finished {
			err = fmt.Errorf("%s holds an examination of %s: give another folder", o.Dir, x.Program)
		} else if err == nil && found {
			err = fmt.Errorf("%s holds a finished examination: give another folder", o.Dir)
		}
		return Examination{Program: o.Program, Started: time.Now().UTC().Truncate(time.Second), Verdicts: map[string]Verdict{}}, err
	}
	if x.Running == "" {
		return x, nil
	}
	text, _ := os.ReadFile(filepath.Join(o.Dir, logFile(x.Running)))
	why := "the program or the machine stopped during this part, the last time"
	if what := lastDoing(string(text), ""); what != "" {
		why += ", at: " + what
	}
	fmt.Fprintf(o.Out, "Going on with the examination of %s, after the part that stopped it.\n", x.Started.Local().Format("2006-01-02 15:04"))
	x.conclude(x.Running, Verdict{Status: Stopped, Text: why}, o.Out)
	return x, nil
}

// Find returns the examination that a folder holds.
func Find(dir string) (x Examination, found bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, journal))
	if errors.Is(err, fs.ErrNotExist) {
		return x, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &x)
	}
	if err != nil {
		return x, false, fmt.Errorf("the examination in %s: %w", dir, err)
	}
	if x.Verdicts == nil {
		x.Verdicts = map[string]Verdict{}
	}
	return x, true, nil
}

// save writes the journal, and has it on the disk.
func (x Examination) save(dir string) error {
	text, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(filepath.Join(dir, journal), append(text, '\n'), 0o644)
}

func (x *Examination) conclude(part string, v Verdict, w io.Writer) {
	x.Verdicts[part], x.Running = v, ""
	fmt.Fprintln(w, v.line(part))
}

// line is a verdict for people.
func (v Verdict) line(part string) string {
	status := string(v.Status)
	if v.Status == Failed || v.Status == Stopped {
		status = strings.ToUpper(status)
	}
	return fmt.Sprintf("%-12s %-8s %s", part, status, v.Text)
}

// Wrong reports whether a part failed or was stopped.
func (x Examination) Wrong() bool {
	for _, v := range x.Verdicts {
		if v.Status == Failed || v.Status == Stopped {
			return true
		}
	}
	return false
}

// run runs a part in a process of its own. Its error says that there could be none.
func (o Options) run(ctx context.Context, p Part) (Verdict, error) {
	limit := p.Limit
	if o.Limit > 0 {
		limit = o.Limit
	}
	file, err := os.Create(filepath.Join(o.Dir, logFile(p.Name)))
	if err != nil {
		return Verdict{}, err
	}
	path := filepath.Join(o.Dir, verdictFile(p.Name))
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Verdict{}, err
	}
	scrubber := NewScrubber()
	log := &writer{s: scrubber, to: file}
	text, err := json.Marshal(task{p.Name, o.Dir, limit})
	if err != nil {
		return Verdict{}, err
	}
	within, cancel := context.WithTimeout(ctx, limit+grace)
	defer cancel()
	cmd := exec.CommandContext(within, o.Command[0], o.Command[1:]...)
	cmd.Env = append(append(os.Environ(), p.Env...), variable+"="+string(text))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.WaitDelay = time.Second  // of what a part has started
	open, err := cmd.StdinPipe() // as long as this process lives, see RunPart
	if err != nil {
		return Verdict{}, err
	}
	defer open.Close()
	began := time.Now()
	failed := cmd.Run()
	if err := log.close(); err != nil {
		return Verdict{}, err
	}
	if ctx.Err() != nil {
		return Verdict{}, ctx.Err()
	}
	if text, err := os.ReadFile(path); err == nil {
		var v Verdict
		if err := errors.Join(json.Unmarshal(text, &v), os.Remove(path)); err != nil {
			return v, err
		}
		v.Text = scrubber.Scrub(v.Text)
		for i, f := range v.Findings {
			v.Findings[i] = scrubber.Scrub(f)
		}
		return v, nil
	}
	v := Verdict{Status: Stopped, Seconds: time.Since(began).Seconds()}
	switch exit := (*exec.ExitError)(nil); {
	case within.Err() != nil:
		v.Text = fmt.Sprintf("no answer within %v: the process was ended", limit)
	case errors.As(failed, &exit):
		v.Text = "the process ended by itself: " + exit.Error()
	case failed != nil:
		return v, fmt.Errorf("the process for %s: %w", p.About, failed)
	default:
		v.Text = "the process ended without a verdict"
	}
	if log.last != "" {
		v.Text += ", at: " + log.last
	}
	v.Findings = tail(filepath.Join(o.Dir, logFile(p.Name)))
	return v, nil
}

// tail returns the last lines of a file.
func tail(path string) []string {
	const most = 8
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return slices.DeleteFunc(lines[max(0, len(lines)-most):], func(line string) bool { return line == "" })
}

// lock has no two examinations share a folder, which it makes.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("an examination is under way in %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}
