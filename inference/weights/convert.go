package weights

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/gofrs/flock"

	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
	"gimbal/inference/output"
)

// Target is a form in which Convert writes a model.
type Target string

// The targets. INT8 and NF4 are for experts.
const (
	ToBF16      Target = "bf16" // every tensor, as in the original checkpoints
	ToINT8      Target = "int8"
	ToNF4       Target = "nf4"
	ToNF4Double Target = "nf4-double"
	ToQ8        Target = "q8_0" // GGUF
	ToQ4K       Target = "q4_k" // GGUF; rows that are no multiple of 256 become Q8_0
)

// Targets lists the targets.
var Targets = []Target{ToBF16, ToINT8, ToNF4, ToNF4Double, ToQ8, ToQ4K}

// Extension is what the names of files of the target end in.
func (t Target) Extension() string {
	if t.inGGUF() {
		return ".gguf"
	}
	return ".safetensors"
}

func (t Target) inGGUF() bool { return t == ToQ8 || t == ToQ4K }

// Converted says what Convert wrote.
type Converted struct {
	Path   string
	Bytes  int64
	Unused []string // tensors of the source that the model does not use: they are left out
	// Worst is the matrix that differs most from the source's, and Error by how much: the
	// relative L2 error of a sample of its rows, read back from the file.
	Worst string
	Error float64
}

// The metadata by which Convert knows what it wrote, beside metaBase and metaRecipe.
const metaMade = "gimbal.converted"

// Convert writes the model of a kind that source holds to a file, with the names of the original
// checkpoints. The file is there when it is complete, on disk and read back; what a killed
// process left of it, path.part, is begun anew. A file that it wrote before of the same source
// is kept; any other is an error. It tells progress how many of the source's bytes are done.
func Convert(ctx context.Context, source *Store, kind Kind, to Target, path string, progress func(done, total int64)) (Converted, error) {
	c := &conversionTo{ctx: ctx, source: source, to: to, path: path, progress: progress}
	switch done, err := c.begin(kind); {
	case err != nil:
		return Converted{}, err
	case !done:
		if err := c.write(); err != nil {
			return Converted{}, fmt.Errorf("converting %s: %w", source.Path(), err)
		}
	}
	return c.result(path)
}

// conversionTo is a model on its way to a file.
type conversionTo struct {
	ctx      context.Context
	source   *Store
	table    Table
	kind     Kind
	to       Target
	path     string
	metadata map[string]string
	progress func(done, total int64)

	done, total int64
}

// begin finds what is to be written, and reports whether it is there already.
func (c *conversionTo) begin(kind Kind) (done bool, err error) {
	if !slices.Contains(Targets, c.to) {
		return false, fmt.Errorf("convert to %q: want one of %v", c.to, Targets)
	}
	if err := c.of(kind); err != nil {
		return false, err
	}
	base, err := c.source.Fingerprint()
	if err != nil {
		return false, err
	}
	c.metadata = map[string]string{"format": "pt", metaBase: base, metaRecipe: string(c.to), metaMade: string(kind)}
	if c.to.inGGUF() {
		delete(c.metadata, "format")
	}
	return c.already()
}

