package weights

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"gimbal/inference/device"
)

// What a download has not brought yet, or a disk has lost, reads as zeros in a file of the
// right size. Weights have no such runs of zeros, nor NaN or infinities: a look at samples of
// every tensor finds what is missing, and holes that the file system knows of are found at any
// size. A look at all of it finds everything.
const (
	sampleSize  = 4 << 10
	sampleEvery = 4 << 20 // at most; of 219 GB that is 55,000 samples: seconds from a solid disk
	sampleLeast = 256 << 10
	samplesMost = 16 << 10 // of a store that is not so large that they lie sampleEvery apart
	wholeStore  = 64 << 20 // bytes of a store that is small enough to be looked at whole
	wholeTensor = 64 << 10
	chunkSize   = 1 << 20

	leastZeros = 4 << 10  // bytes of a run that is no accident
	leastCodes = 64 << 10 // of a type of 8 bits or fewer, in which small weights are zeros

	mostFaults = 32 // found before the look ends
)

// CheckSamples looks at samples of every tensor of the layout's parts. The error names those
// that have runs of zeros, NaN or infinities.
func (l *Layout) CheckSamples(ctx context.Context) error {
	var errs []error
	for _, p := range l.tables() {
		errs = append(errs, p.store.checkContents(ctx, p.table, false, func(int64) {}))
	}
	return errors.Join(errs...)
}

