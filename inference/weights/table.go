package weights

import (
	"strconv"
	"strings"

	"gimbal/inference/device"
)

// Role is what a tensor is to its model.
type Role int

// The roles.
const (
	Linear     Role = iota // weight of a linear layer, [out in]
	Conv                   // weight of a convolution, [out in time height width] or [out in height width]
	Embedding              // rows to look up
	Bias                   // of a linear layer, a convolution or a norm
	Norm                   // factors of a norm
	Modulation             // learnt part of AdaLN's shifts, scales and gates
)

// Spec describes one tensor of a model.
type Spec struct {
	Name     string // as in the original checkpoint
	Role     Role
	Shape    []int // 0 is any size
	Quantise bool  // where the model's linear layers are quantised
}

// Table lists the tensors of a model of given sizes. What is optional in a model is in
// the table if its sizes say so.
type Table []Spec

// Tensors lists the table's tensors, of one type and without data.
func (t Table) Tensors(dtype device.DType) []Tensor {
	list := make([]Tensor, len(t))
	for i, spec := range t {
		list[i] = Tensor{Name: spec.Name, DType: dtype, Shape: spec.Shape}
	}
	return list
}

// byName returns the table's rows by name.
func (t Table) byName() map[string]Spec {
	rows := make(map[string]Spec, len(t))
	for _, spec := range t {
		rows[spec.Name] = spec
	}
	return rows
}

// Whether a linear layer is quantised when the model is.
const (
	quantised = true
	asStored  = false
)

func (t *Table) add(role Role, name string, shape ...int) {
	*t = append(*t, Spec{Name: name, Role: role, Shape: shape})
}

// matrix adds a linear layer without a bias.
func (t *Table) matrix(quantise bool, name string, out, in int) {
	*t = append(*t, Spec{name + ".weight", Linear, []int{out, in}, quantise})
}

func (t *Table) linear(quantise bool, name string, out, in int) {
	t.matrix(quantise, name, out, in)
	t.add(Bias, name+".bias", out)
}

func (t *Table) conv(name string, out, in int, kernel ...int) {
	t.add(Conv, name+".weight", append([]int{out, in}, kernel...)...)
	t.add(Bias, name+".bias", out)
}

// size returns one dimension of the tensor called name, 0 if it is not there or has
// fewer: whoever loads it will say so.
func (s *Store) size(name string, dimension int) int {
	if shape := s.format(name).shape(s, name); dimension < len(shape) {
		return shape[dimension]
	}
	return 0
}

// maxBlocks is how many blocks the store could have at most: each has several tensors.
func (s *Store) maxBlocks() int { return len(s.names)/4 + 1 }

// blocks returns the number of blocks that the tensors' names speak of, at least one.
func (s *Store) blocks() (int, error) {
	blocks := 1
	for _, name := range s.names {
		rest, ok := strings.CutPrefix(name, "blocks.")
		index, _, _ := strings.Cut(rest, ".")
		i, err := strconv.Atoi(index)
		if !ok || err != nil {
			continue
		}
		if i < 0 || i >= s.maxBlocks() {
			return 1, &Error{s.path, "names of tensors", name, "blocks counted from 0"}
		}
		blocks = max(blocks, i+1)
	}
	return blocks, nil
}
