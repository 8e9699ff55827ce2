package weights

import (
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"gimbal/inference/device"
)

// Tensor is one stored tensor.
type Tensor struct {
	Name  string
	DType device.DType
	Shape []int
	Data  []byte // little-endian, row-major, a read-only view of the mapped file
}

// Bytes returns the size of the tensor's elements.
func (t Tensor) Bytes() int64 { return device.Desc{DType: t.DType, Shape: t.Shape}.Bytes() }

// Store is an open checkpoint: named tensors in one or several mapped files.
// Its methods may be called from several goroutines.
type Store struct {
	path     string
	files    []*mapping
	tensors  map[string]*entry
	names    []string // sorted
	metadata map[string]string
	gguf     map[string]ggufValue
	kinds    map[Kind]model // that its files hold
	bytes    int64
	shapes   bool // there is no data

	mu     sync.RWMutex
	closed bool
}

// entry says where a tensor lies.
type entry struct {
	file         *mapping
	dtype        device.DType  // 0 for a type that is not known here
	stored       string        // the type's name in the file; "" for what is no tensor of it
	block        device.Format // of GGUF, whose shape is that of the values; Dense for others
	shape        []int
	strides      []int  // in elements; nil for row-major
	offset, size int64  // bytes of the file that the elements span
	data         []byte // in place of the file's; in a store of shapes, that of small tensors
}

func newStore(path string, files []*mapping, c contents, kind Kind) *Store {
	s := &Store{path: path, files: files, metadata: c.metadata, gguf: c.gguf, kinds: models(c.tensors)}
	s.tensors = canonical(c.tensors, s.kinds, kind)
	s.names = slices.Sorted(maps.Keys(s.tensors))
	for _, f := range files {
		s.bytes += int64(len(f.data))
	}
	return s
}

// Path returns the file or folder that was opened.
func (s *Store) Path() string { return s.path }

// Bytes returns the size of all files of the store.
func (s *Store) Bytes() int64 { return s.bytes }

// Names returns the names of all tensors, sorted.
func (s *Store) Names() []string { return slices.Clone(s.names) }

// Has reports whether there is a tensor called name.
func (s *Store) Has(name string) bool { return s.tensors[name] != nil }

// Metadata returns the free text that a safetensors file carries, by key.
func (s *Store) Metadata() map[string]string { return maps.Clone(s.metadata) }

// Tensor returns the tensor called name. Its data is a view of the mapped file,
// valid until Close and aligned only as the file aligns it; a tensor that torch
// stored with other strides than row-major is a copy. It fails if there is no
// such tensor or its data type is not one of package device. One in a format of GGUF is
// rows of bytes.
func (s *Store) Tensor(name string) (Tensor, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.tensors[name]
	switch {
	case s.closed:
		return Tensor{}, fmt.Errorf("weights: %s: tensor %q asked for after Close", s.path, name)
	case e == nil:
		return Tensor{}, &Error{s.path, tensorField(name, ""), "none of this name", s.nearest(name)}
	case e.dtype == 0:
		return Tensor{}, &Error{e.file.path, tensorField(name, "dtype"), e.stored, storedTypes}
	}
	shape, ok := e.raw()
	if !ok {
		return Tensor{}, &Error{e.file.path, tensorField(name, "shape"), fmt.Sprint(e.shape), "rows of whole blocks of " + e.stored}
	}
	t := Tensor{Name: name, DType: e.dtype, Shape: slices.Clone(shape), Data: e.data}
	if s.shapes || e.data != nil {
		return t, nil
	}
	span := e.file.data[e.offset : e.offset+e.size : e.offset+e.size]
	if e.strides == nil {
		t.Data = span
	} else {
		t.Data = gather(span, e.shape, e.strides, e.dtype.Size())
	}
	return t, nil
}

// storedTypes names the types that are known, for errors.
const storedTypes = "F32, F16, BF16, F8_E4M3, F8_E5M2, I8, U8, I32 or I64, or of GGUF Q2_K to Q6_K, Q4_0 to Q8_0, IQ4_NL or IQ4_XS"