// CheckWhole looks at all of every file of the layout: by its hash where the hub's programs
// left it, and else at all tensors. It reports to progress how many of the files' bytes it
// has looked at.
func (l *Layout) CheckWhole(ctx context.Context, progress func(done, total int64)) error {
	var mu sync.Mutex
	var done, total int64
	parts := l.tables()
	for _, p := range parts {
		total += p.store.bytes
	}
	count := func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		done = min(done+n, total)
		progress(done, total)
	}
	var errs []error
	for _, p := range parts {
		hashed := 0
		for _, path := range p.store.Files() {
			if want := HubHash(path); want != "" {
				hashed++
				errs = append(errs, CheckHash(ctx, path, want, count))
			}
		}
		if hashed < len(p.store.files) {
			errs = append(errs, p.store.checkContents(ctx, p.table, true, count))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// partTable is a store and the tensors that its model uses of it.
type partTable struct {
	store *Store
	table Table
}

// tables lists the parts that have weights.
func (l *Layout) tables() (all []partTable) {
	if l.Text != nil {
		sizes, _ := ReadUMT5Sizes(l.Text)
		all = append(all, partTable{l.Text, sizes.Table()})
	}
	if l.VAE != nil {
		sizes, _ := ReadVAESizes(l.VAE)
		all = append(all, partTable{l.VAE, sizes.Table()})
	}
	for _, e := range l.Experts {
		sizes, _ := ReadWanSizes(e.Store, e.Config)
		all = append(all, partTable{e.Store, sizes.Table()})
	}
	return all
}

// Files returns the paths of the store's files.
func (s *Store) Files() (paths []string) {
	for _, f := range s.files {
		paths = append(paths, f.path)
	}
	return paths
}

// looked is a tensor that is to be looked at.
type looked struct {
	name string
	role Role
	side bool // it lies beside a tensor: its scales, or what else its format takes
	lora bool // it is of a LoRA, in which what is not trained is zeros
	*entry
}

// contentCheck looks at tensors.
type contentCheck struct {
	full     bool
	every    int64 // bytes from one sample to the next
	files    map[*mapping]*os.File
	holes    map[*mapping][]span
	progress func(n int64)

	mu    sync.Mutex // guards what follows
	found []contentFault
}

// contentFault is what is wrong with what a tensor holds.
type contentFault struct {
	looked
	field, found, want string
}

// err returns what was found, in the order of the files.
func (c *contentCheck) err(s *Store) error {
	slices.SortFunc(c.found, func(a, b contentFault) int {
		return cmp.Or(cmp.Compare(a.file.path, b.file.path), cmp.Compare(a.offset, b.offset))
	})
	var all faults
	for _, f := range c.found {
		all.add(f.name, f.field, &Error{f.file.path, tensorField(f.name, f.field), f.found, f.want})
	}
	return all.err(s)
}

func (s *Store) checkContents(ctx context.Context, table Table, full bool, progress func(n int64)) error {
	return s.checkTensors(ctx, s.toLookAt(table), full, progress)
}

// CheckSamples looks at samples of every tensor, as those of a model are looked at.
func (l *LoRA) CheckSamples(ctx context.Context) error {
	var all []looked
	for _, name := range l.store.names {
		if e := l.store.tensors[name]; e.data == nil && e.size > 0 && e.dtype != device.I32 && e.dtype != device.I64 {
			all = append(all, looked{name: name, lora: true, entry: e})
		}
	}
	inFileOrder(all)
	return l.store.checkTensors(ctx, all, false, func(int64) {})
}

func (s *Store) checkTensors(ctx context.Context, tensors []looked, full bool, progress func(n int64)) error {
	c := &contentCheck{full: full || s.bytes <= wholeStore, every: min(max(s.bytes/samplesMost, sampleLeast), sampleEvery), files: map[*mapping]*os.File{}, holes: map[*mapping][]span{}, progress: progress}
	for _, m := range s.files {
		f, err := os.Open(m.path)
		if err != nil {
			return fmt.Errorf("weights: %w", err)
		}
		defer f.Close()
		c.files[m] = f
		if !c.full {
			c.holes[m] = holesOf(f, int64(len(m.data)))
		}
	}
	if err := c.all(ctx, tensors); err != nil {
		return err
	}
	return c.err(s)
}

// toLookAt lists the tensors that the model uses, with those beside them.
func (s *Store) toLookAt(table Table) (all []looked) {
	add := func(name string, role Role, side bool) {
		if e := s.tensors[name]; e != nil && e.data == nil && e.size > 0 && e.dtype != device.I32 && e.dtype != device.I64 {
			all = append(all, looked{name: name, role: role, side: side, entry: e})
		}
	}
	for _, spec := range table {
		add(spec.Name, spec.Role, false)
		for _, side := range s.format(spec.Name).sides(spec.Name) {
			add(side, spec.Role, true)
		}
	}
	inFileOrder(all)
	return all
}

// inFileOrder sorts tensors so that a disk's head moves one way.
func inFileOrder(all []looked) {
	slices.SortStableFunc(all, func(a, b looked) int { return int(a.offset/chunkSize - b.offset/chunkSize) })
}

// all looks at tensors, several at a time: a disk is at its best then.
func (c *contentCheck) all(ctx context.Context, tensors []looked) error {
	workers := 16
	if c.full {
		workers = runtime.NumCPU()
	}
	next := make(chan looked)
	errs := make([]error, workers)
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			buf := make([]byte, chunkSize)
			for t := range next {
				if errs[i] == nil {
					errs[i] = c.look(ctx, t, buf)
				}
			}
		})
	}
	for _, t := range tensors {
		if ctx.Err() != nil || c.enough() {
			break
		}
		next <- t
	}
	close(next)
	group.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

func (c *contentCheck) enough() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.found) >= mostFaults
}

// look looks at a tensor: at samples first, and at all of it where they are suspicious.
func (c *contentCheck) look(ctx context.Context, t looked, buf []byte) error {
	whole := c.full || t.size <= wholeTensor || slices.ContainsFunc(c.holes[t.file], func(h span) bool { return h.begin < t.offset+t.size && t.offset < h.end })
	if !whole {
		suspicious, err := c.samples(ctx, t, buf[:sampleSize])
		if err != nil || !suspicious {
			return err
		}
	}
	return c.whole(ctx, t, buf)
}

