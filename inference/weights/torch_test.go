package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
)

// Values that pickle writes beside Go's own.
type (
	pairs []any // a dictionary: keys and values in turn
	call  struct {
		function pyGlobal
		args     pyTuple
	}
	persistent struct{ id any }
	raw        string // operations
)

// pickle returns v as Python pickles it (protocol 2).
func pickle(v any) []byte { return append(appendPickle([]byte{0x80, 2}, v), '.') }

func appendPickle(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'N')
	case bool:
		if v {
			return append(b, 0x88)
		}
		return append(b, 0x89)
	case int:
		return binary.LittleEndian.AppendUint64(append(b, 0x8a, 8), uint64(v))
	case string:
		return append(binary.LittleEndian.AppendUint32(append(b, 'X'), uint32(len(v))), v...)
	case pyTuple:
		b = append(b, '(')
		for _, item := range v {
			b = appendPickle(b, item)
		}
		return append(b, 't')
	case pairs:
		b = append(b, '}', '(')
		for _, item := range v {
			b = appendPickle(b, item)
		}
		return append(b, 'u')
	case pyGlobal:
		return fmt.Appendf(b, "c%s\n%s\n", v.module, v.name)
	case call:
		return append(appendPickle(appendPickle(b, v.function), v.args), 'R')
	case persistent:
		return append(appendPickle(b, v.id), 'Q')
	case raw:
		return append(b, v...)
	}
	panic(fmt.Sprintf("no pickle of %T", v))
}

func tuple(items ...any) pyTuple { return items }

// view pickles a tensor of storage key as torch.save does.
func view(class, key string, offset int, shape, strides pyTuple) call {
	id := persistent{tuple("storage", pyGlobal{"torch", class}, key, "cpu", 0)}
	return call{rebuildTensor, tuple(id, offset, shape, strides, false, call{orderedDict, tuple()})}
}

type member struct {
	name string
	data []byte
}

// torchFile returns an archive of uncompressed members.
func torchFile(members ...member) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

var twelve = member{"x/data/0", []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}

func TestOpenTorch(t *testing.T) {
	id := persistent{tuple("storage", pyGlobal{"torch.storage", "UntypedStorage"}, "0", "cpu", 12)}
	tensors := pairs{
		"plain", view("CharStorage", "0", 0, tuple(3, 4), tuple(4, 1)),
		"part", view("CharStorage", "0", 5, tuple(2), tuple(1)),
		"transposed", view("CharStorage", "0", 0, tuple(4, 3), tuple(1, 4)),
		"columns", view("CharStorage", "0", 1, tuple(3, 1, 2), tuple(4, 9, 1)),
		"scalar", view("ByteStorage", "0", 11, tuple(), tuple()),
		"empty", view("HalfStorage", "0", 0, tuple(0, 5), tuple(5, 1)),
		"parameter", call{rebuildParameter, tuple(view("BFloat16Storage", "0", 1, tuple(2), tuple(1)), true, call{orderedDict, tuple()})},
		"f8", call{rebuildNewType, tuple(id, 2, tuple(3), tuple(1), false, call{orderedDict, tuple()}, pyGlobal{"torch", "float8_e4m3fn"})},
		"double", view("DoubleStorage", "0", 0, tuple(1), tuple(1)),
		"epoch", 3,
	}
	want := map[string]Tensor{
		"plain":      {DType: device.I8, Shape: []int{3, 4}, Data: twelve.data},
		"part":       {DType: device.I8, Shape: []int{2}, Data: []byte{5, 6}},
		"transposed": {DType: device.I8, Shape: []int{4, 3}, Data: []byte{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11}},
		"columns":    {DType: device.I8, Shape: []int{3, 1, 2}, Data: []byte{1, 2, 5, 6, 9, 10}},
		"scalar":     {DType: device.U8, Data: []byte{11}},
		"empty":      {DType: device.F16, Shape: []int{0, 5}},
		"parameter":  {DType: device.BF16, Shape: []int{2}, Data: []byte{2, 3, 4, 5}},
		"f8":         {DType: device.F8E4M3, Shape: []int{3}, Data: []byte{2, 3, 4}},
	}
	for name, root := range map[string]any{
		"dict":        tensors,
		"orderedDict": orderedAs(tensors),
		"state_dict":  pairs{"epoch", 3, "state_dict", tensors},
		"model":       pairs{"model", tensors},
	} {
		path := tempFile(t, "x.pth", torchFile(member{"x/data.pkl", pickle(root)}, member{"x/byteorder", []byte("little")}, twelve))
		s, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.Names()) != len(want)+1 {
			t.Errorf("%s: names %q", name, s.Names())
		}
		for n, w := range want {
			got, err := s.Tensor(n)
			if err != nil || got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) || !bytes.Equal(got.Data, w.Data) {
				t.Errorf("%s: tensor %+v, %v, want %+v", name, got, err, w)
			}
		}
		_, err = s.Tensor("double")
		checkError(t, err, path, `tensor "double" dtype`, "F64", "F32")
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// orderedAs pickles p as an OrderedDict with torch's _metadata.
func orderedAs(p pairs) raw {
	b := appendPickle(nil, call{orderedDict, tuple()})
	for i := 0; i < len(p); i += 2 {
		b = append(appendPickle(appendPickle(b, p[i]), p[i+1]), 's')
	}
	b = appendPickle(b, pairs{"_metadata", pairs{"", pairs{"version", 1}}})
	return raw(append(b, 'b'))
}

