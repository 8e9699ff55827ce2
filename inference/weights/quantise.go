package weights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
)

// AsStored leaves weights in the format that the checkpoint has them in.
const AsStored Format = "none"

// Quant says how an expert's linear layers are kept. The zero value is AsStored.
type Quant struct {
	Format Format `json:"kind"`
	// Nested keeps the scales of NF4 in 8 bits (bitsandbytes' double quantisation).
	Nested bool `json:"nested,omitempty"`
}

// Enabled reports whether q asks for quantised weights.
func (q Quant) Enabled() bool { return q.Format != Dense && q.Format != AsStored }

// Validate returns an error unless q is one of the choices there are.
func (q Quant) Validate() error {
	switch {
	case q.Nested && q.Format != NF4:
		return fmt.Errorf("double_quant: goes with quant nf4 only")
	case q.Enabled() && q.encoder() == nil:
		return fmt.Errorf("quant: %q, want %s, %s, %s or %s", q.Format, AsStored, BF16, INT8, NF4)
	}
	return nil
}

// String names q, as files and messages do.
func (q Quant) String() string {
	switch {
	case !q.Enabled():
		return string(AsStored)
	case q.Nested:
		return string(q.Format) + "-double"
	}
	return string(q.Format)
}

// ParseQuant reads what String writes.
func ParseQuant(text string) (Quant, error) {
	name, nested := strings.CutSuffix(text, "-double")
	q := Quant{Format(name), nested}
	return q, q.Validate()
}

// encoder returns the format that q asks for, nil if there is none.
func (q Quant) encoder() encoder {
	for _, f := range formats {
		if e, ok := f.(encoder); ok && f.name() == q.Format {
			return e
		}
	}
	return nil
}

// OpenQuantised returns the weights of an expert of the checkpoint in folder dir, whose
// weights as they are there are in source, quantised as q says: source itself or
// the folder EXPERT_bnb_FORMAT if the checkpoint brings them so, or else a derived
// file, which it makes first if there is none of this very source. That tells
// progress how many bytes of source are done. Weights in another format are widened first.
func OpenQuantised(ctx context.Context, dir, expert string, source *Store, q Quant, progress func(done, total int64)) (*Store, error) {
	if store, err := openFetched(dir, expert, source, q); store != nil || err != nil {
		return store, err
	}
	d, err := deriveFrom(source, expert, q)
	if err != nil {
		return nil, err
	}
	if store := d.open(dir); store != nil {
		return store, nil
	}
	c, err := newConverter(ctx, source, source.plain(), q, progress)
	if err != nil {
		return nil, err
	}
	store, err := d.write(ctx, dir, c.sources)
	if err != nil {
		return nil, fmt.Errorf("quantising %s: %w", source.Path(), err)
	}
	return store, nil
}

// HasQuantised reports whether OpenQuantised need not make anything: the quantised
// weights are in the checkpoint or in a derived file. It looks at the files' names only.
func HasQuantised(dir, expert string, source *Store, q Quant) bool {
	if _, err := os.Stat(filepath.Join(dir, fetchedDir(expert, q.Format))); source.Quantised() == q.Format || q.Format == BF16 && !source.wide() || err == nil {
		return true
	}
	if !(derived{part: expert, recipe: q.String()}).exists(dir) { // the fingerprint takes time
		return false
	}
	d, err := deriveFrom(source, expert, q)
	return err == nil && d.exists(dir)
}

// DryQuantised returns the tensors that OpenQuantised would give, without data: it makes
// nothing. Where the checkpoint brings quantised weights it returns those, which may be
// source itself. missing is the size of the file that OpenQuantised would make, 0 if
// there seems to be one, and folder the place for it.
func DryQuantised(dir, expert string, source *Store, q Quant) (store *Store, missing int64, folder string, err error) {
	if store, err := openFetched(dir, expert, source, q); store != nil || err != nil {
		return store, 0, "", err
	}
	conversions := planConversion(source, source.plain(), q)
	tensors := make([]Tensor, len(conversions))
	for i, c := range conversions {
		tensors[i] = c.Tensor
	}
	store = OfShapes(source.Path(), tensors)
	if (derived{part: expert, recipe: q.String()}).exists(dir) {
		return store, 0, "", nil
	}
	return store, store.Bytes(), derivedDirs(dir)[0], nil
}

// fetchedDir returns the folder of an expert's quantised weights in a checkpoint that
// brings them.
func fetchedDir(expert string, f Format) string { return expert + "_bnb_" + string(f) }

// openFetched returns the quantised weights that the checkpoint brings, nil if it brings
// none.
func openFetched(dir, expert string, source *Store, q Quant) (*Store, error) {
	found := source.Quantised()
	if found == q.Format || found == Dense && q.Format == BF16 && !source.wide() {
		return source, nil
	}
	path := filepath.Join(dir, fetchedDir(expert, q.Format))
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return Open(path)
}