// of takes the model's table, and checks that the source has it.
func (c *conversionTo) of(kind Kind) error {
	if err := c.source.mustBe(kind); err != nil {
		return err
	}
	c.kind = kind
	var err error
	switch kind {
	case KindExpert:
		var sizes WanSizes
		sizes, err = ReadWanSizes(c.source, WanConfig{})
		c.table = sizes.Table()
	case KindText:
		var sizes UMT5Sizes
		sizes, err = ReadUMT5Sizes(c.source)
		c.table = sizes.Table()
	case KindVAE:
		var sizes VAESizes
		sizes, err = ReadVAESizes(c.source)
		c.table = sizes.Table()
	}
	if err != nil {
		return err
	}
	if c.to.quant().Enabled() && !slices.ContainsFunc(c.table, func(s Spec) bool { return s.Quantise }) {
		return fmt.Errorf("%s: %s is for experts, not for the %s", c.source.Path(), c.to, kind)
	}
	var all faults
	for _, spec := range c.table {
		switch shape := c.source.Shape(spec.Name); {
		case !c.source.Has(spec.Name):
			all.add(spec.Name, "", &Error{c.source.path, tensorField(spec.Name, ""), "none of this name", c.source.nearest(spec.Name)})
		case shape == nil:
			_, err := c.source.Tensor(spec.Name)
			all.fail(cmp.Or(err, c.source.fault(spec.Name, "", "a weight that cannot be read", "one in a format that is known")))
		default:
			c.total += 4 * sizeOfShape(shape)
		}
	}
	return all.err(c.source)
}

func sizeOfShape(shape []int) int64 {
	n, _ := elements(shape)
	return int64(n)
}

// quant is the target as one of the formats that are made at first use; not enabled for others.
func (t Target) quant() Quant {
	if t == ToINT8 || t == ToNF4 || t == ToNF4Double {
		q, _ := ParseQuant(string(t))
		return q
	}
	return Quant{}
}

// already reports whether the file is there, of the same source. The error is about another one.
func (c *conversionTo) already() (bool, error) {
	if _, err := os.Lstat(c.path); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	store, err := Open(c.path)
	if err != nil {
		return false, &Error{c.path, "file", "one that is there already, and is no such model", "another name, or that file moved away"}
	}
	defer store.Close()
	for key, value := range c.metadata {
		if store.note(key) != value {
			return false, &Error{c.path, "file", "one that is there already, of other weights", "another name, or that file moved away"}
		}
	}
	return true, nil
}

// note returns the text that a file carries under a key.
func (s *Store) note(key string) string {
	if texts := s.gguf[key].strings(); len(texts) == 1 {
		return texts[0]
	}
	return s.metadata[key]
}

// partSuffix is behind the name of a file that is not complete: whoever opens a model sees that
// it is not, as it is that of unfinished downloads.
const partSuffix = ".part"

func (c *conversionTo) write() error {
	tensors, err := c.tensors()
	if err != nil {
		return err
	}
	header, size, err := c.header(tensors)
	if err != nil {
		return err
	}
	if err := output.CheckRoom(output.Need{Folder: filepath.Dir(c.path), Bytes: size}); err != nil {
		return err
	}
	part := c.path + partSuffix
	lock := flock.New(part)
	if ok, err := lock.TryLock(); err != nil || !ok {
		return fmt.Errorf("%s: another process writes it (%v)", part, err)
	}
	defer lock.Unlock()
	file, err := os.OpenFile(part, os.O_RDWR|os.O_TRUNC, 0o644)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	sum, err := c.fill(file, header, tensors)
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = readBack(c.ctx, file, sum)
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(part, c.path)
	}
	if err != nil {
		os.Remove(part)
		return err
	}
	return syncFolder(filepath.Dir(c.path))
}

// syncFolder waits until a folder's entries are on disk.
func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// fill writes the file and returns the hash of what was written.
func (c *conversionTo) fill(file io.Writer, header []byte, tensors []written) (sum []byte, err error) {
	digest := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(file, digest), 1<<20)
	_, err = w.Write(header)
	for _, t := range tensors {
		if err == nil {
			err = writeTensor(w, c.path, t.Source)
		}
		if err == nil && c.to.inGGUF() {
			_, err = w.Write(make([]byte, padding(t.size())))
		}
	}
	if err == nil {
		err = w.Flush()
	}
	return digest.Sum(nil), err
}

// readBack compares a file with the hash of what was written.
func readBack(ctx context.Context, file io.ReadSeeker, sum []byte) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	found, err := sumOf(ctx, file)
	if err != nil {
		return err
	}
	if !bytes.Equal(found, sum) {
		return errors.New("what was read back differs from what was written: the disk is not sound")
	}
	return nil
}

