package weights

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/device"
)

// Loader puts the weights of a store on a device. Its methods return zero values
// for weights that are missing or misshapen and collect the reasons, so that
// model code asks for all its weights and then checks Err once. A Loader is used
// by one goroutine; it must be released before its store is closed.
type Loader struct {
	dev     device.Device
	store   *Store
	buffers []device.Buffer
	tables  map[string]device.Mat // of quantised weights, by content: all layers have the same
	errs    []error
}

// NewLoader returns a loader of s's weights onto dev.
func NewLoader(dev device.Device, s *Store) *Loader {
	return &Loader{dev: dev, store: s, tables: make(map[string]device.Mat)}
}

// Has reports whether the store has a tensor called name.
func (l *Loader) Has(name string) bool { return l.store.Has(name) }

// Weight maps the tensor called name, of any float type and shape [out, ...] with
// in elements a row (so a convolution's [out, channels, kt, kh, kw] is a matrix),
// without a copy. An out or in of 0 is taken from the file. Weights that
// bitsandbytes quantised to NF4 or INT8 are mapped as they are.
func (l *Loader) Weight(name string, out, in int) device.Weight {
	switch {
	case l.Has(name + nf4Suffix):
		return l.nf4(name, out, in)
	case l.Has(scbName(name)):
		return l.int8(name, out, in)
	}
	t, ok := l.tensor(name)
	if !ok {
		return device.Weight{}
	}
	switch t.DType {
	case device.F32, device.F16, device.BF16, device.F8E4M3:
	default:
		l.fail(name, "dtype", t.DType.String(), "F32, F16, BF16 or F8_E4M3")
		return device.Weight{}
	}
	n, _ := elements(t.Shape)
	rows, cols := out, in
	if len(t.Shape) >= 2 && n > 0 {
		if rows == 0 {
			rows = t.Shape[0]
		}
		if cols == 0 {
			cols = n / t.Shape[0]
		}
	}
	if len(t.Shape) < 2 || n == 0 || t.Shape[0] != rows || n/rows != cols || n%rows != 0 {
		l.fail(name, "shape", fmt.Sprint(t.Shape), fmt.Sprintf("[%s %s]", dim(out), dim(in)))
		return device.Weight{}
	}
	return device.DenseWeight(l.mapped(t, rows, cols))
}

// Mat maps the tensor called name, of any type, as a matrix of rows x cols
// elements without a copy. One of rows and cols may be 0 and then follows from
// the other; with both 0, the last dimension is a row.
func (l *Loader) Mat(name string, rows, cols int) device.Mat {
	t, ok := l.tensor(name)
	if !ok {
		return device.Mat{}
	}
	n, _ := elements(t.Shape)
	r, c := rows, cols
	switch {
	case r == 0 && c == 0 && n > 0 && len(t.Shape) > 0:
		c = t.Shape[len(t.Shape)-1]
		r = n / c
	case r == 0 && c > 0:
		r = n / c
	case c == 0 && r > 0:
		c = n / r
	}
	if n == 0 || r <= 0 || n/r != c || n%r != 0 {
		l.fail(name, "shape", fmt.Sprint(t.Shape), fmt.Sprintf("%s x %s elements", dim(rows), dim(cols)))
		return device.Mat{}
	}
	return l.mapped(t, r, c)
}

// Vector writes the n elements of the tensor called name, of any float type and
// any shape, to the device as one row of F32. With n 0 the row is as long as the
// tensor.
func (l *Loader) Vector(name string, n int) device.Mat {
	t, ok := l.tensor(name)
	if !ok {
		return device.Mat{}
	}
	found, _ := elements(t.Shape)
	if found == 0 || n != 0 && n != found {
		l.fail(name, "shape", fmt.Sprint(t.Shape), dim(n)+" elements")
		return device.Mat{}
	}
	var values []float32
	if !l.dev.Info().Dry {
		var err error
		if values, err = t.Float32s(); err != nil {
			l.fail(name, "dtype", t.DType.String(), "F32, F16, BF16 or F8_E4M3")
			return device.Mat{}
		}
	}
	return l.row(name, found, values)
}

// row writes n values to the device as one row; a dry device needs none.
func (l *Loader) row(name string, n int, values []float32) device.Mat {
	buf, err := l.dev.Alloc(device.Desc{Label: name, DType: device.F32, Shape: []int{1, n}})
	if err == nil {
		l.buffers = append(l.buffers, buf)
		err = l.dev.Write(context.Background(), buf, device.Bytes(values))
	}
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("weights: load %s of %s: %w", name, l.store.path, err))
		return device.Mat{}
	}
	return device.AsMat(buf)
}

// Err returns all problems found so far, joined, or nil.
func (l *Loader) Err() error { return errors.Join(l.errs...) }

// Release releases all buffers that the loader made.
func (l *Loader) Release() {
	for _, b := range l.buffers {
		b.Release()
	}
	l.buffers = nil
	clear(l.tables)
}

func (l *Loader) tensor(name string) (Tensor, bool) {
	t, err := l.store.Tensor(name)
	if err != nil {
		l.errs = append(l.errs, err)
	}
	return t, err == nil
}

func (l *Loader) mapped(t Tensor, rows, cols int) device.Mat {
	buf, err := l.dev.Map(device.Desc{Label: t.Name, DType: t.DType, Shape: []int{rows, cols}}, t.Data, nil)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("weights: map %s of %s: %w", t.Name, l.store.path, err))
		return device.Mat{}
	}
	l.buffers = append(l.buffers, buf)
	return device.AsMat(buf)
}

func (l *Loader) fail(name, field, found, want string) {
	l.errs = append(l.errs, &Error{l.store.tensors[name].file.path, tensorField(name, field), found, want})
}

// dim returns the text of a wanted size, 0 being any.
func dim(n int) string {
	if n == 0 {
		return "any"
	}
	return fmt.Sprint(n)
}
