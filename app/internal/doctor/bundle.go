package doctor

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
)

// report is the file of a folder for people.
const report = "report.txt"

// Bundle is the zip file of an examination's folder.
func Bundle(dir string) string { return filepath.Clean(dir) + ".zip" }

// write writes the report and the bundle.
func (o Options) write(x Examination) error {
	if err := renameio.WriteFile(filepath.Join(o.Dir, report), []byte(o.text(x)), 0o644); err != nil {
		return err
	}
	pending, err := renameio.NewPendingFile(Bundle(o.Dir), renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer pending.Cleanup()
	if err := zipFolder(pending, o.Dir); err != nil {
		return fmt.Errorf("%s: %w", Bundle(o.Dir), err)
	}
	return pending.CloseAtomicallyReplace()
}

// text is the report.
func (o Options) text(x Examination) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, examined on %s UTC\n\n", x.Program, x.Started.Format("2006-01-02 15:04"))
	for _, p := range o.Parts {
		fmt.Fprintln(&b, x.Verdicts[p.Name].line(p.Name))
	}
	for _, p := range o.Parts {
		v := x.Verdicts[p.Name]
		if len(v.Findings) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s: %s, %.1f s (what it printed is in %s)\n", p.Name, p.About, v.Seconds, logFile(p.Name))
		for _, f := range v.Findings {
			fmt.Fprintln(&b, "  "+strings.ReplaceAll(f, "\n", "\n  "))
		}
	}
	return b.String()
}

func zipFolder(to io.Writer, dir string) error {
	z := zip.NewWriter(to)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		w, err := z.Create(filepath.Base(dir) + "/" + e.Name())
		if err != nil {
			return err
		}
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return z.Close()
}
