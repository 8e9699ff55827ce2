package weights

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// singleFile is the name that diffusers gives to a model of one file.
const singleFile = "diffusion_pytorch_model.safetensors"

func openFolder(dir string, kind Kind) (*Store, error) {
	listing, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	var indexes, files []string
	for _, f := range listing {
		if strings.HasPrefix(f.Name(), ".") {
			continue
		}
		if strings.HasSuffix(f.Name(), ".index.json") {
			indexes = append(indexes, f.Name())
		} else if isWeights(f.Name()) {
			files = append(files, f.Name())
		}
	}
	if slices.Contains(files, singleFile) {
		files = []string{singleFile}
	}
	switch {
	case len(indexes) == 1:
		return openIndex(dir, indexes[0], kind)
	case len(indexes) > 1:
		return nil, &Error{dir, "index", strings.Join(indexes, ", "), "one *.safetensors.index.json"}
	case len(files) == 1:
		return OpenKind(filepath.Join(dir, files[0]), kind)
	case len(files) > 1:
		return nil, &Error{dir, "index", "none, for " + plural(len(files), "safetensors file"), "one *.safetensors.index.json"}
	}
	return nil, &Error{dir, "model", "no safetensors file", singleFile + " or shards with an index"}
}

// openIndex opens the tensors that an index names, each from its shard.
func openIndex(dir, index string, kind Kind) (*Store, error) {
	path := filepath.Join(dir, index)
	shardOf, err := readIndex(path)
	if err != nil {
		return nil, err
	}
	var files []*mapping
	shards, tensors := make(map[string]contents), make(map[string]*entry)
	for _, name := range slices.Sorted(maps.Keys(shardOf)) {
		shard := shardOf[name]
		if shards[shard].tensors == nil {
			var file *mapping
			if file, err = mapFile(filepath.Join(dir, shard)); err == nil {
				files = append(files, file)
				shards[shard], err = parse(file)
			} else if errors.Is(err, os.ErrNotExist) {
				err = &Error{path, tensorField(name, "shard"), shard + ", which is missing", "a file in " + dir}
			}
		}
		if tensors[name] = shards[shard].tensors[name]; err == nil && tensors[name] == nil {
			err = &Error{path, tensorField(name, "shard"), shard + ", which lacks it", "the shard that holds it"}
		}
		if err != nil {
			closeAll(files)
			return nil, err
		}
	}
	for _, shard := range shards {
		for name, e := range shard.tensors {
			if e.data != nil { // what metadata says is in no index
				tensors[name] = e
			}
		}
	}
	return newStore(dir, files, contents{tensors: tensors}, kind), nil
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
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
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
