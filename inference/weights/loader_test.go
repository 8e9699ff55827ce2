package weights

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
)

// memory is a device that holds buffers and runs nothing.
type memory struct {
	device.Device
	held int
	full bool
}

type buffer struct {
	desc device.Desc
	data []byte
	held *int
}

func (b *buffer) Desc() device.Desc { return b.desc }
func (b *buffer) Release()          { *b.held-- }

func (m *memory) Info() device.Info { return device.Info{} }

func (m *memory) Alloc(d device.Desc) (device.Buffer, error) {
	if m.full {
		return nil, device.ErrOutOfMemory
	}
	m.held++
	return &buffer{d, make([]byte, d.Bytes()), &m.held}, nil
}

func (m *memory) Map(d device.Desc, mem []byte, release func()) (device.Buffer, error) {
	if m.full {
		return nil, device.ErrOutOfMemory
	}
	if int64(len(mem)) != d.Bytes() {
		panic("memory: size")
	}
	m.held++
	return &buffer{d, mem, &m.held}, nil
}

func (m *memory) Write(_ context.Context, dst device.Buffer, src []byte) error {
	copy(dst.(*buffer).data, src)
	return nil
}

// newTestStore writes and opens a file with tensors of the given shapes.
func newTestStore(t *testing.T, tensors ...Tensor) *Store {
	t.Helper()
	var sources []Source
	for _, x := range tensors {
		n, _ := elements(x.Shape)
		for i := range n * x.DType.Size() {
			x.Data = append(x.Data, byte(i))
		}
		sources = append(sources, x.Source())
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteSafetensors(path, sources, nil); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// weight loads a weight of out x in elements, any for 0.
func weight(l *Loader, name string, out, in int) device.Weight {
	return l.store.format(name).load(l, name, []int{out, in})
}

func TestLoader(t *testing.T) {
	s := newTestStore(t,
		Tensor{Name: "linear", DType: device.BF16, Shape: []int{3, 4}},
		Tensor{Name: "conv", DType: device.F32, Shape: []int{2, 3, 1, 2, 2}},
		Tensor{Name: "modulation", DType: device.BF16, Shape: []int{1, 6, 2}},
		Tensor{Name: "ids", DType: device.I64, Shape: []int{5}},
	)
	dev := &memory{}
	l := NewLoader(dev, s, nil)
	for _, c := range []struct {
		name              string
		out, in           int
		wantOut, wantCols int
	}{
		{"linear", 3, 4, 3, 4}, {"linear", 0, 0, 3, 4}, {"linear", 0, 4, 3, 4}, {"linear", 3, 0, 3, 4},
		{"conv", 2, 12, 2, 12}, {"conv", 0, 0, 2, 12},
	} {
		w := weight(l, c.name, c.out, c.in)
		if w.Out != c.wantOut || w.In != c.wantCols || w.Data.Rows != c.wantOut || w.Data.Cols != c.wantCols {
			t.Errorf("weight %v: %+v", c, w)
			continue
		}
		tensor, _ := s.Tensor(c.name)
		if data := w.Data.Buf.(*buffer).data; &data[0] != &tensor.Data[0] {
			t.Errorf("weight %v was copied", c)
		}
	}
	for _, n := range []int{0, 12} {
		v := l.vector("modulation", n)
		if v.Rows != 1 || v.Cols != 12 || v.DType != device.F32 {
			t.Fatalf("vector %+v", v)
		}
		x, _ := s.Tensor("modulation")
		want, _ := x.Float32s()
		got := v.Buf.(*buffer).data
		for i := range want {
			if bits := binary.LittleEndian.Uint32(got[4*i:]); bits != math.Float32bits(want[i]) {
				t.Errorf("vector value %d is %#x, want %v", i, bits, want[i])
			}
		}
	}
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	l.Release()
	l.Release()
	if dev.held != 0 {
		t.Errorf("%d buffers are left", dev.held)
	}
}

func TestLoaderErrors(t *testing.T) {
	s := newTestStore(t,
		Tensor{Name: "w", DType: device.BF16, Shape: []int{3, 4}},
		Tensor{Name: "v", DType: device.F32, Shape: []int{5}},
		Tensor{Name: "ids", DType: device.I32, Shape: []int{2, 2}},
		Tensor{Name: "none", DType: device.F32, Shape: []int{0, 4}},
	)
	l := NewLoader(&memory{}, s, nil)
	for _, w := range []device.Weight{
		weight(l, "missing", 1, 1), weight(l, "w", 4, 3), weight(l, "w", 3, 5), weight(l, "w", 3, 4+1<<62), weight(l, "v", 5, 1),
		weight(l, "ids", 2, 2), weight(l, "none", 0, 4), weight(l, "none", 0, 0),
	} {
		if w.Out != 0 || !w.Data.IsZero() {
			t.Errorf("a bad weight loads: %+v", w)
		}
	}
	for _, m := range []device.Mat{
		l.vector("missing2", 1), l.vector("v", 6), l.vector("ids", 4), l.vector("none", 0),
	} {
		if !m.IsZero() {
			t.Errorf("a bad matrix loads: %+v", m)
		}
	}
	path := s.Path()
	want := path + `: 2 tensors, "missing", "missing2": found none of these names, expected one of its 4 tensors
` + path + `: 3 tensors, "w", "v", "none", shape: found [3 4] for the first, expected [4 3]
` + path + `: tensor "ids" dtype: found I32, expected F32, F16, BF16, F8_E4M3 or F8_E5M2`
	if got := l.Err().Error(); got != want {
		t.Errorf("errors\n%s\nwant\n%s", got, want)
	}
	// What does not fit is told once, however many tensors follow.
	l = NewLoader(&memory{full: true}, s, nil)
	weight(l, "w", 0, 0)
	l.vector("v", 0)
	if !errors.Is(l.Err(), device.ErrOutOfMemory) || strings.Count(l.Err().Error(), s.Path()) != 1 {
		t.Errorf("error %v", l.Err())
	}
}

// TestStoreConcurrent lets goroutines read while the store is closed.
func TestStoreConcurrent(t *testing.T) {
	s := newTestStore(t, Tensor{Name: "w", DType: device.BF16, Shape: []int{3, 4}})
	done := make(chan error)
	for range 4 {
		go func() {
			var err error
			for err == nil {
				var x Tensor
				if x, err = s.Tensor("w"); err == nil && (len(x.Data) != 24 || !slices.Equal(s.Names(), []string{"w"})) {
					err = errors.New("a torn tensor")
					break
				}
			}
			done <- err
		}()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for range 4 {
		if err := <-done; !strings.Contains(err.Error(), "after Close") {
			t.Error(err)
		}
	}
}

func TestGather(t *testing.T) {
	span := []byte{0, 1, 2, 3, 4, 5, 6, 7}
	if got := gather(span, []int{2, 2}, []int{1, 2}, 2); !bytes.Equal(got, []byte{0, 1, 4, 5, 2, 3, 6, 7}) {
		t.Error(got)
	}
}
