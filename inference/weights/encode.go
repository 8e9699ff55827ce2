package weights

/*
#cgo CFLAGS: -O3 -Wall -Wno-psabi
#include "encode.h"
*/
import "C"

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"gimbal/inference/device"
)

// buffers are an encoder's, from one weight to the next.
type buffers struct {
	codes  []byte
	absmax []float32
	codes8 []byte // of absmax
	nested []float32
}

// resize returns s with n elements, whatever they are.
func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// encodeNF4 quantises n weights, at w, of type F32 or BF16, in blocks of an even number,
// of which the last may be shorter: to codes, two per byte with the even value in the high
// nibble, and the blocks' largest magnitudes. The slices' lengths are nf4Len's.
func encodeNF4(codes []byte, absmax []float32, w unsafe.Pointer, from device.DType, n, block int) {
	if n == 0 {
		return
	}
	C.gq_nf4((*C.uint8_t)(&codes[0]), (*C.float)(&absmax[0]), w, isBF16(from), C.long(n), C.long(block), (*C.float)(&nf4Middles[0]))
}

// encodeINT8 quantises a row of weights, at w, for each value of absmax, which becomes
// the row's largest magnitude: a code, in two's complement, is the value divided by
// absmax/127, rounded half to even. A row with a NaN or an infinity gets NaN.
func encodeINT8(codes []byte, absmax []float32, w unsafe.Pointer, from device.DType) {
	if len(codes) == 0 {
		return
	}
	C.gq_int8((*C.uint8_t)(&codes[0]), (*C.float)(&absmax[0]), w, isBF16(from), C.long(len(absmax)), C.long(len(codes)/len(absmax)))
}

func isBF16(t device.DType) C.int {
	if t == device.BF16 {
		return 1
	}
	return 0
}

// jobValues is about how many values a core quantises at once: their widened
// copy stays in its cache.
const jobValues = 1 << 14

// encodeNF4Tensor quantises t, of any float type, as encodeNF4 does in blocks of
// NF4Block values, on all cores.
func encodeNF4Tensor(ctx context.Context, codes []byte, absmax []float32, t Tensor) error {
	n := len(t.Data) / t.DType.Size()
	return onAllCores(ctx, t, n, jobValues, absmax, func(w unsafe.Pointer, dtype device.DType, from, to int) {
		encodeNF4(codes[from/2:(to+1)/2], absmax[from/NF4Block:(to+NF4Block-1)/NF4Block], w, dtype, to-from, NF4Block)
	})
}

// encodeINT8Tensor quantises t, a matrix of any float type with a row for each value of
// absmax, as encodeINT8 does, on all cores.
func encodeINT8Tensor(ctx context.Context, codes []byte, absmax []float32, t Tensor) error {
	cols := len(codes) / len(absmax)
	return onAllCores(ctx, t, len(codes), max(1, jobValues/cols)*cols, absmax, func(w unsafe.Pointer, dtype device.DType, from, to int) {
		encodeINT8(codes[from:to], absmax[from/cols:to/cols], w, dtype)
	})
}

// onAllCores calls encode for jobs of so many of t's n values, with where the values can
// be read as F32 or BF16: where they are, or widened. It fails if t is of no float type
// or, in the end, a scale is not finite.
func onAllCores(ctx context.Context, t Tensor, n, job int, scales []float32, encode func(w unsafe.Pointer, dtype device.DType, from, to int)) error {
	if !isFloat(t.DType) {
		return fmt.Errorf("quantising tensor %q: found %v, expected %s", t.Name, t.DType, floatTypes)
	}
	size, jobs := t.DType.Size(), (n+job-1)/job
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(jobs, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			var widened []float32
			for i := int(next.Add(1)) - 1; i < jobs && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				from, to := i*job, min((i+1)*job, n)
				data := t.Data[from*size : to*size]
				if t.DType == device.F32 || t.DType == device.BF16 {
					encode(unsafe.Pointer(unsafe.SliceData(data)), t.DType, from, to)
					continue
				}
				widened = resize(widened, to-from)
				Widen(widened, data, t.DType)
				encode(unsafe.Pointer(unsafe.SliceData(widened)), device.F32, from, to)
			}
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("quantising tensor %q: %w", t.Name, err)
	}
	for i, s := range scales {
		if x := float64(s); math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("quantising tensor %q: found NaN or infinity in part %d of %d, expected finite weights (is the download complete?)", t.Name, i+1, len(scales))
		}
	}
	return nil
}
