package inference

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Setting is one setting of a Job: all that the command line, the window and the checks
// know of it.
type Setting struct {
	Name    string   // in flags, errors and the window: the reference's, where it has one
	Help    string   // what it does, with what its value is in back quotes, as package flag has it
	Env     string   // the environment variable that sets it; "" for none
	Flag    bool     // the command line has it
	Switch  bool     // a flag without a value is True
	Form    bool     // the window has it
	Use     Use      // of the file or folder that it names
	Choices []string // all values, where there are few
	Modes   []string // the modes of models, as Causal has them, for which it does something; nil for all

	value
}

// Use says what a run does with the file or folder that a setting names.
type Use string

// The uses.
const (
	NoFile Use = "" // it names none
	Reads  Use = "reads"
	Writes Use = "writes"
)

// value is how a setting is read, written and checked.
type value struct {
	set   func(j *Job, text string) *SettingError
	text  func(j Job) string
	check func(j Job) *SettingError // what else may be wrong; nil for nothing
}

// Set changes the setting in j to what a person typed. The error is a *SettingError, and
// j is then as it was.
func (s Setting) Set(j *Job, text string) error {
	next := *j
	if err := s.set(&next, text); err != nil {
		err.Setting = s.Name
		return err
	}
	*j = next
	return nil
}

// Applies reports whether the setting does something in a run of j.
func (s Setting) Applies(j Job) bool {
	return s.Modes == nil || slices.Contains(s.Modes, j.Causal.Mode)
}

// Text returns the setting's value in j as a person types it.
func (s Setting) Text(j Job) string { return s.text(j) }

// Check returns a *SettingError if the setting's value in j cannot be used.
func (s Setting) Check(j Job) error {
	again := j
	err := s.set(&again, s.text(j))
	if err == nil && s.check != nil {
		err = s.check(j)
	}
	if err == nil {
		return nil
	}
	err.Setting = s.Name
	return err
}

// FindSetting returns the setting of a name; it panics if there is none.
func FindSetting(name string) Setting {
	i := slices.IndexFunc(Settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		panic(fmt.Sprintf("inference: there is no setting %q", name))
	}
	return Settings[i]
}

// words is text of any kind.
func words(of func(*Job) *string) value {
	return value{
		set:  func(j *Job, text string) *SettingError { *of(j) = text; return nil },
		text: func(j Job) string { return *of(&j) },
	}
}

// path is the path of a file or folder, as Path takes it.
func path(of func(*Job) *string) value {
	return value{
		set:  func(j *Job, text string) *SettingError { *of(j) = Path(text); return nil },
		text: func(j Job) string { return *of(&j) },
	}
}

// required is a path that may not be missing.
func required(want string, of func(*Job) *string) value {
	v := path(of)
	v.check = func(j Job) *SettingError {
		if *of(&j) == "" {
			return &SettingError{Mistake: Missing, Found: "none given", Want: want}
		}
		return nil
	}
	return v
}

// whole is a whole number from low to high.
func whole(low, high int, of func(*Job) *int) value {
	return value{
		text: func(j Job) string { return strconv.Itoa(*of(&j)) },
		set: func(j *Job, text string) *SettingError {
			v, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			switch {
			case err != nil:
				return &SettingError{Mistake: NotAWholeNumber, Found: quoted(text), Want: fmt.Sprintf("a whole number from %d to %d", low, high)}
			case v < int64(low) || v > int64(high):
				return outOfRange(v, low, high)
			}
			*of(j) = int(v)
			return nil
		},
	}
}

// wholeOrZero is whole, or 0.
func wholeOrZero(low, high int, of func(*Job) *int) value {
	v := whole(low, high, of)
	return value{text: v.text, set: func(j *Job, text string) *SettingError {
		if strings.TrimSpace(text) == "0" {
			*of(j) = 0
			return nil
		}
		err := v.set(j, text)
		if err != nil && err.Mistake == OutOfRange {
			err.Want += ", or 0"
		}
		return err
	}}
}

// number is a number from low to high, in which a comma may stand for the point.
func number(low, high float64, of func(*Job) *float64) value {
	return value{
		text: func(j Job) string { return strconv.FormatFloat(*of(&j), 'g', -1, 64) },
		set: func(j *Job, text string) *SettingError {
			v, err := strconv.ParseFloat(strings.Replace(strings.TrimSpace(text), ",", ".", 1), 64)
			switch {
			case err != nil || math.IsNaN(v):
				return &SettingError{Mistake: NotANumber, Found: quoted(text), Want: fmt.Sprintf("a number from %v to %v", low, high)}
			case v < low || v > high:
				return outOfRange(v, low, high)
			}
			*of(j) = v
			return nil
		},
	}
}

// choice is one of a few words; the first stands for an empty value.
func choice[T ~string](choices []string, of func(*Job) *T) value {
	return value{
		text: func(j Job) string {
			if v := string(*of(&j)); v != "" {
				return v
			}
			return choices[0]
		},
		set: func(j *Job, text string) *SettingError {
			word := strings.TrimSpace(text)
			if !slices.Contains(choices, word) {
				return notAChoice(text, choices...)
			}
			*of(j) = T(word)
			return nil
		},
	}
}

// choiceOrZero is choice, with the first word kept as the zero value.
func choiceOrZero[T ~string](choices []string, of func(*Job) *T) value {
	v := choice(choices, of)
	return value{text: v.text, set: func(j *Job, text string) *SettingError {
		err := v.set(j, text)
		if string(*of(j)) == choices[0] {
			*of(j) = ""
		}
		return err
	}}
}

// truth is True or False, as Python's argparse takes them.
func truth(of func(*Job) *bool) value {
	return value{
		text: func(j Job) string {
			if *of(&j) {
				return "True"
			}
			return "False"
		},
		set: func(j *Job, text string) *SettingError {
			switch strings.ToLower(strings.TrimSpace(text)) {
			case "true", "yes", "t", "y", "1":
				*of(j) = true
			case "false", "no", "f", "n", "0":
				*of(j) = false
			default:
				return notAChoice(text, "True", "False")
			}
			return nil
		},
	}
}

func notAChoice(found string, choices ...string) *SettingError {
	last := len(choices) - 1
	want := strings.Join(choices[:last], ", ") + " or " + choices[last]
	return &SettingError{Mistake: NotAChoice, Found: quoted(found), Want: want, Args: map[string]any{"Choices": strings.Join(choices, ", ")}}
}

func outOfRange(found, low, high any) *SettingError {
	return &SettingError{Mistake: OutOfRange, Found: fmt.Sprint(found), Want: fmt.Sprintf("%v to %v", low, high), Args: map[string]any{"Low": low, "High": high}}
}

func quoted(text string) string { return fmt.Sprintf("%q", text) }
