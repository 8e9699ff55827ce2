package ui

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gimbal/inference/library"
	"gimbal/ui/studio"
	"gimbal/ui/translation"
)

// tr returns the words of a key.
func tr(key string, args ...any) string { return translation.T(key, args...) }

// translated returns the words of a key that may be missing, and then english.
func translated(key, english string, args map[string]any) string {
	if text, ok := translation.Lookup(key, args); ok {
		return text
	}
	return english
}

// problemText says what a problem is about.
func problemText(p studio.Problem) string {
	return translated("problem."+string(p.Code), p.Text, p.Args)
}

// noticeText says what a notice is about.
func noticeText(n studio.Notice) string {
	return translated("notice."+string(n.Code), n.Text, n.Args)
}

// failureText says why a run failed; of runs of before causes were kept, in their own words.
func failureText(e library.Entry) string {
	return translated("run."+string(e.Cause), e.Error, map[string]any{"Text": e.Error})
}

// duration says a time as people do: to the second where it is short.
func duration(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return tr("time.seconds", map[string]any{"S": s})
	case s >= 600 && s < 3600:
		return tr("time.long_minutes", map[string]any{"M": (s + 30) / 60})
	case s < 600:
		return tr("time.minutes", map[string]any{"M": s / 60, "S": fmt.Sprintf("%02d", s%60)})
	}
	return tr("time.hours", map[string]any{"H": s / 3600, "M": fmt.Sprintf("%02d", s/60%60)})
}

// bytesText says a size in the unit that suits it.
func bytesText(n int64) string {
	const unit = 1000
	size, i := float64(n), 0
	for size >= unit && i < 4 {
		size /= unit
		i++
	}
	digits := 1
	if i == 0 || size >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(size, 'f', digits, 64) + " " + []string{"B", "kB", "MB", "GB", "TB"}[i]
}

// estimateText says what a run will take, "" if that is not known.
func estimateText(e studio.Estimate) string {
	if !e.Known {
		return ""
	}
	args := map[string]any{"Memory": bytesText(e.Memory), "Time": duration(e.Time.Likely), "Low": duration(e.Time.Low), "High": duration(e.Time.High)}
	switch {
	case e.Time.Known() && e.Time.High > 2*e.Time.Low && e.Time.Low > 0:
		return tr("estimate.range", args)
	case e.Time.Known():
		return tr("estimate.time", args)
	}
	return tr("estimate.memory", args)
}

// allText says how long the videos take that a form asks for, "" for one.
func allText(f studio.Form) string {
	n := f.Runs()
	if n < 2 || !f.Estimate.Known || !f.Estimate.Time.Known() {
		return ""
	}
	return tr("estimate.all", map[string]any{"N": n, "Time": duration(f.Estimate.Time.Likely * time.Duration(n))})
}

// shortPath is a path's last part, for people who know where they are.
func shortPath(path string) string {
	if path == "" {
		return ""
	}
	return filepath.Base(path)
}

// parts of a line that are apart.
const dot = "  ·  "

// join puts the parts that are not empty on one line.
func join(parts ...string) string {
	line := ""
	for _, p := range parts {
		if p == "" {
			continue
		}
		if line != "" {
			line += dot
		}
		line += p
	}
	return line
}

// maxDetails is how many letters of an error are shown; all of them can be copied.
const maxDetails = 400

// withDetails is a message with what lies behind it: the cause, and what to do.
func withDetails(text, details string) string {
	details = strings.TrimSpace(details)
	if details == "" || strings.Contains(text, details) {
		return text
	}
	if runes := []rune(details); len(runes) > maxDetails {
		details = strings.TrimSpace(string(runes[:maxDetails-1])) + "…"
	}
	return text + "\n" + details
}
