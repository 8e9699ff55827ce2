package weights

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"gimbal/inference/device"
)

// change is what a LoRA does to one tensor: it adds a matrix, the product of two others or
// one that is stored whole, or Kronecker's product of such a matrix.
type change struct {
	left factor // of Kronecker's product, of which down and up are then the other factor; none
	down factor // [rank, in]; none of a matrix that is whole
	up   factor // [out, rank]; the whole [out, in]
	// otherDown and otherUp are those of a matrix whose elements are multiplied with the first
	// one's; down and otherDown are then [in, rank]. None for no such.
	otherDown, otherUp factor
	scale              float64
}

// factor is a matrix of a change.
type factor struct {
	name       string
	rows, cols int
	data       Tensor // as it is stored; it has as many elements
	// made computes the values of one that is not stored; nil for others.
	made func() ([]float32, error)
}

// stored views a tensor as a matrix of so many rows.
func stored(t Tensor, rows int) factor {
	n, _ := elements(t.Shape)
	return factor{name: t.Name, rows: rows, cols: n / rows, data: t}
}

// values returns the elements in F32.
func (f factor) values() ([]float32, error) {
	if f.made != nil {
		return f.made()
	}
	return f.data.Float32s()
}

// change reads the group's tensors. It fails if they do not go together or with the model.
func (g *group) change(l *LoRA, strength float64) (change, error) {
	out, in, ok := g.matrix()
	if !ok {
		return change{}, g.misfit("its size")
	}
	r := groupReader{l: l, g: g}
	var c change
	switch has := g.keys; {
	case has[partMid] != "":
		return c, g.misfit(partMid)
	case kindOf(g.part()) != "product":
		t := r.tensor(g.part())
		n, _ := elements(t.Shape)
		if n != out*in {
			return c, g.misfit(t.Name)
		}
		c = change{up: stored(t, out), scale: 1}
	case g.spec.Role != Linear && g.spec.Role != Conv:
		return c, g.misfit("a product")
	case has[partUp] != "" || has[partDown] != "":
		c = r.lowRank(out, in)
	case has["hada_w1_a"] != "":
		c = r.hadamard(out, in)
	default:
		c = r.kronecker(out, in)
	}
	c.scale *= strength
	return c, r.err
}

// matrix returns the size of the group's tensor as a matrix, a vector's as one column.
func (g *group) matrix() (out, in int, ok bool) {
	n, ok := elements(g.spec.Shape)
	if !ok || n == 0 {
		return 0, 0, false
	}
	switch g.spec.Role {
	case Linear, Conv:
		out = g.spec.Shape[0]
	default:
		out = n
	}
	return out, n / out, true
}

// groupReader reads a group's tensors; the first error sticks.
type groupReader struct {
	l   *LoRA
	g   *group
	err error
}

func (r *groupReader) fail(part string) {
	if r.err == nil {
		r.err = r.g.misfit(part)
	}
}

// tensor returns a part of a float type, or fails.
func (r *groupReader) tensor(part string) (t Tensor) {
	key, ok := r.g.keys[part]
	if !ok {
		r.fail("a missing " + part)
		return t
	}
	t, err := r.l.store.Tensor(key)
	if n, ok := elements(t.Shape); err != nil || !isFloat(t.DType) || !ok || n == 0 {
		r.fail(key)
	}
	return t
}

// matrix is tensor for one of rows and columns, of which 0 is any number; what has more
// dimensions, as of convolutions, has all but the first in a row.
func (r *groupReader) matrix(part string, rows, cols int) factor {
	t := r.tensor(part)
	if r.err != nil {
		return factor{}
	}
	if len(t.Shape) < 2 {
		r.fail(t.Name)
		return factor{}
	}
	f := stored(t, t.Shape[0])
	if rows > 0 && f.rows != rows || cols > 0 && f.cols != cols {
		r.fail(t.Name)
		return factor{}
	}
	return f
}

// scaleOf returns alpha/rank.
func (r *groupReader) scaleOf(rank int) float64 {
	alpha := r.l.config.Alpha
	if _, ok := r.g.keys[partAlpha]; ok {
		t := r.tensor(partAlpha)
		if n, _ := elements(t.Shape); r.err != nil || n != 1 {
			r.fail(t.Name)
			return 0
		}
		values, err := t.Float32s()
		if err != nil || math.IsNaN(float64(values[0])) || math.IsInf(float64(values[0]), 0) {
			r.fail(t.Name)
			return 0
		}
		alpha = float64(values[0])
	} else if alpha == 0 {
		return 1
	}
	if r.l.config.RSLoRA {
		return alpha / math.Sqrt(float64(rank))
	}
	return alpha / float64(rank)
}

