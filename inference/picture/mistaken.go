package picture

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
)

// mistakes are what lies where a picture should, and what to do then.
var mistakes = []struct{ magic, what, advice string }{
	{"version https://git-lfs", "a Git LFS pointer", "fetch the picture that it stands for (git lfs pull)"},
	{"\x00\x05\x16\x07", "what macOS keeps beside a file on other systems' disks", "take the file that lacks the ._ before its name"},
	{"book\x00\x00\x00\x00mark", "a Finder alias", "take the file itself"},
	{"L\x00\x00\x00\x01\x14\x02", "a Windows shortcut", "take the file itself"},
	{"????ftyp", "a video", fromVideo},
	{"????moov", "a video", fromVideo},
	{"????mdat", "a video", fromVideo},
	{"\x00\x00\x01\xba", "a video", fromVideo},
	{"FLV\x01", "a video", fromVideo},
}

const fromVideo = "export one frame of it as PNG"

// types are the same by what net/http tells of a file.
var types = []struct{ mime, what, advice string }{
	{"video/", "a video", fromVideo},
	{"application/ogg", "a video or sound", fromVideo},
	{"audio/", "sound", "choose a picture"},
	{"text/html", "a web page", "save the picture itself"},
	{"text/", "a text", "choose a picture"},
	{"application/zip", "an archive", "unpack it and choose a picture in it"},
	{"application/x-gzip", "an archive", "unpack it and choose a picture in it"},
	{"application/x-rar", "an archive", "unpack it and choose a picture in it"},
}

// MistakenError says what a file is that is no picture.
type MistakenError struct {
	What   string // with its article
	Advice string // what to do, in words
}

func (e MistakenError) Error() string {
	return "found " + e.What + ", which is no picture: " + e.Advice
}

// mistaken says what data are that are no picture.
func mistaken(data []byte) error {
	for _, m := range mistakes {
		if matches(data, m.magic) {
			return MistakenError{m.what, m.advice}
		}
	}
	if head := data[:min(len(data), 1<<10)]; len(bytes.Trim(head, "\x00")) == 0 {
		return MistakenError{"only zeros", "copy or download it again"}
	}
	mime := http.DetectContentType(data)
	for _, t := range types {
		if strings.HasPrefix(mime, t.mime) {
			if t.mime == "text/" {
				t.what = fmt.Sprintf("a text, %.16q", data)
			}
			return MistakenError{t.what, t.advice}
		}
	}
	return fmt.Errorf("found a file that starts with %.16q, expected a picture: %s", data, Names())
}
