// Package sgemm measures the machine's own matrix product, the yardstick of the
// benchmarks. Nothing but benchmarks may use it.
package sgemm

/*
#cgo linux LDFLAGS: -lopenblas
#cgo darwin CFLAGS: -DACCELERATE_NEW_LAPACK
#cgo darwin LDFLAGS: -framework Accelerate
#ifdef __APPLE__
#include <Accelerate/Accelerate.h>
static void threads(int n) {}
#else
#include <cblas.h>
static void threads(int n) { openblas_set_num_threads(n); }
#endif

static void product(int n, int workers, const float *a, const float *b, float *c) {
	threads(workers);
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1, a, n, b, n, 0, c, n);
	threads(1);
}
*/
import "C"

import (
	"runtime"
	"time"
)

const size = 2048

// Yardstick holds the operands of a product of 2048 x 2048 matrices.
type Yardstick struct{ a, b, c []float32 }

// New returns a yardstick that has been used once.
func New() *Yardstick {
	y := &Yardstick{make([]float32, size*size), make([]float32, size*size), make([]float32, size*size)}
	for i := range y.a {
		y.a[i] = float32(i*2654435761>>8%1000)/1000 - 0.5
		y.b[i] = -y.a[i]
	}
	y.Seconds()
	return y
}

// Seconds returns how long a floating-point operation takes in one product on all
// processors. It leaves the library with one thread, as package cpu wants it.
func (y *Yardstick) Seconds() float64 {
	begin := time.Now()
	C.product(size, C.int(runtime.GOMAXPROCS(0)), (*C.float)(&y.a[0]), (*C.float)(&y.b[0]), (*C.float)(&y.c[0]))
	return time.Since(begin).Seconds() / (2 * size * size * size)
}