// lowRank is up·down.
func (r *groupReader) lowRank(out, in int) (c change) {
	c.down = r.matrix(partDown, 0, in)
	c.up = r.matrix(partUp, out, c.down.rows)
	if r.err == nil {
		c.scale = r.scaleOf(c.down.rows)
	}
	return c
}

// hadamard is (w1a·w1b)*(w2a·w2b), element by element (LoHa): as a product its factors have
// a column or row for each pair of the two products' own. Where these are larger than the
// matrix, the two products stay what they are.
func (r *groupReader) hadamard(out, in int) (c change) {
	w1a := r.matrix("hada_w1_a", out, 0)
	w1b := r.matrix("hada_w1_b", w1a.cols, in)
	w2a := r.matrix("hada_w2_a", out, 0)
	w2b := r.matrix("hada_w2_b", w2a.cols, in)
	if r.err != nil {
		return c
	}
	c.scale = r.scaleOf(w1b.rows)
	pairs := w1b.rows * w2b.rows
	if pairs > cheapRank(out, in) {
		c.up, c.down, c.otherUp, c.otherDown = widened(w1a), turned(w1b), widened(w2a), turned(w2b)
		return c
	}
	c.down = made(w1b.name, pairs, in, func() ([]float32, error) {
		return together(w1b, w2b, func(a, b []float32, to []float32) {
			for i := range w1b.rows {
				for j := range w2b.rows {
					for k := range in {
						to[(i*w2b.rows+j)*in+k] = a[i*in+k] * b[j*in+k]
					}
				}
			}
		}, pairs*in)
	})
	c.up = made(w1a.name, out, pairs, func() ([]float32, error) {
		return together(w1a, w2a, func(a, b []float32, to []float32) {
			for o := range out {
				for i := range w1a.cols {
					for j := range w2a.cols {
						to[o*pairs+i*w2a.cols+j] = a[o*w1a.cols+i] * b[o*w2a.cols+j]
					}
				}
			}
		}, out*pairs)
	})
	return c
}

// kronecker is w1⊗w2 (LoKr), of which each may be a product itself.
func (r *groupReader) kronecker(out, in int) (c change) {
	w1, rank1 := r.either("lokr_w1")
	if r.err != nil {
		return c
	}
	if out%w1.rows != 0 || in%w1.cols != 0 {
		r.fail(w1.name)
		return c
	}
	rows, cols := out/w1.rows, in/w1.cols // of w2
	w2, rank2 := r.either("lokr_w2")
	if r.err == nil && (w2.rows != rows || w2.cols != cols) {
		r.fail(w2.name)
	}
	if r.err != nil {
		return c
	}
	c = change{left: w1, up: w2, scale: 1}
	if rank := cmp.Or(rank2, rank1); rank > 0 {
		c.scale = r.scaleOf(rank)
	}
	if rank2 > 0 && rank2 <= cheapRank(rows, cols) {
		c.up, c.down = r.matrix("lokr_w2_a", rows, rank2), r.matrix("lokr_w2_b", rank2, cols)
	}
	return c
}

// widened is a factor that is F32 on the device.
func widened(f factor) factor { return made(f.name, f.rows, f.cols, f.values) }

// turned is a factor with its rows for columns.
func turned(f factor) factor {
	return made(f.name, f.cols, f.rows, func() ([]float32, error) {
		values, err := f.values()
		to := make([]float32, len(values))
		for i, v := range values {
			to[i%f.cols*f.rows+i/f.cols] = v
		}
		return to, err
	})
}

// either reads a factor that is stored whole or as the product of two others, of a rank; 0
// for one that is whole.
func (r *groupReader) either(part string) (f factor, rank int) {
	if r.g.keys[part] != "" {
		return r.matrix(part, 0, 0), 0
	}
	a := r.matrix(part+"_a", 0, 0)
	b := r.matrix(part+"_b", a.cols, 0)
	if r.err != nil {
		return factor{}, 0
	}
	return made(a.name, a.rows, b.cols, func() ([]float32, error) { return multiply(a, b) }), b.rows
}

// cheapRank is the largest rank at which two factors are smaller than their product.
func cheapRank(out, in int) int { return out * in / (out + in) }

