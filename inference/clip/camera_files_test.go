package clip

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference"
)

func TestWriteAndOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	p := builtin(t, "orbit-right", 30)
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	q, err := OpenPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, pose := range p.poses {
		for r := range pose {
			for c, v := range pose[r] {
				if q.poses[i][r][c] != float64(float32(v)) {
					t.Fatalf("pose %d: %v became %v", i, pose, q.poses[i])
				}
			}
		}
	}
	if !slices.Equal(p.intrinsics, q.intrinsics) {
		t.Error("the intrinsics changed")
	}
}

// npyFile makes an .npy file of any version, type and order.
func npyFile(version byte, descr string, fortran bool, shape string, values []byte) []byte {
	order := map[bool]string{true: "True", false: "False"}[fortran]
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }\n", descr, order, shape)
	file := []byte{0x93, 'N', 'U', 'M', 'P', 'Y', version, 0}
	if version == 1 {
		file = binary.LittleEndian.AppendUint16(file, uint16(len(header)))
	} else {
		file = binary.LittleEndian.AppendUint32(file, uint32(len(header)))
	}
	return append(append(file, header...), values...)
}

func TestNPYForms(t *testing.T) {
	want := []float64{0, 1, 2, 3, 4, 5}
	fortran := []float64{0, 3, 1, 4, 2, 5}
	for _, descr := range []string{"<f4", "<f8", ">f4", ">f8"} {
		for _, version := range []byte{1, 2, 3} {
			for _, f := range []bool{false, true} {
				stored := map[bool][]float64{false: want, true: fortran}[f]
				var order binary.AppendByteOrder = binary.LittleEndian
				if descr[0] == '>' {
					order = binary.BigEndian
				}
				var data []byte
				for _, v := range stored {
					if descr[2] == '4' {
						data = order.AppendUint32(data, math.Float32bits(float32(v)))
					} else {
						data = order.AppendUint64(data, math.Float64bits(v))
					}
				}
				a, err := parseNPY(npyFile(version, descr, f, "2, 3", data))
				if err != nil || !slices.Equal(a.values, want) || !slices.Equal(a.shape, []int{2, 3}) {
					t.Errorf("version %d, %s, Fortran %v: %v, %v", version, descr, f, a, err)
				}
			}
		}
	}
}

