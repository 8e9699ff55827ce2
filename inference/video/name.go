package video

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"gimbal/inference/output"
)

// promptRunes is how much of a prompt a file name holds, and maxName the bytes of the name
// without its extension: with that and a number of FreePath's it has 200, as the setting
// allows.
const promptRunes, maxName = 50, 200 - len(".mp4") - len("_99")

// DefaultName returns the reference's file name for a run,
// TASK_SIZE_ULYSSES_PROMPT_TIME.mp4, with x for the size's asterisk and an
// underscore for every character that some file system refuses. A prompt of many bytes
// is cut, between two characters.
func DefaultName(task, size, ulysses, prompt string, t time.Time) string {
	runes := []rune(prompt)
	prompt = strings.Map(safeRune, string(runes[:min(len(runes), promptRunes)]))
	front := strings.Map(safeRune, strings.Join([]string{task, strings.ReplaceAll(size, "*", "x"), ulysses, ""}, "_"))
	back := t.Format("_20060102_150405")
	name := front + cut(prompt, maxName-len(front)-len(back)) + back
	if name[0] == '.' { // would be hidden
		name = "_" + name[1:]
	}
	return name + ".mp4"
}

// cut returns as many whole characters of text as limit bytes hold, without the marks of
// one that is left out.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := 0
	for i, r := range text {
		if i > limit {
			break
		}
		if !unicode.IsMark(r) {
			end = i
		}
	}
	return text[:end]
}

func safeRune(r rune) rune {
	if r == ' ' || r == unicode.ReplacementChar || !unicode.IsPrint(r) || strings.ContainsRune(`/\:*?"<>|`, r) {
		return '_'
	}
	return r
}

// FreePath returns path, or if that exists path with the lowest number from 2
// before its extension that makes a new file: clip.mp4, clip_2.mp4. A name is
// free if its beside variants, the same with another extension such as ".json",
// do not exist either.
func FreePath(path string, beside ...string) (string, error) {
	ext := filepath.Ext(path)
	stem := strings.TrimSuffix(path, ext)
	for n, candidate := 2, stem; ; n++ {
		free, err := allFree(candidate, append([]string{ext}, beside...))
		if err != nil {
			return "", output.Explain(path, err)
		}
		if free {
			return candidate + ext, nil
		}
		candidate = fmt.Sprintf("%s_%d", stem, n)
	}
}

func allFree(stem string, exts []string) (bool, error) {
	for _, ext := range exts {
		switch _, err := os.Lstat(stem + ext); {
		case err == nil:
			return false, nil
		case !errors.Is(err, fs.ErrNotExist):
			return false, err
		}
	}
	return true, nil
}
