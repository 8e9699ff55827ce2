package weights

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/device"
)

// contentFile writes a file of a matrix, a bias and an embedding of BF16 with values that are
// no zeros, changes its bytes, and returns what is found in them.
func contentFile(tb testing.TB, rows, cols int, change func(data []byte, at map[string]span)) (*Store, Table) {
	tb.Helper()
	table := Table{
		{Name: "a.bias", Role: Bias, Shape: []int{rows}}, {Name: "b.weight", Role: Linear, Shape: []int{rows, cols}},
		{Name: "c.weight", Role: Embedding, Shape: []int{rows, cols}}, {Name: "d.weight", Role: Norm, Shape: []int{rows}},
	}
	var sources []Source
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, t := range table.Tensors(device.BF16) {
		n, _ := elements(t.Shape)
		t.Data = make([]byte, 2*n)
		for i := 0; i < len(t.Data); i += 2 {
			binary.LittleEndian.PutUint16(t.Data[i:], uint16(0x3c00+rnd.IntN(0x300))|uint16(rnd.IntN(2))<<15)
		}
		sources = append(sources, t.Source())
	}
	path := filepath.Join(tb.TempDir(), "x.safetensors")
	if err := WriteSafetensors(path, sources, nil); err != nil {
		tb.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	if change != nil {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		at := map[string]span{}
		for name, e := range s.tensors {
			at[name] = span{e.offset, e.offset + e.size}
		}
		change(data, at)
		s.Close()
		if err := os.WriteFile(path, data, 0o644); err != nil {
			tb.Fatal(err)
		}
		if s, err = Open(path); err != nil {
			tb.Fatal(err)
		}
	}
	tb.Cleanup(func() { s.Close() })
	return s, table
}

func TestContentFaults(t *testing.T) {
	zero := func(name string, from, to int64) func([]byte, map[string]span) {
		return func(data []byte, at map[string]span) { clear(data[at[name].begin+from : at[name].begin+to]) }
	}
	put := func(name string, i int64, bits uint16) func([]byte, map[string]span) {
		return func(data []byte, at map[string]span) {
			binary.LittleEndian.PutUint16(data[at[name].begin+2*i:], bits)
		}
	}
	const rows, cols = 2100, 512 // 1024 bytes a row, 2.1 MB
	for _, c := range []struct {
		name    string
		change  func([]byte, map[string]span)
		want    string // in the error of a look at all; "" for none
		sampled bool   // samples find it
	}{
		{"nothing", nil, "", false},
		{"a bias of zeros", zero("a.bias", 0, 2*rows), "", false},
		{"part of a bias", zero("a.bias", 0, 4096), `"a.bias" contents: found 4096 bytes of zeros from byte 0`, true},
		{"a norm of zeros", zero("d.weight", 0, 2*rows), `"d.weight" contents: found zeros only`, true},
		{"a weight of zeros", zero("b.weight", 0, rows*2*cols), `"b.weight" contents: found zeros only`, true},
		{"a megabyte of zeros", zero("b.weight", 77777, 77777+(1<<20)+sampleSize), `found 1052672 bytes of zeros from byte 77777`, true},
		{"the end of a file", func(data []byte, at map[string]span) { clear(data[at["c.weight"].begin+1000*1024+100:]) }, `2 tensors, "c.weight", "d.weight", contents`, true},
		{"a page of zeros", zero("b.weight", 70001, 70001+leastZeros), `found 4096 bytes of zeros from byte 70001`, false},
		{"fewer zeros", zero("b.weight", 70001, 70001+leastZeros-1), "", false},
		{"rows of an embedding", zero("c.weight", 1024*100, 1024*rows), "", false},
		{"half a row of an embedding", zero("c.weight", 1024*100, 1024*200+500), `"c.weight" contents`, false},
		{"NaN", put("b.weight", 99_999, 0x7fc0), `"b.weight" values: found NaN or an infinity at byte 199992`, false},
		{"minus infinity", put("d.weight", rows-1, 0xff80), `"d.weight" values`, true},
		{"largest value", put("d.weight", rows-1, 0x7f7f), "", false},
	} {
		s, table := contentFile(t, rows, cols, c.change)
		for _, full := range []bool{true, false} {
			check := &contentCheck{full: full, every: 1 << 20, files: map[*mapping]*os.File{}, progress: func(int64) {}}
			f, err := os.Open(s.files[0].path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			check.files[s.files[0]] = f
			if err := check.all(t.Context(), s.toLookAt(table)); err != nil {
				t.Fatal(err)
			}
			err = check.err(s)
			want := c.want
			if !full && !c.sampled {
				want = ""
			}
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, all %v: %v, want %q", c.name, full, err, want)
			}
		}
	}
}

// TestHoles makes sure that what a file system keeps no data of is found however small.
func TestHoles(t *testing.T) {
	s, table := contentFile(t, 3000, 512, nil)
	e := s.tensors["b.weight"]
	begin := (e.offset + 1<<19) &^ 4095
	path := s.files[0].path
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.WriteAt(data[:begin], 0)
	f.WriteAt(data[begin+8192:], begin+8192)
	if holes := holesOf(f, int64(len(data))); len(holes) != 1 || holes[0] != (span{begin, begin + 8192}) {
		t.Skipf("this file system knows of holes %v", holes)
	}
	if s, err = Open(path); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	check := &contentCheck{every: 1 << 20, files: map[*mapping]*os.File{s.files[0]: f}, holes: map[*mapping][]span{s.files[0]: holesOf(f, int64(len(data)))}, progress: func(int64) {}}
	if err := check.all(t.Context(), s.toLookAt(table)); err != nil {
		t.Fatal(err)
	}
	if err := check.err(s); err == nil || !strings.Contains(err.Error(), "8192 bytes of zeros") {
		t.Errorf("a hole: %v", err)
	}
}

// TestNotNumber compares the search for what is no number with one value by value.
func TestNotNumber(t *testing.T) {
	for dtype, value := range map[device.DType]func([]byte) float64{
		device.F32: func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
		device.BF16: func(b []byte) float64 {
			return float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16))
		},
	} {
		rnd := rand.New(rand.NewPCG(1, 2))
		size := dtype.Size()
		for range 2000 {
			data := make([]byte, 8+size*rnd.IntN(3))
			for i := range data {
				data[i] = []byte{0, 0x7f, 0x80, 0xff, byte(rnd.IntN(256))}[rnd.IntN(5)]
			}
			want := false
			for i := 0; i+size <= len(data); i += size {
				v := value(data[i:])
				want = want || math.IsNaN(v) || math.IsInf(v, 0)
			}
			if got := notNumber(data, dtype) >= 0; got != want {
				t.Fatalf("%v % x: %v", dtype, data, got)
			}
		}
	}
	for b := range 256 {
		if got, want := notNumber([]byte{byte(b)}, device.F8E4M3) >= 0, b&0x7f == 0x7f; got != want {
			t.Errorf("F8_E4M3 %#x: %v", b, got)
		}
		if got, want := notNumber([]byte{byte(b)}, device.F8E5M2) >= 0, b&0x7c == 0x7c; got != want {
			t.Errorf("F8_E5M2 %#x: %v", b, got)
		}
	}
}

