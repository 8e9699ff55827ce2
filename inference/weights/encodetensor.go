package weights

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"gimbal/inference/device"
)

// NF4Block is the number of values that share a scale in NF4.
const NF4Block = 64

// jobValues is about how many values a core quantises at once: their widened
// copy stays in its cache.
const jobValues = 1 << 14

// NF4Tensor quantises t, of any float type, as EncodeNF4 does in blocks of NF4Block
// values, on all cores. The lengths of codes and absmax are NF4Len's.
func NF4Tensor(ctx context.Context, codes []byte, absmax []float32, t Tensor) error {
	size := t.DType.Size()
	n := len(t.Data) / size
	err := onAllCores(ctx, (n+jobValues-1)/jobValues, jobValues, func(room []float32, job int) bool {
		from := job * jobValues
		to := min(from+jobValues, n)
		w, dtype := operand(room, t.Data[from*size:to*size], t.DType)
		if w == nil {
			return false
		}
		encodeNF4(codes[from/2:(to+1)/2], absmax[from/NF4Block:(to+NF4Block-1)/NF4Block], w, dtype, to-from, NF4Block)
		return true
	})
	return named(t, err)
}

// INT8Tensor quantises t, a matrix of any float type with a row for each value of
// absmax, as EncodeINT8 does, on all cores; absmax is 127 times the scale.
func INT8Tensor(ctx context.Context, codes []byte, absmax []float32, t Tensor) error {
	size := t.DType.Size()
	rows := len(absmax)
	cols := len(codes) / rows
	each := max(1, jobValues/cols)
	err := onAllCores(ctx, (rows+each-1)/each, each*cols, func(room []float32, job int) bool {
		from := job * each
		to := min(from+each, rows)
		w, dtype := operand(room, t.Data[from*cols*size:to*cols*size], t.DType)
		if w == nil {
			return false
		}
		encodeINT8(codes[from*cols:to*cols], absmax[from:to], w, dtype)
		return true
	})
	return named(t, err)
}

// operand returns where the weights of data can be read as F32 or BF16: where they
// are, or widened to room; nil if they are of another type than a float's.
func operand(room []float32, data []byte, t device.DType) (unsafe.Pointer, device.DType) {
	if t == device.F32 || t == device.BF16 {
		return unsafe.Pointer(unsafe.SliceData(data)), t
	}
	w := room[:len(data)/t.Size()]
	if !Widen(w, data, t) {
		return nil, 0
	}
	return unsafe.Pointer(unsafe.SliceData(w)), device.F32
}

// onAllCores calls f for the jobs 0, ..., n-1, each with its core's room of some
// values, until ctx ends or f reports that the tensor is none it can read.
func onAllCores(ctx context.Context, n, values int, f func(room []float32, job int) bool) error {
	var next atomic.Int64
	var bad atomic.Bool
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			room := make([]float32, values)
			for !bad.Load() && ctx.Err() == nil {
				job := int(next.Add(1)) - 1
				if job >= n {
					return
				}
				if !f(room, job) {
					bad.Store(true)
				}
			}
		})
	}
	all.Wait()
	if bad.Load() {
		return fmt.Errorf("found no float type, expected F32, F16, BF16 or F8_E4M3")
	}
	return ctx.Err()
}

func named(t Tensor, err error) error {
	if err != nil {
		return fmt.Errorf("quantising tensor %q: %w", t.Name, err)
	}
	return nil
}

// checkFinite returns an error if a scale of t is none, since a weight was NaN or
// infinite.
func checkFinite(t Tensor, absmax []float32) error {
	for i, a := range absmax {
		if a64 := float64(a); math.IsNaN(a64) || math.IsInf(a64, 0) {
			return named(t, fmt.Errorf("found NaN or infinity in part %d of %d, expected finite weights (is the download complete?)", i+1, len(absmax)))
		}
	}
	return nil
}
