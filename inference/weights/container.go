package weights

import (
	"bytes"
	"os"
	"strings"
)

// container is a kind of file that holds tensors.
type container struct {
	suffix string // of files' names in a checkpoint
	magic  string // what such files begin with, "" if nothing tells them
	parse  func(*mapping) (contents, error)
}

// containers are the kinds of files that can be opened. To add one: a file with its
// parse function and a row here.
var containers = []container{
	{".pth", zipMagic, parseTorch},
	{".safetensors", "", parseSafetensors},
}

// contents is what a container holds.
type contents struct {
	tensors  map[string]*entry
	metadata map[string]string
}

// Open maps a file of weights, of any container, or those of the model in a folder, and
// reads no more of them than what says where the tensors are. In a folder that is the
// shards that its one *.safetensors.index.json names, with the tensors that it names, or
// without an index diffusion_pytorch_model.safetensors, or the only *.safetensors.
func Open(path string) (*Store, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return openFolder(path)
	}
	file, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	c, err := containerOf(file).parse(file)
	if err != nil {
		file.close()
		return nil, err
	}
	return newStore(path, []*mapping{file}, c), nil
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
func (c container) named(path string) bool { return strings.HasSuffix(strings.ToLower(path), c.suffix) }