// FuzzZeroRuns compares the runs with those that are found byte by byte.
func FuzzZeroRuns(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0}, uint8(3), uint8(8))
	f.Fuzz(func(t *testing.T, data []byte, least, piece uint8) {
		if least == 0 || piece == 0 || len(data) == 0 {
			return
		}
		var want, got []span
		for i := 0; i < len(data); i++ {
			j := i
			for j < len(data) && data[j] == 0 {
				j++
			}
			if j-i >= int(least) {
				want = append(want, span{int64(i), int64(j)})
			}
			i = j
		}
		zeros := zeroRuns{least: int64(least)}
		for at := 0; at < len(data); {
			// Runs within eight bytes of values are no matter, nor do they have to be found.
			chunk := data[at:min(at+8*int(piece), len(data))]
			at += len(chunk)
			for run, ok := zeros.next(chunk, at == len(data)); ok; run, ok = zeros.next(nil, at == len(data)) {
				got = append(got, run)
			}
		}
		for _, run := range want {
			if run.end-run.begin < 16 {
				continue
			}
			found := false
			for _, g := range got {
				found = found || g == run
			}
			if !found {
				t.Errorf("%v of %v: found %v", run, data, got)
			}
		}
		for _, g := range got {
			for _, b := range data[g.begin:g.end] {
				if b != 0 {
					t.Errorf("%v of %v is no run", g, data)
				}
			}
		}
	})
}

