package clip

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// maxArrays bounds the arrays of an .npz file.
const maxArrays = 64

// npz is a zip of .npy files, by their names without the ending.
type npz map[string]array

// readNPZ reads a file that numpy.savez wrote, stored or deflated.
func readNPZ(file string) (npz, error) {
	data, err := readSmall(file)
	if err != nil {
		return nil, err
	}
	arrays, err := parseNPZ(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return arrays, nil
}

// parseNPZ reads the arrays of an .npz file. What is in it besides, and arrays of a type
// that is no number, are left out.
func parseNPZ(data []byte) (npz, error) {
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, fmt.Errorf("not an .npz file, or cut short: %w", err)
	}
	if len(z.File) > maxArrays {
		return nil, fmt.Errorf("found %d arrays, expected at most %d", len(z.File), maxArrays)
	}
	arrays, left := npz{}, int64(maxFile)
	var errs []error
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if !ok {
			continue
		}
		text, err := unzip(f, left)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		left -= int64(len(text))
		a, err := parseNPY(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.Name, err))
			continue
		}
		arrays[name] = a
	}
	if len(arrays) == 0 {
		return nil, errors.Join(append(errs, errors.New("found no arrays"))...)
	}
	return arrays, nil
}

// unzip reads a file in a zip, of at most limit bytes whatever its header says.
func unzip(f *zip.File, limit int64) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("found more than %d bytes, expected at most so many", limit)
	}
	return data, err
}

// data returns the array "data", as ViPE calls it, or else the only one there is besides
// "inds".
func (z npz) data() (array, error) {
	if a, ok := z["data"]; ok {
		return a, nil
	}
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(z)), func(name string) bool { return name == "inds" })
	if len(names) == 1 {
		return z[names[0]], nil
	}
	return array{}, fmt.Errorf("found the arrays %q, expected one called data", names)
}

// inds returns the frames that the rows of data are of: n, strictly rising; nil where they
// are not said.
func (z npz) inds(n int) ([]int, error) {
	a, ok := z["inds"]
	if !ok {
		return nil, nil
	}
	if len(a.values) != n {
		return nil, fmt.Errorf("found %d inds of %d rows, expected one for each", len(a.values), n)
	}
	inds := make([]int, n)
	for i, v := range a.values {
		if inds[i] = int(v); v < 0 || v > maxPoses || float64(inds[i]) != v || i > 0 && inds[i] <= inds[i-1] {
			return nil, fmt.Errorf("found the frame %v in row %d of inds, expected numbers from 0 to %d that rise", v, i, maxPoses)
		}
	}
	return inds, nil
}
