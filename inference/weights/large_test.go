package weights

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The sizes of an expert in F32: files of 74 GB, which here have holes for data.
const (
	largeTensors = 1500
	largeTensor  = 49 << 20
)

// allocated returns the bytes that f allocates on the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// checkLarge opens a large file and reads some tensors; the heap may grow by what
// the header needs.
func checkLarge(t *testing.T, open func() (*Store, error)) {
	t.Helper()
	heap := allocated(func() {
		s, err := open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s.Bytes() < largeTensors*largeTensor || len(s.Names()) != largeTensors {
			t.Errorf("%d bytes, %d tensors", s.Bytes(), len(s.Names()))
		}
		for _, i := range []int{0, 1, largeTensors / 2, largeTensors - 1} {
			x, err := s.Tensor(largeName(i))
			if err != nil || len(x.Data) != largeTensor || x.Data[largeTensor-1] != 0 {
				t.Fatalf("%v of %d bytes, %v", x.Shape, len(x.Data), err)
			}
		}
	})
	t.Logf("%d KB of heap", heap>>10)
	if heap > 16<<20 {
		t.Errorf("%d bytes of heap", heap)
	}
}

func largeName(i int) string { return fmt.Sprintf("blocks.%d.ffn.0.weight", i) }

// sparseFile makes an empty file that may be given holes.
func sparseFile(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(largeTensors * (largeTensor + 4096)); err != nil {
		t.Skipf("no file of 74 GB with holes can be made here: %v", err)
	}
	if err := f.Truncate(0); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestLargeSafetensors(t *testing.T) {
	f := sparseFile(t, "x.safetensors")
	var header strings.Builder
	for i := range largeTensors {
		fmt.Fprintf(&header, `,"%s":{"dtype":"F32","shape":[%d,1024],"data_offsets":[%d,%d]}`, largeName(i), largeTensor/4096, i*largeTensor, (i+1)*largeTensor)
	}
	text := safetensors("{"+header.String()[1:]+"}", 0)
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(len(text)) + largeTensors*largeTensor); err != nil {
		t.Fatal(err)
	}
	checkLarge(t, func() (*Store, error) { return Open(f.Name()) })
}

// holes writes to a file and leaves a hole for what is long.
type holes struct{ f *os.File }

func (h holes) Write(p []byte) (int, error) {
	if len(p) < 1<<20 {
		return h.f.Write(p)
	}
	_, err := h.f.Seek(int64(len(p)), io.SeekCurrent)
	return len(p), err
}

func TestLargeTorch(t *testing.T) {
	f := sparseFile(t, "x.pth")
	z := zip.NewWriter(holes{f})
	write := func(name string, data []byte, times int) {
		size := uint64(len(data) * times)
		w, err := z.CreateRaw(&zip.FileHeader{Name: "x/" + name, Method: zip.Store, CompressedSize64: size, UncompressedSize64: size})
		for range times {
			if err == nil {
				_, err = w.Write(data)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const perStorage = 60
	var root pairs
	zeros := make([]byte, largeTensor)
	for i := range largeTensors {
		offset := i % perStorage * largeTensor / 4
		root = append(root, largeName(i), view("FloatStorage", fmt.Sprint(i/perStorage), offset, tuple(largeTensor/4096, 1024), tuple(1024, 1)))
	}
	write("data.pkl", pickle(root), 1)
	for i := range largeTensors / perStorage {
		write(fmt.Sprintf("data/%d", i), zeros, perStorage)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	checkLarge(t, func() (*Store, error) { return Open(f.Name()) })
}