// conversion is a tensor of a converted file.
type conversion struct {
	Tensor        // its data is known only if it is written as it is
	of     Tensor // what it is made of, with data unless it is to be widened
	place  int    // among those that the encoder makes of it; -1 if it is written as it is
}

// plain lists the tensors of s without data as a model sees them: those of a float type as
// they are stored, those of other formats in F32, without what lies beside them.
func (s *Store) plain() []Tensor {
	list := s.Shapes()
	beside := map[string]bool{}
	for i, t := range list {
		if f := s.format(t.Name); f.name() != Dense {
			list[i].DType, list[i].Shape = device.F32, f.shape(s, t.Name)
			for _, side := range f.sides(t.Name) {
				beside[side] = true
			}
		}
	}
	return slices.DeleteFunc(list, func(t Tensor) bool { return beside[t.Name] })
}

// filled returns the tensor t of plain with its data, widened if need be.
func (s *Store) filled(t Tensor) (Tensor, error) {
	if t.Data != nil || t.Bytes() == 0 {
		return t, nil
	}
	if s.Format(t.Name) == Dense {
		return s.Tensor(t.Name)
	}
	values, err := s.Values(t.Name)
	if err != nil {
		return t, err
	}
	t.Data = device.Bytes(values)
	return t, nil
}

// planConversion lists what an expert's tensors become, in an order that aligns each to its
// type unless sizes are odd: layer by layer what is quantised, then what stays as it is,
// widest types first, then what has no dimensions.
func planConversion(source *Store, tensors []Tensor, q Quant) []conversion {
	sizes, _ := ReadWanSizes(source, WanConfig{}) // whoever loads the expert says what is wrong
	specs := sizes.Table().byName()
	var scalars []conversion
	layers, others := make([]conversion, 0, 3*len(tensors)), make([]conversion, 0, len(tensors))
	for _, t := range tensors {
		if !specs[t.Name].Quantise || len(t.Shape) != 2 || t.Bytes() == 0 || t.Shape[0]*t.Shape[1]%2 != 0 || !isFloat(t.DType) || q.Format == BF16 && t.DType != device.F32 {
			others = append(others, conversion{t, t, -1})
			continue
		}
		for i, x := range q.encoder().plan(t, q) {
			if len(x.Shape) == 0 {
				scalars = append(scalars, conversion{x, t, -1})
			} else {
				layers = append(layers, conversion{x, t, i})
			}
		}
	}
	slices.SortStableFunc(others, func(a, b conversion) int { return b.DType.Size() - a.DType.Size() })
	return slices.Concat(layers, others, scalars)
}

// converter makes the tensors of a file that holds an expert, quantised: one layer after
// the other, in the same memory.
type converter struct {
	ctx         context.Context
	source      *Store
	q           Quant
	progress    func(done, total int64)
	done, total int64
	buffers     buffers
	of          Tensor   // the layer at hand, with its data
	encoded     [][]byte // what it became
	sources     []Source // to be written in this order, once
}

// newConverter plans the file of tensors, which are some of source's as plain lists them;
// progress is told how many bytes of source are done.
func newConverter(ctx context.Context, source *Store, tensors []Tensor, q Quant, progress func(done, total int64)) (*converter, error) {
	c := &converter{ctx: ctx, source: source, q: q, progress: progress}
	for i, t := range tensors {
		c.total += t.Bytes()
		if source.Format(t.Name) == Dense {
			tensors[i], _ = source.Tensor(t.Name)
		}
	}
	for _, x := range planConversion(source, tensors, q) {
		c.sources = append(c.sources, Source{x.Name, x.DType, x.Shape, func(to io.Writer) error { return c.write(to, x) }})
	}
	return c, nil
}

// write writes one tensor. The first of a layer's encodes it.
func (c *converter) write(to io.Writer, x conversion) (err error) {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if x.place == 0 {
		if c.of, err = c.source.filled(x.of); err != nil {
			return err
		}
		if c.encoded, err = c.q.encoder().encode(c.ctx, &c.buffers, c.of, c.q); err != nil {
			return err
		}
	}
	data := x.Data
	if x.place < 0 && data == nil && x.Name == x.of.Name {
		filled, err := c.source.filled(x.of)
		if err != nil {
			return err
		}
		data = filled.Data
	}
	if x.place >= 0 {
		data = c.encoded[x.place]
	}
	if x.place < 0 {
		mapped.Touch(data, os.Getpagesize()) // writing what is lost is an error that does not say so
	}
	if err := mapped.Lost(); err != nil {
		return err
	}
	if _, err := to.Write(data); err != nil {
		return err
	}
	if x.Name == x.of.Name {
		c.done += x.of.Bytes()
		c.progress(c.done, c.total)
	}
	return nil
}