func TestUnfinished(t *testing.T) {
	for _, c := range []struct{ beside, want string }{
		{"m.safetensors.aria2", "m.safetensors.aria2"}, {"m.safetensors.part", ".part"}, {"m.safetensors.0123.incomplete", ".incomplete"},
		{"M.SAFETENSORS.CRDOWNLOAD", "CRDOWNLOAD"}, {"other.safetensors.aria2", ""}, {"m.safetensors.txt", ""}, {"._m.safetensors.part", ""},
	} {
		dir := folder(t, map[string][]byte{"m.safetensors": one("a"), c.beside: nil})
		s, err := Open(filepath.Join(dir, "m.safetensors"))
		if err == nil {
			s.Close()
		}
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("beside %s: %v", c.beside, err)
		}
		if _, err := Open(dir); (err == nil) != (c.want == "" && !strings.HasSuffix(c.beside, ".aria2")) {
			t.Errorf("the folder with %s: %v", c.beside, err)
		}
	}
	dir := folder(t, map[string][]byte{"blobs/0123": one("a"), "blobs/0123.incomplete": nil})
	if err := os.Symlink("blobs/0123", filepath.Join(dir, "m.safetensors")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "m.safetensors")); err == nil || !strings.Contains(err.Error(), "0123.incomplete") {
		t.Errorf("beside the target of a link: %v", err)
	}
}

