package weights

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
)

// safetensors returns a file with the given header and so many bytes of data.
func safetensors(header string, data int) []byte {
	file := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	file = append(file, header...)
	for i := range data {
		file = append(file, byte(i))
	}
	return file
}

// tempFile writes a file of the test.
func tempFile(tb testing.TB, name string, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

// checkError fails the test unless err names path, the field, what was found and
// what was expected.
func checkError(t *testing.T, err error, path, field, found, want string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want one about %s", err, field)
	}
	if e.Path != path || e.Field != field || !strings.Contains(e.Found, found) || !strings.Contains(e.Want, want) {
		t.Errorf("error %q\nwant  %q", e, &Error{path, field, found, want})
	}
}

func TestOpenSafetensors(t *testing.T) {
	path := tempFile(t, "a.safetensors", safetensors(`{"b":{"dtype":"I8","shape":[2,3],"data_offsets":[4,10]},
		"__metadata__":{"format":"pt"}, "empty":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]},
		"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}, "odd":{"dtype":"F4","shape":[2],"data_offsets":[10,11]}}  `, 11))
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Names(); !slices.Equal(got, []string{"a", "b", "empty", "odd"}) {
		t.Errorf("names %q", got)
	}
	if s.Metadata()["format"] != "pt" {
		t.Errorf("metadata %v", s.Metadata())
	}
	b, err := s.Tensor("b")
	if err != nil || b.DType != device.I8 || !slices.Equal(b.Shape, []int{2, 3}) || !slices.Equal(b.Data, []byte{4, 5, 6, 7, 8, 9}) {
		t.Errorf("tensor %+v, %v", b, err)
	}
	if e, err := s.Tensor("empty"); err != nil || len(e.Data) != 0 {
		t.Errorf("empty tensor %+v, %v", e, err)
	}
	_, err = s.Tensor("odd")
	checkError(t, err, path, `tensor "odd" dtype`, "F4", "BF16")
	_, err = s.Tensor("model.b")
	checkError(t, err, path, `tensor "model.b"`, "none", `such as "b"`)
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Tensor("b"); err == nil {
		t.Error("a closed store gives a tensor")
	}
}

func TestBadSafetensors(t *testing.T) {
	const a = `"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		name               string
		file               []byte
		field, found, want string
	}{
		{"empty", nil, "size", "0 bytes", ""},
		{"short", []byte("\x02{"), "size", "2 bytes", "at least 8"},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\n"), "contents", "LFS", "git lfs pull"},
		{"header too long", append([]byte{0, 0, 0, 0, 0, 0, 0, 128}, "{}"...), "header length", "9223372036854775808 bytes", "at most 100000000"},
		{"header cut", safetensors("{"+a+"}", 0)[:30], "header length", "54 bytes", "at most the 22 that follow"},
		{"no JSON", safetensors("<!DOCTYPE html>", 8), "header", "invalid character", "JSON"},
		{"no object", safetensors("[]", 8), "header", "[", "JSON object"},
		{"no header", safetensors("", 8), "header", "EOF", "JSON object"},
		{"header of zeros", safetensors(strings.Repeat("\x00", 40), 8), "header", "invalid character", "JSON object"},
		{"more after the header", safetensors("{"+a+"}{}", 8), "header", "after its end", "JSON object"},
		{"unfinished", safetensors("{"+a, 8), "header", "EOF", "JSON object"},
		{"metadata", safetensors(`{"__metadata__":{"n":3}}`, 0), "__metadata__", "number", "strings"},
		{"metadata twice", safetensors(`{"__metadata__":{},"__metadata__":{}}`, 0), "__metadata__", "second", "one"},
		{"duplicate", safetensors("{"+a+","+a+"}", 8), `tensor "a"`, "second", "unique"},
		{"mistyped tensor", safetensors(`{"a":[1]}`, 8), `tensor "a"`, "array", "dtype"},
		{"mistyped dtype", safetensors(`{"a":{"dtype":1,"shape":[2],"data_offsets":[0,8]}}`, 8), `tensor "a"`, "number", "string"},
		{"no dtype", safetensors(`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8), `tensor "a" dtype`, "none", "BF16"},
		{"no shape", safetensors(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8), `tensor "a" shape`, "none", "sizes"},
		{"no offsets", safetensors(`{"a":{"dtype":"F32","shape":[2]}}`, 8), `tensor "a" data_offsets`, "0 numbers", "2"},
		{"three offsets", safetensors(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, 8), `tensor "a" data_offsets`, "3 numbers", "2"},
		{"negative size", safetensors(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8), `tensor "a"`, "-2", "sizes"},
		{"negative offset", safetensors(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8), `tensor "a"`, "-8", "begin"},
		{"fraction", safetensors(`{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}`, 8), `tensor "a"`, "2.5", "sizes"},
		{"null", safetensors(`{"a":{"dtype":"F32","shape":[null],"data_offsets":[0,8]}}`, 8), `tensor "a"`, "null", "sizes"},
		{"number too large", safetensors(`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8), `tensor "a"`, "99999", "sizes"},
		{"offsets reversed", safetensors(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}`, 8), `tensor "a" data_offsets`, "[8 0]", "begin <= end"},
		{"overflow", safetensors(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}`, 8), `tensor "a" shape`, "4294967296", "2^63"},
		{"bytes overflow", safetensors(`{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}}`, 0), `tensor "a" data_offsets`, "0 bytes", "4611686018427387904 elements"},
		{"size mismatch", safetensors(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), `tensor "a" data_offsets`, "8 bytes", "3 elements of F32"},
		{"odd size", safetensors(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}}`, 9), `tensor "a" data_offsets`, "9 bytes", "2 elements of F32"},
		{"truncated", safetensors("{"+a+"}", 7), `tensor "a" data_offsets`, "[0 8]", "at most the 7 bytes"},
		{"overlap", safetensors("{"+a+`,"b":{"dtype":"I8","shape":[2],"data_offsets":[7,9]}}`, 9), `tensor "b" data_offsets`, "[7 9]", `a begin of 8, where tensor "a" ends`},
		{"same place", safetensors("{"+a+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), `tensor "b" data_offsets`, "[0 8]", "overlap"},
		{"gap", safetensors("{"+a+`,"b":{"dtype":"I8","shape":[2],"data_offsets":[9,11]}}`, 11), `tensor "b" data_offsets`, "[9 11]", "gaps"},
		{"more after the data", safetensors("{"+a+"}", 11), "size", `3 bytes after tensor "a"`, "end of the file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := tempFile(t, "x.safetensors", c.file)
			_, err := Open(path)
			checkError(t, err, path, c.field, c.found, c.want)
		})
	}
	dir := t.TempDir()
	_, err := Open(dir)
	checkError(t, err, dir, "model", "no file of weights", singleFile)
	if _, err := mapFile(dir); err == nil || !strings.Contains(err.Error(), "file type: found a folder") {
		t.Errorf("error %v", err)
	}
	if _, err := Open(filepath.Join(dir, "x")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestLongNames checks that a hostile name does not make a hostile message.
func TestLongNames(t *testing.T) {
	path := tempFile(t, "x.safetensors", safetensors(`{"`+strings.Repeat("n", 1<<20)+`":{"dtype":"F32"}}`, 0))
	if _, err := Open(path); err == nil || len(err.Error()) > 1000 {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}
