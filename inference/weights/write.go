package weights

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"gimbal/inference/device"
)

// dataAlign is the multiple at which the tensors' bytes begin in a written file.
const dataAlign = 64

// Source is a tensor to be written.
type Source struct {
	Name  string
	DType device.DType
	Shape []int
	Write func(io.Writer) error // writes the elements, little-endian and row-major
}

// Source returns t as a tensor to be written.
func (t Tensor) Source() Source {
	return Source{t.Name, t.DType, t.Shape, func(w io.Writer) error {
		_, err := w.Write(t.Data)
		return err
	}}
}

// WriteSafetensors writes a safetensors file, widest types first so that every
// tensor is aligned, each from its source in turn so that nothing is held whole.
// The file appears under its name only when it is complete and on disk. An error
// of a source, or one that writes more or less than its shape says, ends it.
func WriteSafetensors(path string, tensors []Source, metadata map[string]string) error {
	sorted := slices.SortedFunc(slices.Values(tensors), func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	return WriteInOrder(path, sorted, metadata)
}

// WriteInOrder is WriteSafetensors for tensors whose sources depend on those
// before them: it asks and writes them in the order given, which then decides
// how they are aligned.
func WriteInOrder(path string, tensors []Source, metadata map[string]string) error {
	file, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o644))
	if err != nil {
		return fmt.Errorf("weights: write %s: %w", path, err)
	}
	defer file.Cleanup()
	if err := encode(file, path, tensors, metadata); err != nil {
		return err
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("weights: write %s: %w", path, err)
	}
	return nil
}

// WriteTemporary is WriteInOrder for a file that nobody needs after a crash: it does
// not wait for the disk, and what an error cuts short stays where it is.
func WriteTemporary(path string, tensors []Source, metadata map[string]string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("weights: write %s: %w", path, err)
	}
	return errors.Join(encode(file, path, tensors, metadata), file.Close())
}

// encode writes the bytes of a safetensors file, whose path is for errors, to file.
func encode(file io.Writer, path string, tensors []Source, metadata map[string]string) error {
	header, err := safetensorsHeader(path, tensors, metadata)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	_, err = w.Write(header)
	for _, t := range tensors {
		if err == nil {
			err = writeTensor(w, path, t)
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("weights: write %s: %w", path, err)
	}
	return nil
}

// safetensorsHeader returns the length and the JSON object before the tensors.
func safetensorsHeader(path string, tensors []Source, metadata map[string]string) ([]byte, error) {
	members := make(map[string]any, len(tensors)+1)
	if len(metadata) > 0 {
		members["__metadata__"] = metadata
	}
	var end int64
	for _, t := range tensors {
		size, ok := t.bytes()
		if !ok || size > 1<<62-end {
			return nil, &Error{path, tensorField(t.Name, "shape"), fmt.Sprint(t.Shape), "sizes of at least 0 and fewer than 2^62 bytes"}
		}
		if members[t.Name] != nil || t.Name == "__metadata__" {
			return nil, &Error{path, tensorField(t.Name, ""), "a second one of this name", "unique names"}
		}
		members[t.Name] = map[string]any{
			"dtype":        t.DType.String(),
			"shape":        append([]int{}, t.Shape...),
			"data_offsets": []int64{end, end + size},
		}
		end += size
	}
	text, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("weights: header of %s: %w", path, err)
	}
	for (8+len(text))%dataAlign != 0 {
		text = append(text, ' ')
	}
	if len(text) > maxHeader {
		return nil, &Error{path, "header length", plural(len(text), "byte"), fmt.Sprintf("at most %d", maxHeader)}
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}

// bytes returns the size of t; ok is false if it has none.
func (t Source) bytes() (size int64, ok bool) {
	for _, d := range t.Shape {
		if d < 0 {
			return 0, false
		}
	}
	n, ok := elements(append([]int{t.DType.Size()}, t.Shape...))
	return int64(n), ok
}

func writeTensor(w io.Writer, path string, t Source) error {
	size, _ := t.bytes()
	counted := &counter{w: w}
	if err := t.Write(counted); err != nil {
		return fmt.Errorf("tensor %q: %w", t.Name, err)
	}
	if counted.n != size {
		return &Error{path, tensorField(t.Name, ""), plural(counted.n, "byte") + " from its source",
			fmt.Sprintf("%d for %v of shape %v", size, t.DType, t.Shape)}
	}
	return nil
}

// counter counts the bytes that pass.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