func TestHubHash(t *testing.T) {
	data := one("a")
	hash := fmt.Sprintf("%x", sha256.Sum256(data))
	meta := func(etag string) []byte { return []byte("0123commit\n" + etag + "\n1700000000.5\n") }
	dir := folder(t, map[string][]byte{
		"high/m.safetensors": data, ".cache/huggingface/download/high/m.safetensors.metadata": meta(hash),
		"quoted.safetensors": data, ".cache/huggingface/download/quoted.safetensors.metadata": meta(`W/"` + hash + `"`),
		"small.json": data, ".cache/huggingface/download/small.json.metadata": meta("0123456789abcdef0123456789abcdef01234567"),
		"odd": data, ".cache/huggingface/download/odd.metadata": []byte("x"), "none": data, "blobs/" + hash: data,
	})
	if err := os.Symlink("blobs/"+hash, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"high/m.safetensors": hash, "quoted.safetensors": hash, "small.json": "", "odd": "", "none": "", "linked": hash} {
		if got := HubHash(filepath.Join(dir, name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	path := filepath.Join(dir, "linked")
	var read int64
	if err := CheckHash(t.Context(), path, hash, func(n int64) { read += n }); err != nil || read != int64(len(data)) {
		t.Errorf("%v, %d bytes", err, read)
	}
	if err := CheckHash(t.Context(), path, strings.Repeat("0", 64), func(int64) {}); err == nil || !strings.Contains(err.Error(), "SHA-256: found "+hash) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := CheckHash(ctx, path, hash, func(int64) {}); err != context.Canceled {
		t.Error(err)
	}
}

// oneTensor writes a file of one tensor of BF16 that holds no zeros but in the range zeros.
func oneTensor(t *testing.T, name string, rows, cols int, zeros span) string {
	t.Helper()
	data := make([]byte, 2*rows*cols)
	for i := range data {
		data[i] = 0x3c
	}
	clear(data[zeros.begin:zeros.end])
	path := filepath.Join(t.TempDir(), "x.safetensors")
	tensor := Tensor{Name: name, DType: device.BF16, Shape: []int{rows, cols}, Data: data}
	if err := WriteSafetensors(path, []Source{tensor.Source()}, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUntrained looks at layers that begin as zeros, and at others.
func TestUntrained(t *testing.T) {
	for _, c := range []struct {
		name  string
		role  Role
		zeros span
		fault string
		told  bool
	}{
		{"blocks.1.cam_scale_layer.weight", Linear, span{0, 1 << 15}, "", true},
		{"blocks.1.cam_injector_layer2.weight", Linear, span{0, 1 << 15}, "", true},
		{"patch_embedding_wancamctrl.weight", Linear, span{0, 1 << 15}, "", true},
		{"c2ws_hidden_states_layer2.weight", Linear, span{0, 1 << 15}, "", true},
		{"blocks.1.cam_scale_layer.weight", Linear, span{0, 1 << 14}, "16384 bytes of zeros", true}, // its beginning is all that is looked at
		{"blocks.1.cam_scale_layer.weight", Linear, span{1 << 14, 1 << 15}, "16384 bytes of zeros", false},
		{"blocks.1.cam_scale_layer.weight", Linear, span{}, "", false},
		{"blocks.1.cam_injector_layer1.weight", Linear, span{0, 1 << 15}, "zeros only", false},
		{"blocks.1.self_attn.q.weight", Linear, span{0, 1 << 15}, "zeros only", false},
	} {
		s, err := Open(oneTensor(t, c.name, 128, 128, c.zeros))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		table := Table{{Name: c.name, Role: c.role, Shape: []int{128, 128}}}
		err = s.checkContents(t.Context(), table, false, func(int64) {})
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %v: %v, want %q", c.name, c.zeros, err, c.fault)
		}
		if told := len(s.untrained(table)) == 1; told != c.told {
			t.Errorf("%s %v: told %v, want %v", c.name, c.zeros, told, c.told)
		}
	}
}

// TestSmallZeros looks at norms of fewer bytes than a run of zeros has.
func TestSmallZeros(t *testing.T) {
	for role, want := range map[Role]bool{Norm: true, Bias: false, Modulation: false} {
		s, err := Open(oneTensor(t, "x", 1, 100, span{0, 200}))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		err = s.checkContents(t.Context(), Table{{Name: "x", Role: role, Shape: []int{1, 100}}}, false, func(int64) {})
		if (err != nil) != want {
			t.Errorf("role %v: %v", role, err)
		}
	}
}

// TestLoRAMistaken opens as a LoRA what is none, and is told what it is.
func TestLoRAMistaken(t *testing.T) {
	for data, want := range map[string]string{
		"<!DOCTYPE html><html>": "a web page", "version https://git-lfs.github.com/spec/v1\n": "git lfs pull", "\x89PNG\r\n\x1a\n": "a picture", strings.Repeat("\x00", 5000): "only zeros",
	} {
		path := filepath.Join(t.TempDir(), "x.safetensors")
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenLoRA(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", data, err, want)
		}
	}
}

// TestLoRAContents looks at LoRAs: what is not trained is zeros there, but no part of a row is.
func TestLoRAContents(t *testing.T) {
	for _, c := range []struct {
		name  string
		zeros span
		fault string
	}{
		{"nothing", span{}, ""},
		{"not trained", span{0, 1 << 15}, ""},
		{"ranks that are not used", span{1 << 14, 1 << 15}, ""},
		{"cut short", span{1<<14 + 100, 1 << 15}, "16284 bytes of zeros from byte 16484"},
	} {
		l, err := OpenLoRA(oneTensor(t, "blocks.0.self_attn.q.lora_down.weight", 128, 128, c.zeros))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.CheckSamples(t.Context()); (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v, want %q", c.name, err, c.fault)
		}
	}
}
