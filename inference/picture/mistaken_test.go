package picture

import (
	"errors"
	"strings"
	"testing"
)

// TestMistaken decodes what is no picture, or none that is read: it is named for what it is.
func TestMistaken(t *testing.T) {
	for _, c := range []struct{ data, want string }{
		{"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12\n", "found a Git LFS pointer, which is no picture: fetch"},
		{"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", "found a video, which is no picture: export one frame"},
		{"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", "found a video"},
		{"\x1aE\xdf\xa3" + strings.Repeat("\x00", 30), "found a video"},
		{"<!DOCTYPE html><html></html>", "found a web page"},
		{"hello", "found a text"},
		{"PK\x03\x04" + strings.Repeat("\x00", 100), "found an archive"},
		{strings.Repeat("\x00", 1000), "found only zeros, which is no picture: copy or download"},
		{"\x00\x05\x16\x07\x00\x02\x00\x00", "lacks the ._"},
		{"icns\x00\x00\x00\x10", "found a picture in Apple's icons: valid, but"},
		{"%!PS-Adobe-3.0 EPSF-3.0", "found a picture in PostScript: valid, but"},
		{"\xff\xd8\xff\xf7\x00\x0b\x08\x00\x02\x00\x02\x01\x01\x11\x00", "found a JPEG of the kind JPEG-LS: valid, but"},
		{"\x01\x02\x03\x04\x05", "found a file that starts with"},
	} {
		_, err := Decode([]byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: %v, want %q", c.data, err, c.want)
		}
		if strings.Contains(c.want, "no picture") && !errors.As(err, new(MistakenError)) {
			t.Errorf("%.20q: %T", c.data, err)
		}
	}
}