// samples reads samples of t and reports whether one is of zeros or holds no number.
func (c *contentCheck) samples(ctx context.Context, t looked, buf []byte) (suspicious bool, err error) {
	for at := int64(0); ; at = min(at+c.every, (t.size-sampleSize)/sampleSize*sampleSize) {
		if err := c.read(ctx, t, at, buf); err != nil {
			return false, err
		}
		if allZeros(buf) || notNumber(buf, t.dtype) >= 0 {
			return true, nil
		}
		if at+2*sampleSize > t.size {
			return false, nil
		}
	}
}

func (c *contentCheck) read(ctx context.Context, t looked, at int64, buf []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, err := c.files[t.file].ReadAt(buf, t.offset+at); err != nil {
		return fmt.Errorf("weights: %s: tensor %q at byte %d: %w", t.file.path, t.name, t.offset+at, err)
	}
	c.progress(int64(len(buf)))
	return nil
}

// whole reads all of t.
func (c *contentCheck) whole(ctx context.Context, t looked, buf []byte) error {
	zeros := zeroRuns{least: leastZeros}
	if t.dtype.Valid() && t.dtype.Size() == 1 || t.block != device.Dense {
		zeros.least = leastCodes
	}
	if !t.side && !t.lora {
		zeros.least = min(zeros.least, t.size) // a small one that is zeros only
	}
	for at := int64(0); at < t.size; {
		chunk := buf[:min(int64(len(buf)), t.size-at)]
		if err := c.read(ctx, t, at, chunk); err != nil {
			return err
		}
		if i := notNumber(chunk, t.dtype); i >= 0 {
			c.fault(t, "values", fmt.Sprintf("NaN or an infinity at byte %d of it", at+int64(i)), "numbers (is the download complete, and the disk sound?)")
			return nil
		}
		at += int64(len(chunk))
		for run, ok := zeros.next(chunk, at == t.size); ok; run, ok = zeros.next(nil, at == t.size) {
			if c.run(t, run) {
				return nil
			}
		}
	}
	return nil
}

// run looks at a run of zeros and reports whether it is a fault.
func (c *contentCheck) run(t looked, run span) bool {
	found := fmt.Sprintf("%d bytes of zeros from byte %d of it on", run.end-run.begin, run.begin)
	if run == (span{0, t.size}) {
		if t.role == Bias || t.role == Modulation || t.lora || startsAtZero(t.name) {
			return false
		}
		found = "zeros only"
	} else if (t.role == Embedding || t.lora) && t.wholeRows(run) { // words without a vector, ranks that are not used
		return false
	}
	c.fault(t, "contents", found, "weights (is the download complete, and the disk sound?)")
	return true
}

// startsAtZero reports whether a tensor, or that beside which it lies, is of a layer that is
// added to a model and changes nothing until it is trained, for its weights begin as zeros: a
// fine-tune may have left it so. What a download left out hardly ends where such a tensor does.
func startsAtZero(name string) bool {
	return name == cameraWeight || strings.HasPrefix(name, "c2ws_hidden_states_layer2.weight") || strings.HasPrefix(name, "blocks.") &&
		slices.ContainsFunc([]string{".cam_injector_layer2.weight", ".cam_scale_layer.weight", ".cam_shift_layer.weight"},
			func(layer string) bool { return strings.Contains(name, layer) })
}

// untrained lists the weights of such layers that hold zeros only, by their beginning: where it
// is not so, a look at their contents says it.
func (s *Store) untrained(table Table) (names []string) {
	for _, spec := range table {
		e := s.tensors[spec.Name]
		if e != nil && e.data == nil && e.file != nil && e.size > 0 && startsAtZero(spec.Name) && allZeros(e.file.data[e.offset:e.offset+min(e.size, sampleSize)]) {
			names = append(names, spec.Name)
		}
	}
	return names
}

// wholeRows reports whether a range is of whole rows of a matrix: those of words that no
// text has may be zeros.
func (t looked) wholeRows(run span) bool {
	if len(t.shape) == 0 || t.shape[0] == 0 {
		return false
	}
	row := t.size / int64(t.shape[0])
	near := func(at int64) bool { return at%row <= 8 || row-at%row <= 8 } // zeros of a value beside it
	return row > 0 && near(run.begin) && near(run.end)
}