// sumOf returns the hash of what is left to read.
func sumOf(ctx context.Context, r io.Reader) ([]byte, error) {
	digest := sha256.New()
	_, err := io.Copy(digest, &contextReader{ctx, r})
	return digest.Sum(nil), err
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// header returns what comes before the tensors, and the file's size.
func (c *conversionTo) header(tensors []written) (header []byte, size int64, err error) {
	if c.to.inGGUF() {
		header = ggufHeader(c.kind, tensors, c.metadata)
	} else {
		sources := make([]Source, len(tensors))
		for i, t := range tensors {
			sources[i] = t.Source
		}
		header, err = safetensorsHeader(c.path, sources, c.metadata)
	}
	size = int64(len(header))
	for _, t := range tensors {
		size += t.size()
		if c.to.inGGUF() {
			size += int64(padding(t.size()))
		}
	}
	return header, size, err
}

// tensors lists what is written, in order.
func (c *conversionTo) tensors() (all []written, err error) {
	if q := c.to.quant(); q.Enabled() {
		made, err := newConverter(c.ctx, c.source, c.used(), q, c.progress)
		if err != nil {
			return nil, err
		}
		for _, s := range made.sources {
			all = append(all, written{Source: s})
		}
		return all, nil
	}
	for _, spec := range c.table {
		all = append(all, c.tensor(spec))
	}
	if !c.to.inGGUF() { // aligned by the widest type
		slices.SortStableFunc(all, func(a, b written) int { return b.DType.Size() - a.DType.Size() })
	}
	return all, nil
}

// used lists the source's tensors that the model uses.
func (c *conversionTo) used() []Tensor {
	specs := c.table.byName()
	return slices.DeleteFunc(c.source.plain(), func(t Tensor) bool {
		_, ok := specs[t.Name]
		return !ok
	})
}

// tensor says how a tensor is written: the weights of linear layers in the target's format, what
// is small in F32, the rest in the float type that it has.
func (c *conversionTo) tensor(spec Spec) written {
	shape := c.source.Shape(spec.Name)
	dtype, format := c.dense(spec, shape), device.Dense
	if c.to.inGGUF() && spec.Role == Linear && (spec.Quantise || c.kind == KindText) && len(shape) == 2 {
		switch values, _ := device.Q4_K.Block(); {
		case c.to == ToQ4K && shape[1]%values == 0:
			format = device.Q4_K
		case shape[1]%32 == 0:
			format = device.Q8_0
		}
	}
	t := written{Source: Source{Name: spec.Name, DType: dtype, Shape: shape}, format: format, shape: shape}
	rows, cols := 1, 1
	if len(shape) > 0 {
		rows = shape[0]
		cols = int(sizeOfShape(shape[1:]))
	}
	rowBytes, encode := cols*dtype.Size(), func(to []byte, from []float32) { narrow(to, from, dtype) }
	if format != device.Dense {
		rowBytes, encode = format.RowBytes(cols), packers[format]
		t.DType, t.Shape = device.U8, []int{rows, rowBytes}
	}
	t.Write = func(w io.Writer) error { return c.rows(w, spec.Name, rows, cols, rowBytes, encode) }
	return t
}

// dense is the float type in which a tensor is written that is not quantised.
func (c *conversionTo) dense(spec Spec, shape []int) device.DType {
	stored := device.F32
	if e := c.source.tensors[spec.Name]; e.block == device.Dense && (e.dtype == device.F16 || e.dtype == device.BF16) && c.source.Format(spec.Name) == Dense {
		stored = e.dtype
	}
	switch {
	case c.to.inGGUF() && (len(shape) < 2 || spec.Role == Conv || sizeOfShape(shape) <= 1024 || spec.Role == Modulation):
		return device.F32
	case c.to == ToBF16 && c.kind != KindVAE:
		return device.BF16
	}
	return stored
}

// rows widens a tensor's rows, encodes them on all cores and writes them.
func (c *conversionTo) rows(w io.Writer, name string, rows, cols, rowBytes int, encode func(to []byte, from []float32)) error {
	per := max(1, (1<<16)/max(1, cols)) // a core's share stays in its cache
	workers := runtime.GOMAXPROCS(0)
	buf := make([]byte, min(rows, per*workers*4)*rowBytes)
	for first := 0; first < rows; first += per * workers * 4 {
		n := min(per*workers*4, rows-first)
		if err := c.encodeRows(name, first, n, per, cols, rowBytes, encode, buf); err != nil {
			return err
		}
		if _, err := w.Write(buf[:n*rowBytes]); err != nil {
			return err
		}
		c.done += 4 * int64(n) * int64(cols)
		c.progress(c.done, c.total)
	}
	return mapped.Lost()
}

// encodeRows encodes n rows from row first on to buf, so many on a core at a time.
func (c *conversionTo) encodeRows(name string, first, n, per, cols, rowBytes int, encode func(to []byte, from []float32), buf []byte) error {
	jobs := make(chan int)
	errs := make([]error, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			for at := range jobs {
				m := min(per, n-at)
				values, err := c.source.Rows(name, first+at, m)
				if err == nil {
					err = finite(name, values)
				}
				if err != nil {
					errs[i] = errors.Join(errs[i], err)
					continue
				}
				for r := range m {
					encode(buf[(at+r)*rowBytes:(at+r+1)*rowBytes], values[r*cols:(r+1)*cols])
				}
			}
		})
	}
	for at := 0; at < n && c.ctx.Err() == nil; at += per {
		jobs <- at
	}
	close(jobs)
	group.Wait()
	return errors.Join(append(errs, c.ctx.Err())...)
}

