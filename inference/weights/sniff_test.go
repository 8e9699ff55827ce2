package weights

import (
	"strings"
	"testing"
)

func TestSniff(t *testing.T) {
	for head, want := range map[string]string{
		"": "", "\x01\x02\x03": "", "caf\xe9 au lait": "",
		"version https://git-lfs.github.com/spec/v1\n": "a Git LFS pointer",
		"\ufeff \n<HTML lang=en>":                      "a web page",
		"<?xml version='1.0'?><Error>AccessDenied":     "an XML text, \"<?xml version='1.0'?><Error>AccessDenied\"",
		"Entry not found":                              "a text, \"Entry not found\"",
		"../../blobs/0123":                             "the text of a link to ../../blobs/0123",
		"/Volumes/Models/high":                         "the text of a link to /Volumes/Models/high",
		"\x00\x05\x16\x07":                             "what macOS keeps beside a file on other systems' disks",
		strings.Repeat("\x00", 5000):                   "only zeros at its beginning",
		strings.Repeat("\x00", 257) + "ustar\x00":      "a tar archive",
		"\x1f\x8b\x08":                                 "a gzip archive",
		strings.Repeat("é", 5000):                      "a text, \"" + strings.Repeat("é", 40) + "...\"",
	} {
		if what, wanted := sniff([]byte(head)); what != want || (what == "") != (wanted == "") {
			t.Errorf("%.20q is %q, %q, want %q", head, what, wanted, want)
		}
	}
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte("<html>"))
	f.Add([]byte(strings.Repeat("é", sniffed)))
	f.Fuzz(func(t *testing.T, data []byte) {
		what, want := sniff(data)
		if (what == "") != (want == "") || len(what) > 1000 {
			t.Errorf("%q, %q", what, want)
		}
	})
}
