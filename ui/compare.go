package ui

import (
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/ui/studio"
)

// differences says in which settings videos that are shown side by side differ, in their order.
func differences(all []studio.Compared) string {
	var parts []string
	for _, s := range inference.Settings {
		if !s.Form {
			continue
		}
		var values []string
		for _, c := range all {
			value := s.Text(c.Entry.Settings.Job)
			if s.Use != inference.NoFile && value != "" {
				value = filepath.Base(value)
			}
			values = append(values, value)
		}
		if slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
			parts = append(parts, translated(s.Name, s.Name, nil)+" "+strings.Join(values, " | "))
		}
	}
	if cameras := cameraNames(all); cameras != "" {
		parts = append(parts, cameras)
	}
	return join(parts...)
}

// cameraNames names the built-in paths, where these differ.
func cameraNames(all []studio.Compared) string {
	var names []string
	for _, c := range all {
		name := tr("camera.folder")
		if n := c.Entry.Settings.Camera; n != "" {
			name = tr("camera." + n)
		}
		names = append(names, name)
	}
	if slices.ContainsFunc(names, func(n string) bool { return n != names[0] }) {
		return strings.Join(names, " | ")
	}
	return ""
}
