package weights

import (
	"fmt"

	"gimbal/inference/device"
)

// Lookup is a table whose rows are looked up: on the device where its format is one that
// it reads there, else by the host, row by row.
type Lookup struct {
	Table device.Mat // on the device; zero if rows are the host's to read
	store *Store
	name  string
	cols  int
}

// smallTable is how many values of a quantised table are widened rather than looked up.
const smallTable = 1 << 16

// Lookup maps the tensor called name, [rows, columns].
func (l *Loader) Lookup(name string) Lookup {
	e := Lookup{store: l.store, name: name}
	if l.store.Format(name) == Dense {
		e.Table = l.Weight(name).Data
		return e
	}
	shape, want := l.store.Shape(name), l.Spec(name).Shape
	if len(shape) != 2 || want != nil && !fits(shape, want) {
		l.fail(name, "shape", fmt.Sprint(shape), shapeText(want))
		return e
	}
	if e.cols = shape[1]; shape[0]*shape[1] > smallTable {
		return e
	}
	if e.Table = l.vector(name, shape[0]*shape[1]); !e.Table.IsZero() {
		e.Table.Rows, e.Table.Cols, e.Table.Stride = shape[0], shape[1], shape[1]
	}
	return e
}

// Rows writes the rows of so many ids to dst, one after the other.
func (e Lookup) Rows(dst []float32, ids []int32) error {
	for i, id := range ids {
		row, err := e.store.Rows(e.name, int(id), 1)
		if err != nil {
			return err
		}
		copy(dst[i*e.cols:(i+1)*e.cols], row)
	}
	return nil
}
