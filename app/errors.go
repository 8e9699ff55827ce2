package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gimbal/inference"
)

// errorText says what went wrong as the command line does: settings by their flags, and
// the flags that help.
func errorText(err error) string {
	switch e := err.(type) {
	case *inference.SettingError:
		return settingText(e)
	case *inference.PausedError:
		if onlyCanceled(e.Err) {
			return fmt.Sprintf("the run is kept in %s: resume it with --resume %[1]s", e.Dir)
		}
		return fmt.Sprintf("%s (the run is kept in %s: resume it with --resume %[2]s)", errorText(e.Err), e.Dir)
	case *inference.UnfinishedError:
		return fmt.Sprintf("%s holds an unfinished run of %s: go on with it (--resume %[1]s), delete it, or choose another --save_file", e.Dir, e.Output)
	case *inference.OtherCheckpointError:
		return e.Error() + " (--ckpt_dir says where it is)"
	case *inference.UncalibratedError:
		return fmt.Sprintf("%s (gimbal bench calibrate --ckpt_dir %s)", e.Error(), e.Checkpoint)
	case *inference.UnhealthyError:
		return e.Error() + "; 'gimbal inspect' checks the checkpoint, --compute f32 multiplies in F32"
	case *inference.MemoryError:
		return memoryText(e)
	case interface{ Unwrap() []error }:
		return joinedText(e.Unwrap())
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return strings.Replace(err.Error(), inner.Error(), errorText(inner), 1)
		}
	}
	return err.Error()
}

// onlyCanceled reports whether an error is that somebody stopped the work, and nothing besides:
// where in the work that was helps nobody.
func onlyCanceled(err error) bool {
	if _, paused := err.(*inference.PausedError); paused {
		return false
	}
	inner := errors.Unwrap(err)
	return err == context.Canceled || inner != nil && onlyCanceled(inner)
}

// joinedText has a line for each error. What is wrong with a setting that is no flag is
// wrong with another that is.
func joinedText(errs []error) string {
	var lines []string
	for _, err := range errs {
		if e, ok := err.(*inference.SettingError); ok && flagOf(e.Setting) == "" {
			continue
		}
		lines = append(lines, errorText(err))
	}
	return strings.Join(lines, "\n")
}

// flagOf returns what the command line calls a setting; "" for one that it does not have.
func flagOf(setting string) string {
	i := slices.IndexFunc(inference.Settings, func(s inference.Setting) bool { return s.Name == setting })
	switch {
	case i < 0: // a flag of the program's own
		return "--" + setting
	case inference.Settings[i].Env != "":
		return "environment variable " + inference.Settings[i].Env
	case inference.Settings[i].Flag:
		return "--" + setting
	}
	return ""
}

func settingText(e *inference.SettingError) string {
	switch name := flagOf(e.Setting); {
	case e.Err != nil:
		return fmt.Sprintf("%s: %s", name, errorText(e.Err))
	case e.Mistake == inference.Missing:
		return fmt.Sprintf("%s: %s, want %s", name, e.Found, e.Want)
	default:
		return fmt.Sprintf("%s: found %s, want %s", name, e.Found, e.Want)
	}
}

// memoryText names the flags with which a job fits.
func memoryText(e *inference.MemoryError) string {
	var with []string
	for _, c := range e.Choices {
		with = append(with, choiceText(c))
	}
	if e.Frames > 0 {
		with = append(with, fmt.Sprintf("--frame_num %d", e.Frames))
	}
	if len(with) == 0 {
		return e.Found() + "; no setting makes it fit: use a smaller --max_area"
	}
	return e.Found() + "; it fits with " + strings.Join(with, " ")
}

// choiceText is how the command line makes a choice.
func choiceText(c inference.Choice) string {
	if env := inference.FindSetting(c.Setting).Env; env != "" {
		return env + "=" + c.Value
	}
	return "--" + c.Setting + " " + c.Value
}