// action writes an action folder and returns its path.
func action(t *testing.T, poses, intrinsics []byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range map[string][]byte{posesFile: poses, intrinsicsFile: intrinsics} {
		if data == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOpenRefuses(t *testing.T) {
	path := builtin(t, "forward", 9)
	good := map[string][]byte{}
	dir := t.TempDir()
	if err := path.Write(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{posesFile, intrinsicsFile} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		good[name] = data
	}
	// spoilPose and spoilK change one value of an otherwise good folder.
	spoilPose := func(pose, row, col int, v float64) []byte {
		a, _ := parseNPY(good[posesFile])
		a.values[16*pose+4*row+col] = v
		return formatNPY(a)
	}
	spoilK := func(i int, v float64) []byte {
		a, _ := parseNPY(good[intrinsicsFile])
		a.values[i] = v
		return formatNPY(a)
	}
	for _, c := range []struct {
		name              string
		poses, intrinsics []byte
		want              []string
	}{
		{"no poses", nil, good[intrinsicsFile], []string{posesFile, "found intrinsics.npy alone"}},
		{"empty poses", []byte{}, good[intrinsicsFile], []string{posesFile, "not an .npy file"}},
		{"text", []byte("1 0 0 0 and so on"), good[intrinsicsFile], []string{"not an .npy file"}},
		{"web page", []byte("<!DOCTYPE html><html>"), good[intrinsicsFile], []string{posesFile, "a web page"}},
		{"transposed intrinsics", good[posesFile], npyOf("1, 3, 3", 500, 0, 0, 0, 500, 0, 416, 240, 1), []string{intrinsicsFile, "transposed"}},
		{"truncated", good[posesFile][:200], good[intrinsicsFile], []string{"cut short"}},
		{"version", npyFile(9, "<f4", false, "9, 4, 4", nil), good[intrinsicsFile], []string{"version 9"}},
		{"shape", npyFile(1, "<f4", false, "9, 3, 3", make([]byte, 324)), good[intrinsicsFile], []string{"[9 3 3]", "[n 4 4]"}},
		{"rank", npyFile(1, "<f4", false, "16", make([]byte, 64)), good[intrinsicsFile], []string{"[16]", "[n 4 4]"}},
		{"complex numbers", npyFile(1, "<c8", false, "1, 4, 4", make([]byte, 128)), good[intrinsicsFile], []string{`"<c8"`, "floats, integers"}},
		{"zero rotation", npyFile(1, "<f4", false, "9, 3, 4", make([]byte, 432)), good[intrinsicsFile], []string{"pose 0", "orthonormal"}},
		{"objects", npyFile(1, "|O", false, "1, 4, 4", make([]byte, 64)), good[intrinsicsFile], []string{`"|O"`}},
		{"absurd shape", npyFile(1, "<f4", false, "99999999999, 4, 4", make([]byte, 64)), good[intrinsicsFile], []string{"cut short"}},
		{"overflowing shape", npyFile(1, "<f4", false, "4611686018427387904, 4, 4", make([]byte, 64)), good[intrinsicsFile], []string{"cut short"}},
		{"no frames", npyFile(1, "<f4", false, "0, 4, 4", nil), good[intrinsicsFile], []string{"no poses"}},
		{"NaN", spoilPose(3, 0, 3, math.NaN()), good[intrinsicsFile], []string{"pose 3", "NaN"}},
		{"Inf", spoilPose(8, 2, 3, math.Inf(1)), good[intrinsicsFile], []string{"pose 8", "Inf"}},
		{"far", spoilPose(8, 2, 3, 1e12), good[intrinsicsFile], []string{"pose 8", "e+11"}},
		{"scaled", spoilPose(2, 0, 0, 1.1), good[intrinsicsFile], []string{"pose 2", "orthonormal"}},
		{"mirrored", spoilPose(0, 0, 0, -1), good[intrinsicsFile], []string{"pose 0", "mirrored"}},
		{"last row", spoilPose(5, 3, 0, 0.5), good[intrinsicsFile], []string{"pose 5", "0 0 0 1"}},
		{"no rows of intrinsics", good[posesFile], npyFile(1, "<f4", false, "0, 4", nil), []string{intrinsicsFile, "no intrinsics"}},
		{"flat intrinsics", good[posesFile], npyFile(1, "<f4", false, "5,", make([]byte, 20)), []string{intrinsicsFile, "[5]", "[n 4]"}},
		{"negative focal length", good[posesFile], spoilK(0, -500), []string{"fx = -500"}},
		{"zero focal length", good[posesFile], spoilK(1, 0), []string{"fy = 0"}},
		{"normalised intrinsics", good[posesFile], spoilK(0, 0.6), []string{"fx = 0.6", "pixels"}},
		{"NaN intrinsics", good[posesFile], spoilK(2, math.NaN()), []string{"cx = NaN"}},
		{"principal point", good[posesFile], spoilK(3, 4000), []string{"cy = 4000"}},
	} {
		_, err := OpenPath(action(t, c.poses, c.intrinsics))
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want it to say %q", c.name, err, want)
			}
		}
	}
}

func TestOpenOfNoFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, posesFile), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), dir} {
		if _, err := OpenPath(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("OpenPath(%s): %v, want an error that names it", path, err)
		}
	}
}

func FuzzNPY(f *testing.F) {
	f.Add(formatNPY(array{shape: []int{1, 4}, values: []float64{457, 440, 416, 240}}))
	f.Add(npyFile(2, ">f8", true, "2, 1", make([]byte, 16)))
	f.Add(npyFile(3, "<f4", false, "", make([]byte, 4)))
	f.Add(npyFile(3, "<f8", false, "", nil))
	f.Add(npyFile(1, "<f4", false, "1, 0", nil))
	f.Add([]byte("\x93NUMPY\x01\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseNPY(data)
		if err != nil {
			return
		}
		count := 1
		for _, n := range a.shape {
			count *= n
		}
		if count != len(a.values) || count > len(data) {
			t.Fatalf("%d values of the shape %v from %d bytes", len(a.values), a.shape, len(data))
		}
		p := &Path{intrinsics: []Intrinsics{builtinIntrinsics}}
		if p.poses, err = p.asPoses(a); err == nil {
			n := p.EffectiveFrames(9)
			conditioning(p, n, 8, 8)
			conditioning(p.Even(n), n, 8, 8)
			p.Notes(n)
			p.Way(n)
		}
		asKeys(&a, &a)
		asIntrinsics(a)
		again, err := parseNPY(formatNPY(a))
		if err != nil || !slices.Equal(again.shape, a.shape) {
			t.Fatalf("written and read again: %v, %v", again.shape, err)
		}
		if !bytes.Equal(formatNPY(again), formatNPY(a)) {
			t.Fatal("written and read again, the values differ")
		}
	})
}

