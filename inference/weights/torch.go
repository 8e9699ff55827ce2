package weights

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gimbal/inference/device"
)

const zipMagic = "PK\x03\x04"

// Limits on a torch archive: it has one member a storage and a few more, and a
// directory of about 100 bytes for each.
const (
	maxMembers   = 1 << 17
	maxDirectory = 64 << 20
)

// parseTorch reads the directory and data.pkl of a file that torch.save wrote in its zip
// format (torch 1.6 and later; .pth, .pt, .bin). The file holds a dictionary of tensors
// or parameters, maybe under "state_dict" or "model"; a pickle that names anything else
// is refused.
func parseTorch(file *mapping) (contents, error) {
	a, err := openArchive(file)
	if err != nil {
		return contents{}, err
	}
	if a.has("byteorder") {
		order, err := a.member("byteorder")
		if err != nil {
			return contents{}, err
		}
		if text := file.data[order.begin:order.end]; string(text) != "little" {
			return contents{}, &Error{file.path, a.root + "byteorder", fmt.Sprintf("%q", text[:min(20, len(text))]), "little"}
		}
	}
	pkl, err := a.member("data.pkl")
	if err != nil {
		return contents{}, err
	}
	root, err := unpickle(file.data[pkl.begin:pkl.end])
	if err != nil {
		return contents{}, &Error{file.path, a.root + "data.pkl", err.Error(), "a pickled dictionary of tensors"}
	}
	named, err := stateDict(root)
	if err != nil {
		return contents{}, &Error{file.path, a.root + "data.pkl", err.Error(), "a dictionary of tensors by unique names"}
	}
	c := contents{tensors: make(map[string]*entry, len(named))}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if c.tensors[name], err = a.place(name, named[name]); err != nil {
			return contents{}, err
		}
	}
	return c, a.checkOverlap()
}

// archive is a torch zip file. All its members lie in one folder, root.
type archive struct {
	file    *mapping
	root    string // "name/"
	members map[string]*zip.File
	ranges  map[string]span // of members that were asked for
}

// span is a range of bytes of a file.
type span struct{ begin, end int64 }

func openArchive(file *mapping) (*archive, error) {
	if !bytes.HasPrefix(file.data, []byte(zipMagic)) {
		return nil, &Error{file.path, "format", fmt.Sprintf("a file that starts with %.8q", file.data[:min(8, len(file.data))]),
			"a zip archive of torch.save (re-save files older than torch 1.6)"}
	}
	if n := countMembers(file.data); n > maxMembers {
		return nil, &Error{file.path, "zip directory", plural(n, "member"), fmt.Sprintf("at most %d", maxMembers)}
	}
	z, err := zip.NewReader(&budget{bytes.NewReader(file.data), maxDirectory}, int64(len(file.data)))
	if err != nil {
		return nil, &Error{file.path, "zip directory", err.Error(), "a whole zip archive (is the download complete?)"}
	}
	a := &archive{file: file, members: make(map[string]*zip.File, len(z.File)), ranges: make(map[string]span)}
	for _, f := range z.File {
		if a.members[f.Name] != nil {
			return nil, &Error{file.path, fmt.Sprintf("zip member %q", f.Name), "a second one of this name", "unique names"}
		}
		a.members[f.Name] = f
		if folder, ok := strings.CutSuffix(f.Name, "/data.pkl"); ok && !strings.Contains(folder, "/") {
			if a.root != "" {
				return nil, &Error{file.path, "zip directory", "a second data.pkl", "one"}
			}
			a.root = folder + "/"
		}
	}
	if a.root == "" {
		return nil, &Error{file.path, "zip directory", "no data.pkl", "an archive of torch.save"}
	}
	return a, nil
}

// budget is a reader that fails after so many bytes.
type budget struct {
	io.ReaderAt
	left int
}

func (b *budget) ReadAt(p []byte, at int64) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("a directory of more than %d bytes", maxDirectory)
	}
	return b.ReaderAt.ReadAt(p, at)
}

// countMembers returns the number of members that the zip64 end record, if there
// is one, announces: package zip makes room for as many before it reads them.
// (The plain record cannot announce more than 65,535.)
func countMembers(data []byte) uint64 {
	const locatorSize, endSize, maxComment = 20, 22, 1<<16 - 1
	tail := data[max(0, len(data)-locatorSize-endSize-maxComment):]
	var most uint64
	for at := 0; ; at++ {
		next := bytes.Index(tail[at:], []byte("PK\x06\x07"))
		if next < 0 || at+next+locatorSize > len(tail) {
			return most
		}
		at += next
		record := binary.LittleEndian.Uint64(tail[at+8:])
		if record < uint64(len(data)) && len(data)-int(record) >= 40 {
			most = max(most, binary.LittleEndian.Uint64(data[record+32:]))
		}
	}
}