func finite(name string, values []float32) error {
	for _, v := range values {
		if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("tensor %q: found NaN or infinity, expected finite weights (is the download complete?)", name)
		}
	}
	return nil
}

// result opens what was written as whoever loads it does, and compares a sample of the rows of
// every matrix with the source's.
func (c *conversionTo) result(path string) (Converted, error) {
	store, err := OpenKind(path, c.kind)
	if err != nil {
		return Converted{}, err
	}
	defer store.Close()
	if err := store.mustBe(c.kind); err != nil {
		return Converted{}, err
	}
	r := Converted{Path: path, Bytes: store.Bytes(), Unused: c.table.Unused(c.source)}
	for _, spec := range c.table {
		shape := store.Shape(spec.Name)
		if !slices.Equal(shape, c.source.Shape(spec.Name)) {
			return r, &Error{path, tensorField(spec.Name, "shape"), fmt.Sprint(shape), fmt.Sprint(c.source.Shape(spec.Name))}
		}
		if len(shape) < 2 || sizeOfShape(shape) == 0 {
			continue
		}
		off, err := c.differ(store, spec.Name, shape[0])
		if err != nil {
			return r, err
		}
		if off > r.Error || r.Worst == "" {
			r.Worst, r.Error = spec.Name, off
		}
	}
	return r, nil
}

// differ returns the relative L2 error of rows from the beginning, the middle and the end.
func (c *conversionTo) differ(store *Store, name string, rows int) (float64, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	var diff, norm float64
	n := min(8, rows)
	for _, first := range []int{0, (rows - n) / 2, rows - n} {
		want, err := c.source.Rows(name, first, n)
		if err != nil {
			return 0, err
		}
		got, err := store.Rows(name, first, n)
		if err != nil {
			return 0, err
		}
		for i := range want {
			d := float64(got[i]) - float64(want[i])
			diff, norm = diff+d*d, norm+float64(want[i])*float64(want[i])
		}
	}
	if diff == 0 {
		return 0, nil
	}
	return math.Sqrt(diff / norm), nil
}
