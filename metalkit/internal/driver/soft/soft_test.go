//go:build !darwin

package soft

import (
	"strings"
	"testing"
	"unsafe"

	"gimbal/metalkit/internal/driver"
)

// The mistakes of faults.metal.
const (
	none = iota
	noBarrier
	returned
	fewer
	divergent
	different
	beyond
	before
	unaligned
	tooMuch
	alone
	others
	tooFar
	tooFew
)

// TestFaults runs a kernel with every kind of mistake: the driver stops it, or what
// it computes is wrong.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		mistake uint32
		at      uint32
		threads uint32
		want    string // in the error; "wrong" for none but a wrong result
	}{
		{"none", none, 0, 64, ""},
		{"no barrier", noBarrier, 0, 64, "wrong"},
		{"return of one thread before a barrier", returned, 5, 64, "wait for others"},
		{"return of the last thread before a barrier", returned, 63, 64, "wait for others"},
		{"return of a simd-group before a barrier", fewer, 0, 64, "wait for others"},
		{"simd function in half of the lanes", divergent, 16, 64, "wait for others"},
		{"simd function in all lanes but one", divergent, 31, 64, "wait for others"},
		{"different simd functions", different, 16, 64, "different functions"},
		{"write right after an array", beyond, 64, 64, "outside of its array"},
		{"write well after an array", beyond, 200, 64, "outside of its array"},
		{"write right before an array", before, 1, 64, "outside of its array"},
		{"vector at an odd element", unaligned, 1, 64, "not aligned"},
		{"vector where it may be", unaligned, 4, 64, ""},
		{"vector behind the page of a buffer", unaligned, 1024, 64, "outside of every buffer"},
		{"too much threadgroup memory", tooMuch, 0, 64, "more than 32768 bytes"},
		{"matmul2d by one of two simd-groups", alone, 0, 64, "takes part in every matmul2d"},
		{"matmul2d for four simd-groups by two", others, 0, 64, "another number of simd-groups"},
		{"matmul2d of rows that lie too far apart", tooFar, 0, 64, "further apart"},
		{"matmul2d with a number for k of too few rows", tooFew, 0, 64, "beyond the extents"},
		{"too many threads", none, 0, 1056, "more than 1024 threads"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, backward := range []bool{false, true} {
				right, err := runFault(t, backward, c.mistake, c.at, c.threads)
				switch {
				case c.want == "" && (err != nil || !right):
					t.Errorf("backward %v: right is %v, %v", backward, right, err)
				case c.want == "wrong" && (err != nil || right):
					t.Errorf("backward %v: not noticed, or %v", backward, err)
				case c.want != "" && c.want != "wrong" && (err == nil || !strings.Contains(err.Error(), c.want)):
					t.Errorf("backward %v: got %v, want %q", backward, err, c.want)
				}
			}
		})
	}
}

// runFault reports whether the kernel turns 64 elements around.
func runFault(t *testing.T, backward bool, mistake, at, threads uint32) (right bool, err error) {
	t.Helper()
	k, ok := lookup("fault")
	if !ok || int(unsafe.Sizeof(driver.Dispatch{})) != dispatchSize() {
		t.Fatalf("kernel found: %v; a dispatch has %d bytes, want %d", ok, unsafe.Sizeof(driver.Dispatch{}), dispatchSize())
	}
	w, err := newWorker(backward)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	const n = 64
	x, y := alloc(4*n), alloc(4*n)
	defer free(x)
	defer free(y)
	from, to := unsafe.Slice((*float32)(unsafe.Pointer(&x[0])), n), unsafe.Slice((*float32)(unsafe.Pointer(&y[0])), n)
	for i := range from {
		from[i] = float32(i + 1)
	}
	d := driver.Dispatch{Threads: threads, Groups: [3]uint32{1, 1, 1}, Buffers: 2}
	d.Bind[0].Handle, d.Bind[1].Handle = uintptr(unsafe.Pointer(&x[0])), uintptr(unsafe.Pointer(&y[0]))
	*(*uint32)(unsafe.Pointer(&d.Args)) = at
	constants := driver.Constants{A: mistake}
	if err := w.run(k, &constants, &d, 0, 1); err != nil {
		return false, err
	}
	right = true
	for i, v := range to {
		right = right && v == from[n-1-i]
	}
	return right, nil
}