// vipeFile makes an .npz file of two arrays, stored or deflated.
func vipeFile(method uint16, data, inds []byte) []byte {
	var file bytes.Buffer
	w := zip.NewWriter(&file)
	for name, text := range map[string][]byte{"data.npy": data, "inds.npy": inds} {
		part, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = part.Write(text)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return file.Bytes()
}

// indices makes the array of frames that an .npz file's rows are of.
func indices(frames ...int64) []byte {
	var data []byte
	for _, f := range frames {
		data = binary.LittleEndian.AppendUint64(data, uint64(f))
	}
	return npyFile(1, "<i8", false, fmt.Sprintf("%d,", len(frames)), data)
}

func TestNPZ(t *testing.T) {
	at := func(x float64) []float64 { return []float64{1, 0, 0, x, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1} }
	data := npyOf("3, 4, 4", slices.Concat(at(0), at(1), at(5))...)
	for _, c := range []struct {
		name  string
		file  []byte
		poses int
		want  string // in the error
	}{
		{"stored", vipeFile(zip.Store, data, indices(0, 1, 2)), 3, ""},
		{"deflated", vipeFile(zip.Deflate, data, indices(7, 8, 9)), 3, ""},
		{"gaps", vipeFile(zip.Deflate, data, indices(0, 1, 5)), 6, ""},
		{"falling", vipeFile(zip.Store, data, indices(0, 2, 1)), 0, "inds"},
		{"far", vipeFile(zip.Store, data, indices(0, 1, 1<<40)), 0, "inds"},
		{"negative", vipeFile(zip.Store, data, indices(-1, 1, 2)), 0, "inds"},
		{"too few", vipeFile(zip.Store, data, indices(0, 1)), 0, "2 inds of 3 rows"},
		{"no zip", data, 0, "not an .npz file"},
		{"cut short", vipeFile(zip.Store, data, indices(0, 1, 2))[:300], 0, "not an .npz file"},
		{"no arrays", vipeFile(zip.Store, []byte("x"), []byte("y")), 0, "not an .npy file"},
	} {
		p, err := OpenPath(filepath.Join(folder(t, map[string][]byte{"clip.npz": c.file}), "clip.npz"))
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "clip.npz") {
				t.Errorf("%s: error %v, want %q", c.name, err, c.want)
			}
			continue
		}
		if err != nil || p.Frames() != c.poses {
			t.Errorf("%s: %v, error %v, want %d poses", c.name, p, err, c.poses)
		} else if x := p.poses[c.poses-2][0][3]; c.poses == 6 && math.Abs(x-4) > 1e-12 {
			t.Errorf("%s: a pose between lies at %v, want 4", c.name, x)
		}
	}
}

// TestUnzip checks that a file is read no further than its limit, whatever its header says.
func TestUnzip(t *testing.T) {
	file := vipeFile(zip.Deflate, make([]byte, 1001), indices(0))
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		if data, err := unzip(f, 1000); (err != nil) != (f.Name == "data.npy") {
			t.Errorf("%s: %d bytes, error %v", f.Name, len(data), err)
		}
	}
}

func FuzzNPZ(f *testing.F) {
	pose := npyFile(1, "<f4", false, "2, 4, 4", make([]byte, 128))
	f.Add(vipeFile(zip.Store, pose, indices(0, 1)))
	f.Add(vipeFile(zip.Deflate, pose, indices(3, 9)))
	f.Add(vipeFile(zip.Store, npyFile(1, "<f8", false, "1, 4", make([]byte, 32)), indices(0)))
	f.Fuzz(func(t *testing.T, data []byte) {
		arrays, err := parseNPZ(data)
		if err != nil {
			return
		}
		a, err := arrays.data()
		if err != nil || len(a.shape) == 0 {
			return
		}
		inds, err := arrays.inds(a.shape[0])
		if err != nil {
			return
		}
		p := &Path{intrinsics: []Intrinsics{builtinIntrinsics}}
		if p.poses, err = p.asPoses(a); err == nil && inds != nil {
			p.poses, err = p.fillPoses(p.poses, inds)
		}
		if err == nil {
			conditioning(p, p.EffectiveFrames(9), 8, 8)
		}
		if p.intrinsics, err = asIntrinsics(a); err == nil && inds != nil {
			p.scaleIntrinsics()
			checkIntrinsics(p.intrinsics[0])
		}
	})
}

func FuzzActions(f *testing.F) {
	for _, text := range []string{"w-20,none-5,wd-10", " W - 3 ，iw-1", "-4", "w-٣", "w--3", "w-𝟘𝟙"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := ParseActions(text)
		if err != nil {
			return
		}
		if n := len(keys); n%4 != 1 || n > inference.Wan.MaxFrames() {
			t.Fatalf("%d frames", n)
		}
		if err := checkPoses(posesOf(keys)); err != nil {
			t.Fatal(err)
		}
	})
}
