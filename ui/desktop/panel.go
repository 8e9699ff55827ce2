package desktop

import (
	"path/filepath"
	"strings"
)

// PanelKind is what a panel is for.
type PanelKind int

// The panels.
const (
	PickFile   PanelKind = iota // a file that exists
	PickFolder                  // a folder that exists
	SaveFile                    // a file to write
)

// Panel is one of the system's file panels.
type Panel struct {
	Kind       PanelKind
	Title      string
	Folder     string   // where it starts; empty for where the user was last
	Name       string   // proposed by SaveFile
	Filter     string   // what the extensions are, for people: "Pictures"
	Extensions []string // such as "png"; none for all files
}

// clean returns the panel as the platforms want it: an absolute folder, extensions
// without dots in lower case, a name without folders.
func (p Panel) clean() Panel {
	if p.Folder != "" {
		if abs, err := filepath.Abs(p.Folder); err == nil {
			p.Folder = abs
		}
	}
	if p.Name != "" {
		p.Name = filepath.Base(p.Name)
	}
	extensions := make([]string, len(p.Extensions))
	for i, e := range p.Extensions {
		extensions[i] = strings.ToLower(strings.TrimPrefix(e, "."))
	}
	p.Extensions = extensions
	return p
}
