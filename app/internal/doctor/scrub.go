package doctor

import (
	"io"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Scrubber takes out of texts what tells who and where the user is.
type Scrubber struct {
	folders [][2]string // a folder and what stands for it, the longer ones first
	words   *regexp.Regexp
}

// homes are the folders of any user.
var homes = regexp.MustCompile(`(^|[^\w.-])(/Users|/home)/[^/\s"':,;)]+`)

// shortest is the length of names of users and machines from which on they are looked for: shorter
// ones are a part of anything.
const shortest = 4

// NewScrubber returns the scrubber for this user and machine.
func NewScrubber() *Scrubber {
	s := &Scrubber{}
	var words []string
	add := func(word string) {
		if len(word) >= shortest && word != "root" && word != "localhost" {
			words = append(words, regexp.QuoteMeta(word))
		}
	}
	folder := func(path, name string) {
		if path = filepath.Clean(path); filepath.IsAbs(path) && path != "/" {
			s.folders = append(s.folders, [2]string{path, name})
			if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
				s.folders = append(s.folders, [2]string{real, name})
			}
		}
	}
	if cwd, err := os.Getwd(); err == nil {
		folder(cwd, ".")
	}
	folder(os.TempDir(), "TMP")
	if home, err := os.UserHomeDir(); err == nil {
		folder(home, "~")
		add(filepath.Base(home))
	}
	if u, err := user.Current(); err == nil {
		folder(u.HomeDir, "~")
		add(u.Username)
		add(u.Name)
	}
	if host, err := os.Hostname(); err == nil {
		short, _, _ := strings.Cut(host, ".")
		add(host)
		add(short)
	}
	slices.SortStableFunc(s.folders, func(a, b [2]string) int { return len(b[0]) - len(a[0]) })
	if len(words) > 0 {
		s.words = regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`)
	}
	return s
}

// Scrub returns text without them.
func (s *Scrubber) Scrub(text string) string {
	for _, f := range s.folders {
		text = replaceFolder(text, f[0], f[1])
	}
	text = homes.ReplaceAllString(text, "${1}~")
	if s.words != nil {
		text = s.words.ReplaceAllString(text, "NAME")
	}
	return text
}

// replaceFolder replaces a path where it ends or goes on with a folder's contents.
func replaceFolder(text, path, name string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, path)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if after == "" || !isNamePart(after[0]) {
			b.WriteString(name)
		} else {
			b.WriteString(path)
		}
		text = after
	}
}

// isNamePart reports whether a file's name goes on with c.
func isNamePart(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-' || c == '.'
}

// writer scrubs whole lines on their way to a file, and has them on the disk at once: the machine
// may be gone the next moment. It keeps the last line of Session.Doing.
type writer struct {
	s    *Scrubber
	to   *os.File
	rest string
	last string
}

var _ io.Writer = (*writer)(nil)

func (w *writer) Write(p []byte) (int, error) {
	w.rest += string(p)
	end := strings.LastIndexByte(w.rest, '\n') + 1
	if end == 0 && len(w.rest) < 1<<16 {
		return len(p), nil
	}
	if end == 0 {
		end = len(w.rest)
	}
	err := w.put(w.rest[:end])
	w.rest = w.rest[end:]
	return len(p), err
}

func (w *writer) put(text string) error {
	text = w.s.Scrub(text)
	w.last = lastDoing(text, w.last)
	if _, err := w.to.WriteString(text); err != nil {
		return err
	}
	return w.to.Sync()
}

// close writes the line that has no end.
func (w *writer) close() error {
	if w.rest != "" {
		if err := w.put(w.rest + "\n"); err != nil {
			return err
		}
	}
	return w.to.Close()
}

// lastDoing is what the last line of Session.Doing in text says, or before.
func lastDoing(text, before string) string {
	for line := range strings.Lines(text) {
		if what, ok := strings.CutPrefix(line, doing); ok {
			before = strings.TrimSpace(what)
		}
	}
	return before
}