func made(name string, rows, cols int, values func() ([]float32, error)) factor {
	return factor{name: name, rows: rows, cols: cols, made: values}
}

// together computes n values of two factors'.
func together(a, b factor, compute func(a, b, to []float32), n int) ([]float32, error) {
	x, err := a.values()
	if err != nil {
		return nil, err
	}
	y, err := b.values()
	if err != nil {
		return nil, err
	}
	to := make([]float32, n)
	compute(x, y, to)
	return to, nil
}

// multiply returns a·b.
func multiply(a, b factor) ([]float32, error) {
	return together(a, b, func(x, y, to []float32) {
		for i := range a.rows {
			row := to[i*b.cols:][:b.cols]
			for k := range a.cols {
				v := x[i*a.cols+k]
				for j, w := range y[k*b.cols:][:b.cols] {
					row[j] += v * w
				}
			}
		}
	}, a.rows*b.cols)
}

// Side is a product beside that of a layer: y += (Scale * (x·Downᵀ))·Upᵀ, or x·Upᵀ for a Side
// without Down; with Left, the product with Left⊗(Up·Down) or Left⊗Up; with OtherUp, that with
// (Up·Downᵀ)*(OtherUp·OtherDownᵀ), element by element.
type Side struct {
	Left     device.Weight
	Down, Up device.Weight
	Scale    device.Mat // a factor for each row of Down; none for 1

	OtherDown, OtherUp device.Weight
}

// Adapt makes the loader change what it loads.
func (l *Loader) Adapt(a *Adaptation) {
	if a != nil {
		l.changes = a.changes
	}
}

// Sides returns what changes the weight called name.
func (l *Loader) Sides(name string) (sides []Side) {
	for i, c := range l.changes[name] {
		sides = append(sides, l.side(fmt.Sprintf("%s.lora%d", name, i), c))
	}
	return sides
}

// side puts a change on the device. The scale goes with the smallest of its factors.
func (l *Loader) side(label string, c change) (s Side) {
	if c.left.rows > 0 {
		s.Left, c.scale = l.factor(label+".left", c.left, c.scale), 1
	}
	if c.otherUp.rows > 0 {
		s.Up, s.Down = l.factor(label+".up", c.up, c.scale), l.factor(label+".down", c.down, 1)
		s.OtherUp, s.OtherDown = l.factor(label+".other_up", c.otherUp, 1), l.factor(label+".other_down", c.otherDown, 1)
		return s
	}
	if c.down.rows == 0 {
		s.Up = l.factor(label, c.up, c.scale)
		return s
	}
	s.Down, s.Up = l.factor(label+".down", c.down, 1), l.factor(label+".up", c.up, 1)
	if c.scale != 1 {
		s.Scale = l.constant(label+".scale", c.down.rows, float32(c.scale))
	}
	return s
}

// factor puts a factor on the device, times scale: mapped if it is stored and the scale is 1.
func (l *Loader) factor(label string, f factor, scale float64) device.Weight {
	if f.made == nil && scale == 1 {
		return device.DenseWeight(l.mapped(f.data, f.rows, f.cols))
	}
	buf, err := l.dev.Alloc(device.Desc{Label: label, DType: device.F32, Shape: []int{f.rows, f.cols}})
	if err == nil {
		l.buffers = append(l.buffers, buf)
		var failed error
		err = device.Fill(context.Background(), l.dev, buf, func(to []float32) {
			var values []float32
			if values, failed = f.values(); failed != nil {
				return
			}
			for i, v := range values {
				to[i] = v * float32(scale)
			}
		})
		if err == nil {
			err = failed
		}
	}
	if err != nil {
		l.faults.fail(fmt.Errorf("weights: load %s: %w", label, err))
		return device.Weight{}
	}
	return device.DenseWeight(device.AsMat(buf))
}

// constant is a row of equal values.
func (l *Loader) constant(label string, n int, value float32) device.Mat {
	var values []float32
	if !l.dev.Info().Dry {
		values = make([]float32, n)
		for i := range values {
			values[i] = value
		}
	}
	return l.row(label, n, values)
}

// change adds the changes of a vector to its values.
func (l *Loader) change(name string, values []float32) error {
	for _, c := range l.changes[name] {
		by, err := c.up.values()
		if err != nil {
			return err
		}
		for i, v := range by {
			values[i] += float32(c.scale) * v
		}
	}
	return nil
}