func (a *archive) has(name string) bool { return a.members[a.root+name] != nil }

// member returns where in the file the bytes of a member lie. Their CRC is not
// checked: that would read the whole file, and torch may leave it out.
func (a *archive) member(name string) (span, error) {
	name = a.root + name
	if r, ok := a.ranges[name]; ok {
		return r, nil
	}
	field := fmt.Sprintf("zip member %.80q", name)
	f := a.members[name]
	switch {
	case f == nil:
		return span{}, &Error{a.file.path, field, "none of this name", "a member of the archive"}
	case f.Method != zip.Store || f.Flags&1 != 0 || f.CompressedSize64 != f.UncompressedSize64:
		return span{}, &Error{a.file.path, field, "a compressed or encrypted member", "plain bytes, as torch.save writes them"}
	}
	begin, err := f.DataOffset()
	if err != nil {
		return span{}, &Error{a.file.path, field, err.Error(), "a zip member header (is the download complete?)"}
	}
	size := int64(len(a.file.data))
	if begin > size || f.UncompressedSize64 > uint64(size-begin) {
		return span{}, &Error{a.file.path, field, fmt.Sprintf("%d bytes from byte %d on", f.UncompressedSize64, begin),
			fmt.Sprintf("at most the %d of the file (is the download complete?)", size)}
	}
	r := span{begin, begin + int64(f.UncompressedSize64)}
	a.ranges[name] = r
	return r, nil
}

// checkOverlap checks that no two of the members that were used share bytes.
func (a *archive) checkOverlap() error {
	names := slices.SortedFunc(maps.Keys(a.ranges), func(x, y string) int {
		return cmp.Or(cmp.Compare(a.ranges[x].begin, a.ranges[y].begin), cmp.Compare(a.ranges[x].end, a.ranges[y].end))
	})
	for i := 1; i < len(names); i++ {
		last, next := a.ranges[names[i-1]], a.ranges[names[i]]
		if next.begin < last.end {
			return &Error{a.file.path, fmt.Sprintf("zip member %.80q", names[i]),
				fmt.Sprintf("bytes %d to %d", next.begin, next.end), fmt.Sprintf("none before %d, where %.80q ends (they overlap)", last.end, names[i-1])}
		}
	}
	return nil
}

// place checks a pickled tensor against its storage and says where it lies.
func (a *archive) place(name string, t pyTensor) (*entry, error) {
	r, err := a.member("data/" + t.storage.key)
	if err != nil {
		return nil, err
	}
	e := &entry{file: a.file, stored: t.dtype, shape: t.shape}
	n, ok := elements(t.shape)
	if !ok {
		return nil, &Error{a.file.path, tensorField(name, "shape"), fmt.Sprint(t.shape), "fewer than 2^63 elements"}
	}
	if e.dtype, ok = device.ParseDType(t.dtype); !ok {
		return e, nil // only whoever asks for this tensor needs the type
	}
	item := e.dtype.Size()
	have := int(r.end-r.begin) / item
	extent, ok := extent(t.shape, t.strides)
	if !ok || t.offset > have || extent > have-t.offset {
		return nil, &Error{a.file.path, tensorField(name, "shape"), fmt.Sprintf("%v with strides %v from element %d", t.shape, t.strides, t.offset),
			fmt.Sprintf("at most the %s of storage %s", plural(have, e.dtype.String()+" value"), t.storage.key)}
	}
	if n > have {
		return nil, &Error{a.file.path, tensorField(name, "strides"), fmt.Sprintf("%v, which repeat elements of shape %v", t.strides, t.shape),
			"a tensor that is stored whole (re-save it after .contiguous())"}
	}
	if !rowMajor(t.shape, t.strides) {
		e.strides = t.strides
	}
	e.offset = r.begin + int64(t.offset*item)
	e.size = int64(extent * item)
	return e, nil
}

// extent returns how many elements lie between a tensor's first and last one,
// both counted; ok is false if it overflows.
func extent(shape, strides []int) (n int, ok bool) {
	if slices.Contains(shape, 0) {
		return 0, true
	}
	n = 1
	for i, d := range shape {
		step, fits := elements([]int{d - 1, strides[i]})
		if n += step; !fits || n <= 0 {
			return 0, false
		}
	}
	return n, true
}

// rowMajor reports whether strides are those of a tensor without gaps.
func rowMajor(shape, strides []int) bool {
	want := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != want {
			return false
		}
		want *= shape[i]
	}
	return true
}
