package weights

import (
	"bytes"
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// container is a kind of file that holds tensors.
type container struct {
	suffixes []string // of files' names in a checkpoint
	magic    string   // what such files begin with, "" if nothing tells them
	parse    func(*mapping) (contents, error)
}

// containers are the kinds of files that can be opened. To add one: a file with its
// parse function and a row here.
var containers = []container{
	{[]string{".pth", ".pt", ".bin"}, zipMagic, parseTorch},
	{[]string{".gguf"}, ggufMagic, parseGGUF},
	{[]string{".safetensors", ".sft"}, "", parseSafetensors},
}

// contents is what a container holds.
type contents struct {
	tensors  map[string]*entry
	metadata map[string]string
	gguf     map[string]ggufValue // of a GGUF file
}

// Open maps a file of weights, of any container, or those of the model in a folder, and
// reads no more of them than what says where the tensors are. In a folder that is the
// shards that its *.index.json names, or without an index
// diffusion_pytorch_model.safetensors, the only file of weights, or all shards that are
// numbered from 1 on. Hidden files and copies of an index do not count.
func Open(path string) (*Store, error) { return OpenKind(path, "") }

// OpenKind is Open for a file that may hold several models: only the tensors of the one of a
// kind are in the store.
func OpenKind(path string, kind Kind) (*Store, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return openFolder(path, kind)
	}
	file, c, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return newStore(path, []*mapping{file}, c, kind), nil
}

// openFile maps a file and finds its tensors. What is no file of weights is named.
func openFile(path string) (*mapping, contents, error) {
	file, err := mapFile(path)
	if err != nil {
		return nil, contents{}, err
	}
	err = checkFinished(path)
	var c contents
	if err == nil {
		c, err = parse(file)
		err = cmp.Or(file.lost(), instead(err, path, file.data))
	}
	if err != nil {
		file.close()
		return nil, contents{}, err
	}
	return file, c, nil
}

// parse reads what a file holds, of any container.
func parse(file *mapping) (contents, error) {
	c, err := containerOf(file).parse(file)
	if err == nil {
		err = c.sayQuant(file.path)
	}
	return c, err
}

// containerOf returns the container that a file is by what it begins with, or else by
// its name: a damaged file's error is then about what it should be.
func containerOf(file *mapping) container {
	for _, c := range containers {
		if c.magic != "" && bytes.HasPrefix(file.data, []byte(c.magic)) {
			return c
		}
	}
	for _, c := range containers {
		if c.named(file.path) {
			return c
		}
	}
	return containers[len(containers)-1]
}

// named reports whether a file is such a container by its name.
func (c container) named(path string) bool {
	return slices.Contains(c.suffixes, strings.ToLower(filepath.Ext(path)))
}

// Extensions lists what the names of files end in that a model may be opened by, without the dot.
func Extensions() (all []string) {
	for _, c := range containers {
		for _, suffix := range c.suffixes {
			all = append(all, strings.TrimPrefix(suffix, "."))
		}
	}
	return append(all, "json")
}

// isWeights reports whether a file holds tensors by its name.
func isWeights(path string) bool {
	return slices.ContainsFunc(containers, func(c container) bool { return c.named(path) })
}
