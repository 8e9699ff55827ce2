package host

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gimbal/inference/device"
)

type bytes []byte

func (m bytes) Bytes() []byte { return m }

func desc(n int) device.Desc { return device.Desc{Label: "x", DType: device.U8, Shape: []int{n}} }

// TestAccount fills a device of 100 bytes.
func TestAccount(t *testing.T) {
	var freed []int64
	d := New("test", 100, func(_ bytes, counted int64) { freed = append(freed, counted) })
	provide := func(n int) (*Buffer[bytes], error) {
		return d.Provide(desc(n), int64(n), func(room int64) (bytes, error) {
			if room != 100-d.allocated {
				t.Errorf("room for %d bytes with %d in use", room, d.allocated)
			}
			return make(bytes, n+3), nil
		})
	}
	b, err := provide(60)
	if err != nil || len(b.Bytes()) != 60 {
		t.Fatal(b, err)
	}
	_, err = provide(41)
	if !errors.Is(err, device.ErrOutOfMemory) || !strings.Contains(err.Error(), `test: "x" of U8 [41]: 41 bytes, with 60 of 100 in use`) {
		t.Errorf("41 bytes more: %v", err)
	}
	if _, err := d.Provide(desc(5), 5, func(int64) (bytes, error) { return nil, device.ErrOutOfMemory }); !errors.Is(err, device.ErrOutOfMemory) {
		t.Errorf("memory that is refused: %v", err)
	}
	b.Release()
	b.Release()
	if _, err = provide(100); err != nil {
		t.Fatal(err)
	}
	if now, peak := d.Held(); now != 100 || peak != 100 || len(freed) != 1 || freed[0] != 60 {
		t.Errorf("%d bytes, peak %d, freed %v", now, peak, freed)
	}
	ended := 0
	for range 2 {
		d.Shut(func() { ended++ })
	}
	if now, peak := d.Held(); now != 0 || peak != 100 || ended != 1 || len(freed) != 2 {
		t.Errorf("closed with %d bytes, peak %d, freed %v, ended %d times", now, peak, freed, ended)
	}
	_, alloc := provide(1)
	_, adopt := d.Adopt(desc(0), nil, nil, nil)
	run := d.Submit(t.Context(), "late", func() error { t.Error("ran"); return nil })
	for _, err := range []error{alloc, adopt, run} {
		if !errors.Is(err, device.ErrDeviceLost) {
			t.Errorf("a closed device gives %v", err)
		}
	}
}

// TestAdopt maps memory without and with a copy.
func TestAdopt(t *testing.T) {
	var freed []int64
	d := New("test", 0, func(_ bytes, counted int64) { freed = append(freed, counted) })
	for _, copied := range []bool{false, true} {
		mem, released := []byte{1, 2}, 0
		b, err := d.Adopt(desc(2), mem, func() { released++ }, func() (bytes, bool, error) { return mem, copied, nil })
		if err != nil || (released == 1) != copied {
			t.Fatalf("copied %v: released %d times, %v", copied, released, err)
		}
		b.Release()
		if released != 1 {
			t.Errorf("copied %v: released %d times", copied, released)
		}
	}
	if len(freed) != 2 || freed[0]+freed[1] != 0 {
		t.Errorf("freed %v", freed)
	}
}

// TestSubmit runs a submission from within another one.
func TestSubmit(t *testing.T) {
	d := New("test", 0, func(bytes, int64) {})
	ctx, cancel := context.WithCancel(t.Context())
	failure := errors.New("failure")
	err := d.Submit(ctx, "block 3", func() error {
		cancel()
		if err := d.Submit(ctx, "inner", func() error { t.Error("ran out of turn"); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for the turn gives %v", err)
		}
		return failure
	})
	if !errors.Is(err, failure) || !strings.HasPrefix(err.Error(), "block 3: ") {
		t.Errorf("got %v", err)
	}
}
