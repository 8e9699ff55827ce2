package weights

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gimbal/inference/device"
)

// Loader puts the weights of a store on a device, of the shapes that a model's table
// says. Its methods return zero values for weights that are missing or misshapen and
// collect the reasons, so that model code asks for all its weights and then checks Err
// once. A Loader is used by one goroutine; it must be released before its store is closed.
type Loader struct {
	dev     device.Device
	store   *Store
	table   Table
	specs   map[string]Spec
	buffers []device.Buffer
	tables  map[string]device.Mat // of codes, by content: all layers have the same
	faults  faults
	changes map[string][]change // by LoRAs, by tensor
}

// NewLoader returns a loader of the tensors of s that are in table onto dev. Without a
// table it loads any tensor, of any shape.
func NewLoader(dev device.Device, s *Store, table Table) *Loader {
	return &Loader{dev: dev, store: s, table: table, specs: table.byName(), tables: make(map[string]device.Mat)}
}

// Spec returns the table's row of the tensor called name. It panics if there is none.
func (l *Loader) Spec(name string) Spec {
	spec, ok := l.specs[name]
	if !ok && len(l.specs) > 0 {
		panic(fmt.Sprintf("weights: %s is not in the model's table", name))
	}
	return spec
}

// Weight maps the tensor called name as a matrix [out, in] without a copy: a float
// type's, or one in a quantised format. A convolution's [out, channels, kt, kh, kw] has
// all but its first dimension in a row.
func (l *Loader) Weight(name string) device.Weight {
	shape := l.Spec(name).Shape
	if shape == nil {
		shape = []int{0, 0}
	}
	return l.store.format(name).load(l, name, shape)
}

// Vector writes the elements of the tensor called name, of any float type and
// any shape of as many, to the device as one row of F32.
func (l *Loader) Vector(name string) device.Mat {
	n := 0
	if shape := l.Spec(name).Shape; shape != nil {
		n, _ = elements(shape)
	}
	return l.vector(name, n)
}

// vector is Vector for n elements, any number for 0.
func (l *Loader) vector(name string, n int) device.Mat {
	t, ok := l.tensor(name)
	if !ok {
		return device.Mat{}
	}
	found, _ := elements(l.store.Shape(name))
	if found == 0 || n != 0 && n != found {
		l.fail(name, "shape", fmt.Sprint(l.store.Shape(t.Name)), sizeText(n)+" elements")
		return device.Mat{}
	}
	var values []float32
	if !l.dev.Info().Dry {
		var err error
		if values, err = l.store.Values(name); err != nil {
			l.note(name, err)
			return device.Mat{}
		}
		if err := l.change(name, values); err != nil {
			l.faults.fail(err)
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
		l.faults.fail(fmt.Errorf("weights: load %s of %s: %w", name, l.store.path, err))
		return device.Mat{}
	}
	return device.AsMat(buf)
}

// Err returns all problems found so far, joined, or nil: what is wrong with many tensors for
// one reason is one of them. Tensors that the table does not have, and that the model would
// be wrong without, are one, too.
func (l *Loader) Err() error {
	err := l.faults.err(l.store)
	if len(l.table) > 0 {
		err = errors.Join(err, l.table.checkUnused(l.store))
	}
	return err
}

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
	l.note(name, err)
	return t, err == nil
}

func (l *Loader) mapped(t Tensor, rows, cols int) device.Mat {
	buf, err := l.dev.Map(device.Desc{Label: t.Name, DType: t.DType, Shape: []int{rows, cols}}, t.Data, nil)
	if err != nil {
		l.faults.fail(fmt.Errorf("weights: map %s of %s: %w", t.Name, l.store.path, err))
		return device.Mat{}
	}
	l.buffers = append(l.buffers, buf)
	return device.AsMat(buf)
}

// fail notes what is wrong with a tensor, and returns no weight.
func (l *Loader) fail(name, field, found, want string) device.Weight {
	l.faults.add(name, field, &Error{l.store.fileOf(name), tensorField(name, field), found, want})
	return device.Weight{}
}

// note notes an error of the store about a tensor, if it is one.
func (l *Loader) note(name string, err error) {
	if wrong := (*Error)(nil); errors.As(err, &wrong) {
		_, field, _ := strings.Cut(wrong.Field, tensorField(name, "")+" ")
		l.faults.add(name, field, wrong)
	} else if err != nil {
		l.faults.fail(err)
	}
}
