package weights

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// begins are what files begin with that lie where weights should, by mistake.
var begins = []struct{ magic, what, want string }{
	{"version https://git-lfs", "a Git LFS pointer", "the file that it stands for (git lfs pull)"},
	{"\x1f\x8b", "a gzip archive", "the file in it"},
	{"7z\xbc\xaf", "a 7z archive", "the file in it"},
	{"Rar!", "a RAR archive", "the file in it"},
	{"\x00\x05\x16\x07", "what macOS keeps beside a file on other systems' disks", "the file itself, which lacks the ._ before its name"},
	{"book\x00\x00\x00\x00mark", "a Finder alias", "the file itself, or a symbolic link to it"},
	{"L\x00\x00\x00\x01\x14\x02", "a Windows shortcut", "the file itself"},
	{"\x89PNG", "a picture", ""},
	{"\xff\xd8\xff", "a picture", ""},
	{"%PDF", "a PDF document", ""},
	{"\x80\x02", "a pickle", "a file that torch 1.6 or later saved, or safetensors"},
	{"\x80\x04", "a pickle", "a file that torch 1.6 or later saved, or safetensors"},
}

// pages are what the text of a page of the web begins with, in lower case.
var pages = []string{"<!doctype html", "<html", "<head", "<body", "<!--"}

// sniffed is how much of a file tells what it is.
const sniffed = 4 << 10

// Sniff says what a file is by how it begins that holds something else than it should, and what
// was wanted; "" if nothing is known of it.
func Sniff(data []byte) (what, want string) { return sniff(data) }

const wantAgain = "the file itself: download it again"

// sniff says what a file is that does not hold what it should, by how it begins, and what was
// wanted; "" if nothing is known of it.
func sniff(data []byte) (what, want string) {
	head := data[:min(sniffed, len(data))]
	for _, b := range begins {
		if bytes.HasPrefix(head, []byte(b.magic)) {
			if b.want == "" {
				return b.what, wantAgain
			}
			return b.what, b.want
		}
	}
	if len(head) > 262 && string(head[257:262]) == "ustar" {
		return "a tar archive", "the file in it"
	}
	if len(head) > 0 && len(bytes.Trim(head, "\x00")) == 0 {
		return "only zeros at its beginning", "a file that is filled (is the download complete?)"
	}
	text := strings.TrimSpace(strings.TrimPrefix(string(head), "\ufeff"))
	lower := strings.ToLower(text)
	for _, page := range pages {
		if strings.HasPrefix(lower, page) {
			return "a web page", "the file itself: download it again (does it take a log-in?)"
		}
	}
	switch first := firstLine(text); {
	case text == "" || !isText(head):
		return "", ""
	case len(data) < sniffed && strings.Contains(text, "/") && first == text && !strings.ContainsAny(text, " {<"):
		return "the text of a link to " + text, "the file itself: the link was copied without what it leads to"
	case strings.HasPrefix(lower, "<?xml"), strings.HasPrefix(lower, "<error"):
		return fmt.Sprintf("an XML text, %q", clip(text)), wantAgain
	default:
		return fmt.Sprintf("a text, %q", clip(text)), wantAgain
	}
}

// instead returns err, or what the file at path is instead of what was expected, if its
// beginning tells.
func instead(err error, path string, data []byte) error {
	if err == nil {
		return nil
	}
	if what, want := sniff(data); what != "" {
		return &Error{path, "contents", what, want}
	}
	return err
}

// isText reports whether a file that begins so is text: a rune may be cut at the end.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 && len(head) >= utf8.UTFMax || r < ' ' && !strings.ContainsRune("\t\n\r\f", r) {
			return false
		}
		head = head[n:]
	}
	return true
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// clip shortens a text to what an error has room for.
func clip(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}
