package clip

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"

	"gimbal/inference"
)

// WASD are the keys that move a camera, in a model's order: how far each is pressed, 0 to 1.
type WASD [4]float64

// IJKL are the keys that turn a camera: up, left, down, right.
type IJKL [4]float64

// Keys are what is pressed in one frame.
type Keys struct {
	Move WASD
	Turn IJKL
}

// maxKey bounds what a file may say of a key.
const maxKey = 1e3

// pressed is from where on a key of a file counts as pressed.
const pressed = 0.5

// ParseActions reads an action string, such as "w-20,none-5,wd-10": keys and for how many
// frames they are held, one part after the other. It returns the keys of every frame, with
// frames without keys at the end that make their number 4n+1. The grammar is the
// reference's (action_string_to_wasd_ijkl): spaces are left out, keys are any of w, a, s,
// d, i, j, k and l or "none", and the last hyphen parts them from the number.
func ParseActions(text string) ([]Keys, error) {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f: // what Python calls a space
			return -1
		case r == '，':
			return ','
		}
		return r
	}, text)
	if text == "" {
		return nil, errors.New("found no keys, expected some such as w-20,none-5,wd-10")
	}
	var all []Keys
	for part := range strings.SplitSeq(text, ",") {
		keys, frames, err := parseHold(part)
		if err != nil {
			return nil, err
		}
		if frames > inference.Wan.MaxFrames()-len(all) {
			return nil, fmt.Errorf("found %q, which makes more than %d frames in all, expected at most so many", part, inference.Wan.MaxFrames())
		}
		for range frames {
			all = append(all, keys)
		}
	}
	for len(all)%inference.Wan.FrameStride != 1 {
		all = append(all, Keys{})
	}
	return all, nil
}

// parseHold reads one part of an action string.
func parseHold(part string) (keys Keys, frames int, err error) {
	if part == "" {
		return keys, 0, errors.New("found nothing between two commas or after the last one, expected keys such as w-20")
	}
	at := strings.LastIndex(part, "-")
	if at < 0 {
		return keys, 0, fmt.Errorf("found %q, expected keys, a hyphen and a number of frames, such as w-3 or none-5", part)
	}
	if frames, err = parseCount(part[at+1:]); err != nil {
		return keys, 0, fmt.Errorf("found %q in %q, %w", part[at+1:], part, err)
	}
	names := strings.ToLower(part[:at])
	if names == "none" {
		names = ""
	}
	for _, r := range names {
		if i := strings.IndexRune("wasd", r); i >= 0 {
			keys.Move[i] = 1
		} else if i := strings.IndexRune("ijkl", r); i >= 0 {
			keys.Turn[i] = 1
		} else {
			return keys, 0, fmt.Errorf("found the key %q in %q, expected w, a, s, d, i, j, k, l or none", r, part)
		}
	}
	return keys, frames, nil
}

// parseCount reads a whole number above zero in the digits of any script.
func parseCount(text string) (int, error) {
	want := fmt.Errorf("expected a number of frames, 1 to %d", inference.Wan.MaxFrames())
	n := 0
	for _, r := range text {
		if !unicode.IsDigit(r) {
			return 0, want
		}
		n = min(10*n+digit(r), 1<<30)
	}
	if n == 0 || n > inference.Wan.MaxFrames() {
		return 0, want
	}
	return n, nil
}

// digit returns the value of a decimal digit: Unicode keeps the ten of a script together.
func digit(r rune) int {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10
		}
	}
	panic("clip: no digit")
}

// asKeys reads the keys of n frames from files' arrays [n,4], of which either may be
// missing; a longer one is cut.
func asKeys(move, turn *array) ([]Keys, error) {
	var keys []Keys
	for i, a := range []*array{move, turn} {
		if a == nil {
			continue
		}
		rows, err := fours(*a)
		if err != nil {
			return nil, err
		}
		if keys == nil {
			keys = make([]Keys, len(rows))
		}
		keys = keys[:min(len(keys), len(rows))]
		for f := range keys {
			for _, v := range rows[f] {
				if math.IsNaN(v) || math.Abs(v) > maxKey {
					return nil, fmt.Errorf("found %v in row %d, expected 0 or 1, or what is between them", v, f)
				}
			}
			if i == 0 {
				keys[f].Move = WASD(rows[f])
			} else {
				keys[f].Turn = IJKL(rows[f])
			}
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("found no rows, expected one of four keys for every frame")
	}
	return keys, nil
}
