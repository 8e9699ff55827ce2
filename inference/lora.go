package inference

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// LoRA is a file of changes to the experts' weights (https://arxiv.org/abs/2106.09685), and
// how much of them each expert takes.
type LoRA struct {
	File string  `json:"file"` // its path
	High float64 `json:"high"` // strength on the high-noise expert; 0 for not at all
	Low  float64 `json:"low"`
	Off  bool    `json:"off,omitempty"` // kept, and not used
}

// maxStrength is the largest strength of a LoRA that makes sense.
const maxStrength = 100

// NewLoRA returns the LoRA in a file at full strength: on both experts, unless the file's
// name says that it is one of a pair.
func NewLoRA(file string) LoRA {
	file = Path(file)
	high, low := noiseOf(file)
	return LoRA{File: file, High: truthOf(high || !low), Low: truthOf(low || !high)}
}

// The words of a pair's names, such as HighNoise, HIGH, high_noise_model or _H_, and not
// those of "flow" and "highway".
var (
	highName = regexp.MustCompile(`(?:^|[^A-Za-z])(?:[Hh]igh|HIGH|H)(?:[^a-z]|noise|$)`)
	lowName  = regexp.MustCompile(`(?:^|[^A-Za-z])(?:[Ll]ow|LOW|L)(?:[^a-z]|noise|$)`)
)

// noiseOf says for which of the experts a file is by its name; for neither where it does not
// say, or says both.
func noiseOf(file string) (high, low bool) {
	name := filepath.Base(file)
	high, low = highName.MatchString(name), lowName.MatchString(name)
	return high && !low, low && !high
}

func truthOf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// ParseLoRA reads FILE[:STRENGTH][,high=STRENGTH][,low=STRENGTH][,off]: the first strength
// scales both. What follows a colon and is nothing of that is part of the file's name. The
// error is a *SettingError.
func ParseLoRA(text string) (LoRA, error) {
	l, err := parseLoRA(strings.TrimSpace(text))
	if err != nil {
		err.Setting = "lora"
		return l, err
	}
	return l, nil
}

func parseLoRA(text string) (LoRA, *SettingError) {
	l := NewLoRA(text)
	i := strings.LastIndexByte(text, ':')
	if i < 0 || strings.ContainsAny(text[i:], `/\`) {
		return l, nil
	}
	l = NewLoRA(text[:i])
	for _, word := range strings.Split(text[i+1:], ",") {
		name, number, _ := strings.Cut(strings.TrimSpace(word), "=")
		of := []*float64{&l.High, &l.Low}
		switch name {
		case "off":
			l.Off = true
			continue
		case "high":
			of = of[:1]
		case "low":
			of = of[1:]
		default:
			number = name
		}
		s, err := strconv.ParseFloat(number, 64)
		switch {
		case err != nil && len(of) == 2: // no option: a name with a colon in it
			return NewLoRA(text), nil
		case err != nil:
			return l, &SettingError{Mistake: NotANumber, Found: quoted(word), Want: "a strength as in high=0.8"}
		case !(s >= -maxStrength && s <= maxStrength):
			return l, outOfRange(number, -maxStrength, maxStrength)
		}
		for _, to := range of {
			if len(of) == 2 {
				*to *= s // what the file's name says counts
			} else {
				*to = s
			}
		}
	}
	return l, nil
}

// String writes l as ParseLoRA reads it.
func (l LoRA) String() string {
	text := l.File + ":high=" + strength(l.High) + ",low=" + strength(l.Low)
	if l.Off {
		text += ",off"
	}
	return text
}

func strength(s float64) string { return strconv.FormatFloat(s, 'g', -1, 64) }

// LoRAs are the LoRAs of a job, in the order in which they apply. The zero value has none.
// Values can be compared. In JSON they are a list.
type LoRAs string

// NewLoRAs returns a list.
func NewLoRAs(list ...LoRA) LoRAs {
	if len(list) == 0 {
		return ""
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // of a strength that is no number
	}
	return LoRAs(text)
}

// List returns the LoRAs one by one.
func (l LoRAs) List() (list []LoRA) {
	if l != "" && json.Unmarshal([]byte(l), &list) != nil {
		panic("inference: LoRAs that no constructor made: " + string(l))
	}
	return list
}

// Used returns those that are not off.
func (l LoRAs) Used() []LoRA {
	return slices.DeleteFunc(l.List(), func(one LoRA) bool { return one.Off || one.High == 0 && one.Low == 0 })
}

// MarshalJSON writes the list.
func (l LoRAs) MarshalJSON() ([]byte, error) {
	if l == "" {
		return []byte("[]"), nil
	}
	return []byte(l), nil
}

// UnmarshalJSON reads a list.
func (l *LoRAs) UnmarshalJSON(text []byte) error {
	var list []LoRA
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*l = NewLoRAs(list...)
	return nil
}

// loras are written one a line.
func loras() value {
	return value{
		text: func(j Job) string {
			var lines []string
			for _, l := range j.LoRAs.List() {
				lines = append(lines, l.String())
			}
			return strings.Join(lines, "\n")
		},
		set: func(j *Job, text string) *SettingError {
			var list []LoRA
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); line == "" {
					continue
				}
				l, err := parseLoRA(line)
				if err != nil {
					return err
				}
				list = append(list, l)
			}
			j.LoRAs = NewLoRAs(list...)
			return nil
		},
	}
}