// raw returns the shape of e as it is stored: rows of bytes for blocks of GGUF. ok is false
// if a block would go on in the next row.
func (e *entry) raw() (shape []int, ok bool) {
	if e.block == device.Dense {
		return e.shape, true
	}
	if len(e.shape) == 0 {
		return nil, false
	}
	cols := 1
	for _, n := range e.shape[1:] {
		cols *= n
	}
	if len(e.shape) == 1 { // a row
		return []int{1, int(e.size)}, true
	}
	values, _ := e.block.Block()
	return []int{e.shape[0], e.block.RowBytes(cols)}, cols%values == 0
}

// Rows returns n rows of the tensor called name from row first on, in F32, whatever its
// format: the tensor is taken as a matrix of its first dimension, one without dimensions as
// a row. A store of shapes has none, but of tensors whose data it was given.
func (s *Store) Rows(name string, first, n int) ([]float32, error) {
	t, err := s.Tensor(name)
	if err != nil || s.shapes && t.Data == nil {
		return nil, err
	}
	f := s.format(name)
	rows := 1
	if shape := f.shape(s, name); len(shape) > 0 {
		rows = shape[0]
	}
	if first < 0 || n < 0 || first > rows-n {
		return nil, fmt.Errorf("weights: %s: rows %d to %d of tensor %q, which has %d", s.path, first, first+n, name, rows)
	}
	return f.rows(s, t, first, n)
}

// Values returns all elements of the tensor called name in F32, whatever its format.
func (s *Store) Values(name string) ([]float32, error) {
	rows := 1
	if shape := s.Shape(name); len(shape) > 0 {
		rows = shape[0]
	}
	return s.Rows(name, 0, rows)
}

// Shape returns the shape that a model sees of the tensor called name, however it is
// stored; nil if it is not there or cannot be read.
func (s *Store) Shape(name string) []int {
	if !s.Has(name) {
		return nil
	}
	return s.format(name).shape(s, name)
}

// nearest says which names there are, for an error: often a name lacks a prefix
// or has one too many.
func (s *Store) nearest(name string) string {
	for _, n := range s.names {
		if strings.HasSuffix(n, "."+name) || strings.HasSuffix(name, "."+n) {
			return fmt.Sprintf("one of its %s, such as %q", plural(len(s.names), "tensor"), n)
		}
	}
	return "one of its " + plural(len(s.names), "tensor")
}

// fault says what is wrong with a field of the tensor called name, or with itself.
func (s *Store) fault(name, field, found, want string) error {
	return &Error{s.fileOf(name), tensorField(name, field), found, want}
}

// fileOf returns the file that the tensor called name is in, or else that of the store.
func (s *Store) fileOf(name string) string {
	if e := s.tensors[name]; e != nil {
		return e.file.path
	}
	return s.path
}

// Close unmaps the files. No data of the store's tensors may be used afterwards.
// A second call does nothing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return closeAll(s.files)
}

// lost returns an error if some of the store's files was read in vain.
func (s *Store) lost() error {
	for _, f := range s.files {
		if err := f.lost(); err != nil {
			return err
		}
	}
	return nil
}

func closeAll(files []*mapping) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.close())
	}
	return errors.Join(errs...)
}

// gather copies elements of size bytes, strides apart, to row-major order.
func gather(span []byte, shape, strides []int, size int) []byte {
	n, _ := elements(shape)
	out := make([]byte, 0, n*size)
	index := make([]int, len(shape))
	at := 0
	for range n {
		out = append(out, span[at*size:(at+1)*size]...)
		for d := len(shape) - 1; d >= 0; d-- {
			index[d]++
			at += strides[d]
			if index[d] < shape[d] {
				break
			}
			at -= shape[d] * strides[d]
			index[d] = 0
		}
	}
	return out
}

// elements returns the product of shape; ok is false if it overflows.
func elements(shape []int) (n int, ok bool) {
	if slices.Contains(shape, 0) {
		return 0, true
	}
	n = 1
	for _, d := range shape {
		hi, lo := bits.Mul64(uint64(n), uint64(d))
		n = int(lo)
		if hi != 0 || n < 0 {
			return 0, false
		}
	}
	return n, true
}