func TestBadTorch(t *testing.T) {
	good := pairs{"a", view("CharStorage", "0", 0, tuple(3, 4), tuple(4, 1))}
	archive := func(root any) []byte { return torchFile(member{"x/data.pkl", pickle(root)}, twelve) }
	tensor := func(v any) []byte { return archive(pairs{"a", v}) }
	whole := archive(good)
	var squeezed bytes.Buffer
	z := zip.NewWriter(&squeezed)
	if w, err := z.Create("x/data.pkl"); err != nil {
		t.Fatal(err)
	} else if _, err := w.Write(pickle(good)); err != nil {
		t.Fatal(err)
	}
	z.Close()
	deep := tuple()
	for range maxRank + 1 {
		deep = append(deep, 1)
	}
	const pkl = "x/data.pkl"
	for _, c := range []struct {
		name               string
		file               []byte
		field, found, want string
	}{
		{"empty", nil, "size", "0 bytes", ""},
		{"not a zip", []byte("\x01ello, world"), "format", `ello, w"`, "zip"},
		{"legacy", []byte("\x80\x02\x8a\x0a"), "contents", `a pickle`, "torch 1.6"},
		{"truncated", whole[:len(whole)-30], "zip directory", "not a valid zip", "download"},
		{"cut in front", append([]byte("PK\x03\x04"), whole[len(whole)/2:]...), `zip member "x/data.pkl"`, "negative offset", "download"},
		{"no pickle", torchFile(twelve), "zip directory", "no data.pkl", "torch.save"},
		{"two pickles", torchFile(member{"x/data.pkl", nil}, member{"y/data.pkl", nil}), "zip directory", "second", "one"},
		{"member twice", torchFile(member{pkl, nil}, twelve, twelve), `zip member "x/data/0"`, "second", "unique"},
		{"compressed", squeezed.Bytes(), `zip member "x/data.pkl"`, "compressed", "torch.save"},
		{"big endian", torchFile(member{pkl, pickle(good)}, member{"x/byteorder", []byte("big")}, twelve), "x/byteorder", "big", "little"},
		{"storage missing", torchFile(member{pkl, pickle(good)}), `zip member "x/data/0"`, "none", "member"},
		{"empty pickle", torchFile(member{pkl, nil}), pkl, "ends", "pickled"},
		{"no tensors", archive(pairs{"a", 1}), pkl, "without tensors", "dictionary"},
		{"no dictionary", archive(tuple(1)), pkl, "a tuple", "dictionary"},
		{"name twice", archive(append(slices.Clone(good), good...)), pkl, `second tensor "a"`, "unique"},
		{"name of no string", archive(pairs{3, good[1]}), pkl, "the number 3", "names"},
		{"os.system", archive(call{pyGlobal{"posix", "system"}, tuple("id")}), pkl, `the global "posix.system"`, "tensors"},
		{"eval", archive(call{pyGlobal{"builtins", "eval"}, tuple("1")}), pkl, `"builtins.eval"`, "tensors"},
		{"stack global", archive(raw("\x8c\x05posix\x8c\x06system\x93")), pkl, `"posix.system"`, "tensors"},
		{"module", archive(pyGlobal{"torch.nn.modules.linear", "Linear"}), pkl, "Linear", "tensors"},
		{"calls a storage", archive(call{pyGlobal{"torch", "FloatStorage"}, tuple(1 << 60)}), pkl, "a call of torch.FloatStorage", ""},
		{"opcode", archive(raw("]")), pkl, "operation ']'", ""},
		{"opcode 255", archive(raw("\xff")), pkl, "not one", ""},
		{"protocol", archive(raw("\x80\x09")), pkl, "protocol 9", ""},
		{"stack", archive(raw("R")), pkl, "too few values", ""},
		{"below the mark", archive(raw("KxKy(\x86")), pkl, "too few values", ""},
		{"mark", archive(raw("t")), pkl, "no mark", ""},
		{"memo", archive(raw("h\x07")), pkl, "nothing is remembered as 7", ""},
		{"item of None", archive(raw("NNNs")), pkl, "None where a dictionary", ""},
		{"odd items", archive(raw("}(Ku")), pkl, "", ""},
		{"long string", archive(raw("X\xff\xff\xff\xff")), pkl, "ends within", ""},
		{"long number", archive(raw("\x8a\xff")), pkl, "255 bytes", ""},
		{"persistent id", tensor(persistent{"0"}), pkl, "persistent id", ""},
		{"storage type", tensor(persistent{tuple("storage", 1, "0", "cpu", 1)}), pkl, "a storage of the number 1", ""},
		{"too many operations", archive(raw(strings.Repeat("N0", maxPickleOps))), pkl, "more than", ""},
		{"pickle too long", archive(strings.Repeat("x", maxPickle)), pkl, "more than", ""},
		{"negative size", tensor(view("CharStorage", "0", 0, tuple(-1), tuple(1))), pkl, "the number -1", ""},
		{"negative stride", tensor(view("CharStorage", "0", 0, tuple(1), tuple(-1))), pkl, "the number -1", ""},
		{"negative offset", tensor(view("CharStorage", "0", -1, tuple(1), tuple(1))), pkl, "the number -1", ""},
		{"mistyped size", tensor(view("CharStorage", "0", 0, tuple("a"), tuple(1))), pkl, `the string "a"`, ""},
		{"strides missing", tensor(view("CharStorage", "0", 0, tuple(3, 4), tuple(1))), pkl, "strides [1]", ""},
		{"rank", tensor(view("CharStorage", "0", 0, deep, deep)), pkl, "at most 64", ""},
		{"arguments", tensor(call{rebuildTensor, tuple()}), pkl, "0 arguments", ""},
		{"shape overflow", tensor(view("CharStorage", "0", 0, tuple(1<<40, 1<<40), tuple(1, 1))), `tensor "a" shape`, "1099511627776", "2^63"},
		{"stride overflow", tensor(view("CharStorage", "0", 0, tuple(5, 5), tuple(1<<62, 1<<62))), `tensor "a" shape`, "strides", "12 I8 values"},
		{"storage too small", tensor(view("FloatStorage", "0", 0, tuple(4), tuple(1))), `tensor "a" shape`, "[4]", "3 F32 values of storage 0"},
		{"offset too large", tensor(view("FloatStorage", "0", 1<<62, tuple(1), tuple(1))), `tensor "a" shape`, "element", "3 F32 values"},
		{"offset beyond", tensor(view("FloatStorage", "0", 3, tuple(1), tuple(1))), `tensor "a" shape`, "element 3", "3 F32 values"},
		{"expanded", tensor(view("CharStorage", "0", 0, tuple(1<<30, 4), tuple(0, 1))), `tensor "a" strides`, "repeat", "contiguous"},
		{"f8 type", tensor(call{rebuildNewType, tuple(persistent{tuple("storage", pyGlobal{"torch", "UntypedStorage"}, "0", "cpu", 1)}, 0, tuple(1), tuple(1), false, nil, "float")}), pkl, `"float" where a tensor's type`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := tempFile(t, "x.pth", c.file)
			_, err := Open(path)
			checkError(t, err, path, c.field, c.found, c.want)
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "x.pth")); err == nil {
		t.Error("a missing file opens")
	}
}