func (c *contentCheck) fault(t looked, field, found, want string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = append(c.found, contentFault{t, field, found, want})
}

// zeroRuns finds the runs of zeros of at least so many bytes in what is read piece by piece.
type zeroRuns struct {
	least int64

	rest  []byte // of the piece that is looked at
	at    int64  // where rest begins
	begin int64  // of the zeros before it
}

// next returns the next run in the piece, which begins where the last one ended; nil goes on
// with it. A run at the end of a piece is returned when it ends, or with the last piece.
func (z *zeroRuns) next(piece []byte, last bool) (run span, ok bool) {
	if piece != nil {
		z.rest = piece
	}
	for len(z.rest) > 0 {
		n := min(8, len(z.rest))
		word := wordOf(z.rest)
		begin, end := z.begin, z.at+int64(bits.TrailingZeros64(word)/8)
		z.rest, z.at = z.rest[n:], z.at+int64(n)
		if word == 0 {
			continue
		}
		z.begin = z.at + int64(8-n) - int64(bits.LeadingZeros64(word)/8)
		if end-begin >= z.least {
			return span{begin, end}, true
		}
	}
	if last && z.at-z.begin >= z.least {
		run, z.begin = span{z.begin, z.at}, z.at
		return run, true
	}
	return span{}, false
}

// wordOf returns the first eight bytes, the last of them zeros where there are fewer.
func wordOf(data []byte) uint64 {
	if len(data) >= 8 {
		return binary.LittleEndian.Uint64(data)
	}
	var word [8]byte
	copy(word[:], data)
	return binary.LittleEndian.Uint64(word[:])
}

func allZeros(data []byte) bool {
	for ; len(data) > 0; data = data[min(8, len(data)):] {
		if wordOf(data) != 0 {
			return false
		}
	}
	return true
}

// lanes are how the values of a type lie in a word: the bits that are all set in what is no
// number, and the lowest and highest bit of each value.
type lanes struct{ exponent, low, high uint64 }

var lanesOf = map[device.DType]lanes{
	device.F32:    {0x7f800000_7f800000, 0x00000001_00000001, 0x80000000_80000000},
	device.F16:    {0x7c00_7c00_7c00_7c00, 0x0001_0001_0001_0001, 0x8000_8000_8000_8000},
	device.BF16:   {0x7f80_7f80_7f80_7f80, 0x0001_0001_0001_0001, 0x8000_8000_8000_8000},
	device.F8E4M3: {0x7f7f7f7f_7f7f7f7f, 0x01010101_01010101, 0x80808080_80808080},
	device.F8E5M2: {0x7c7c7c7c_7c7c7c7c, 0x01010101_01010101, 0x80808080_80808080},
}

// notNumber returns where the first eight bytes begin that hold a NaN or an infinity; -1 for
// nowhere, and for types that have none. A value whose exponent's bits are all set makes a
// lane of zeros, which https://graphics.stanford.edu/~seander/bithacks.html#ZeroInWord finds.
func notNumber(data []byte, t device.DType) int {
	l, ok := lanesOf[t]
	if !ok {
		return -1
	}
	for i := 0; i < len(data); i += 8 {
		y := wordOf(data[i:])&l.exponent ^ l.exponent
		if (y-l.low)&^y&l.high != 0 {
			return i
		}
	}
	return -1
}

// holesOf returns the parts of a file that its file system keeps no data of, the first of them
// if they are many.
func holesOf(f *os.File, size int64) (holes []span) {
	const most = 1000
	for at := int64(0); at < size && len(holes) < most; {
		begin, err := unix.Seek(int(f.Fd()), at, unix.SEEK_HOLE)
		if err != nil || begin >= size {
			return holes
		}
		end, err := unix.Seek(int(f.Fd()), begin, unix.SEEK_DATA)
		if err != nil || end > size {
			end = size // nothing but a hole up to the end
		}
		holes = append(holes, span{begin, end})
		at = end
	}
	return holes
}
