package weights

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// singleFile is the name that diffusers gives to a model of one file.
const singleFile = "diffusion_pytorch_model.safetensors"

const (
	safetensorsSuffix = ".safetensors"
	indexSuffix       = ".index.json"
)

// standardFiles are the names that a model's file, or its index behind them, usually has: of
// several they are the ones, and the others copies.
var standardFiles = []string{singleFile, "model.safetensors"}

func openFolder(dir string, kind Kind) (*Store, error) {
	f, err := readFolder(dir)
	if err != nil {
		return nil, err
	}
	if err := f.checkFinished(); err != nil {
		return nil, err
	}
	if indexes := f.named(indexSuffix); len(indexes) > 0 {
		index, err := f.chooseIndex(indexes)
		if err != nil {
			return nil, err
		}
		return openIndex(f, index, kind)
	}
	files := f.named(safetensorsSuffix)
	if len(files) == 0 {
		files = slices.DeleteFunc(slices.Clone(f.names), func(name string) bool { return !isWeights(name) })
	}
	if file := standard(files, ""); file != "" {
		files = []string{file}
	}
	switch {
	case len(files) == 1:
		return OpenKind(filepath.Join(dir, files[0]), kind)
	case len(files) == 0:
		return nil, &Error{dir, "model", "no file of weights", singleFile + " or shards with an index"}
	case numbered(files):
		return openShards(f, files, kind)
	}
	return nil, &Error{dir, "index", "none, for " + plural(len(files), "file") + " of weights, " + strings.Join(files, ", "),
		"one *" + safetensorsSuffix + indexSuffix + ", or all shards from 00001 on"}
}

// standard returns the one of names that is called as usual; "" if there is none.
func standard(names []string, more string) string {
	for _, want := range standardFiles {
		for _, name := range names {
			if strings.EqualFold(name, want+more) {
				return name
			}
		}
	}
	return ""
}

// chooseIndex returns the one of a folder's indexes that counts: that of the usual name, or
// any if all say the same, as copies do.
func (f listing) chooseIndex(names []string) (string, error) {
	if name := standard(names, indexSuffix); name != "" {
		return name, nil
	}
	if len(names) == 1 {
		return names[0], nil
	}
	var first map[string]string
	for i, name := range names {
		shardOf, err := readIndex(filepath.Join(f.path, name))
		if err != nil || i > 0 && !maps.Equal(shardOf, first) {
			return "", &Error{f.path, "index", strings.Join(names, ", "), "one *" + safetensorsSuffix + indexSuffix}
		}
		first = shardOf
	}
	return names[0], nil
}

// shardName is how the shards of a model are called: all begin alike and are counted.
var shardName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})(\.[[:alpha:]]+)$`)

// numbered reports whether files, sorted, are all shards of one model.
func numbered(files []string) bool {
	for i, name := range files {
		m := shardName.FindStringSubmatch(name)
		if m == nil || m[1] != shardName.FindStringSubmatch(files[0])[1] || m[2] != fmt.Sprintf("%05d", i+1) || m[3] != fmt.Sprintf("%05d", len(files)) {
			return false
		}
	}
	return true
}

// openShards opens all shards of a model that has lost its index.
func openShards(f listing, names []string, kind Kind) (_ *Store, err error) {
	var files []*mapping
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	tensors := make(map[string]*entry)
	for _, shard := range names {
		file, c, err := openFile(filepath.Join(f.path, shard))
		if err != nil {
			return nil, err
		}
		files = append(files, file)
		for name, e := range c.tensors {
			if tensors[name] != nil {
				return nil, &Error{file.path, tensorField(name, ""), "a second one of this name, as in " + tensors[name].file.path, "unique names"}
			}
			tensors[name] = e
		}
	}
	return newStore(f.path, files, contents{tensors: tensors}, kind), nil
}

// openIndex opens the shards that an index names.
func openIndex(f listing, index string, kind Kind) (_ *Store, err error) {
	path := filepath.Join(f.path, index)
	shardOf, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	names := slices.Sorted(maps.Keys(shardOf))
	if err := f.checkShards(path, names, shardOf); err != nil {
		return nil, err
	}
	var files []*mapping
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	shards, tensors := make(map[string]contents), make(map[string]*entry)
	for _, name := range names {
		shard := shardOf[name]
		if shards[shard].tensors == nil {
			file, c, err := openFile(f.find(shard))
			if err != nil {
				return nil, err
			}
			files = append(files, file)
			shards[shard] = c
		}
		if tensors[name] = shards[shard].tensors[name]; tensors[name] == nil {
			return nil, &Error{path, tensorField(name, "shard"), shard + ", which lacks it", "the shard that holds it"}
		}
	}
	for _, shard := range slices.Sorted(maps.Keys(shards)) { // what the index does not name is there all the same
		for name, e := range shards[shard].tensors {
			if tensors[name] == nil {
				tensors[name] = e
			}
		}
	}
	return newStore(f.path, files, contents{tensors: tensors}, kind), nil
}

// checkShards returns an error that names all shards that are missing.
func (f listing) checkShards(path string, names []string, shardOf map[string]string) error {
	var missing []string
	first := ""
	for _, name := range names {
		if shard := shardOf[name]; f.find(shard) == "" && !slices.Contains(missing, shard) {
			missing = append(missing, shard)
			first = cmp.Or(first, name)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return &Error{path, tensorField(first, "shard"), missing[0] + ", which is missing", "a file in " + f.path + " (is the download complete?)"}
	}
	return &Error{path, tensorField(first, "shard"), fmt.Sprintf("%s, which is missing, and so are %d more", missing[0], len(missing)-1),
		"files in " + f.path + " (is the download complete?)"}
}

// readIndex returns the shard's file name of every tensor.
func readIndex(path string) (map[string]string, error) {
	index, err := readObject(path, maxHeader)
	if err != nil {
		return nil, err
	}
	const want = "an object of tensor names to file names"
	shardOf := make(map[string]string)
	if list := index.values["weight_map"]; list != nil {
		err = eachMember(list, func(name string, decode func(any) error) error {
			var shard string
			if err := decode(&shard); err != nil {
				return err
			}
			if _, twice := shardOf[name]; twice {
				return &Error{path, tensorField(name, ""), "a second one of this name", "unique names"}
			}
			if shard != filepath.Base(shard) || !filepath.IsLocal(shard) || shard == "." {
				return &Error{path, tensorField(name, "shard"), fmt.Sprintf("%q", shard), "the name of a file next to the index"}
			}
			shardOf[name] = shard
			return nil
		})
	}
	if err == nil && len(shardOf) == 0 {
		err = &Error{path, "weight_map", "no tensor", want}
	}
	return shardOf, inField(err, path, "weight_map", want)
}

// readSmall reads a file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	info, err := stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{path, "file type", info.Mode().Type().String(), "a regular file"}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("weights: read %s: %w", path, err)
	}
	if int64(len(text)) > limit {
		return nil, &Error{path, "size", plural(info.Size(), "byte"), fmt.Sprintf("at most %d", limit)}
	}
	return text, nil
}