// TestZipBounds corrupts sizes and offsets of an archive's directory.
func TestZipBounds(t *testing.T) {
	file := torchFile(member{"x/data.pkl", pickle(pairs{
		"a", view("CharStorage", "0", 0, tuple(12), tuple(1)),
		"b", view("CharStorage", "1", 0, tuple(12), tuple(1)),
	})}, twelve, member{"x/data/1", twelve.data})
	// the directory's entry of a member, 46 bytes before its name
	entryOf := func(name string) int { return bytes.LastIndex(file, []byte(name)) - 46 }
	first, second := entryOf("x/data/0"), entryOf("x/data/1")
	for _, c := range []struct {
		name         string
		at           int
		value        []byte
		field, found string
	}{
		{"sizes beyond the end", second + 20, []byte{0, 0, 1, 0, 0, 0, 1, 0}, `zip member "x/data/1"`, "65536 bytes"},
		{"sizes differ", second + 20, []byte{11, 0, 0, 0}, `zip member "x/data/1"`, "compressed"},
		{"header elsewhere", second + 42, []byte{1, 0, 0, 0}, `zip member "x/data/1"`, "not a valid zip"},
		{"header beyond the end", second + 42, []byte{0, 0, 0, 1}, `zip member "x/data/1"`, "EOF"},
		{"overlap", second + 42, file[first+42 : first+46], "", "bytes"},
	} {
		bad := slices.Clone(file)
		copy(bad[c.at:], c.value)
		path := tempFile(t, "x.pth", bad)
		_, err := Open(path)
		if c.field == "" { // either of the two may be the one that is named
			c.field = err.(*Error).Field
		}
		checkError(t, err, path, c.field, c.found, "")
	}
}

// TestZip64Count checks that an archive cannot announce a billion members.
func TestZip64Count(t *testing.T) {
	record := append([]byte("PK\x06\x06"), make([]byte, 52)...)
	binary.LittleEndian.PutUint64(record[32:], 1<<30)
	locator := append([]byte("PK\x06\x07"), make([]byte, 16)...)
	end := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	file := []byte("PK\x03\x04")
	binary.LittleEndian.PutUint64(locator[8:], uint64(len(file)))
	file = slices.Concat(file, record, locator, end)
	path := tempFile(t, "x.pth", file)
	_, err := Open(path)
	checkError(t, err, path, "zip directory", "1073741824 members", "at most")
}
