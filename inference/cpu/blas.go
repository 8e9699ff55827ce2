package cpu

/*
#cgo CFLAGS: -O3 -Wall -Wno-psabi
#cgo LDFLAGS: -lm
#cgo linux LDFLAGS: -lopenblas
#cgo darwin CFLAGS: -DACCELERATE_NEW_LAPACK
#cgo darwin LDFLAGS: -framework Accelerate
#ifdef __APPLE__
#include <Accelerate/Accelerate.h>
static void gb_blas_threads(int n) { (void)n; }
static const char *gb_blas(void) { return "Accelerate"; }
#else
#include <cblas.h>
static void gb_blas_threads(int n) { openblas_set_num_threads(n); }
static const char *gb_blas(void) { return openblas_get_config(); }
#endif

static void gb_gemm(int transB, long m, long n, long k, const void *a, long lda, const void *b, long ldb, float beta, void *c, long ldc) {
	cblas_sgemm(CblasRowMajor, CblasNoTrans, transB ? CblasTrans : CblasNoTrans, (int)m, (int)n, (int)k, 1, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}
*/
import "C"

import "unsafe"

// block is a block of an F32 matrix: its first element, and the elements from
// one row to the next.
type block struct {
	p  unsafe.Pointer
	ld int
}

// at returns the block that starts at row i, column j of b.
func (b block) at(i, j int) block {
	return block{unsafe.Add(b.p, (i*b.ld+j)*4), b.ld}
}

// blasThreads sets how many threads OpenBLAS uses in a call: one, because this
// package's workers are the threads. Accelerate decides by itself.
func blasThreads(n int) { C.gb_blas_threads(C.int(n)) }

// blasName returns the library's name and version.
func blasName() string { return C.GoString(C.gb_blas()) }

// gemm computes C = A·B + beta*C for A [m, k] and B [k, n].
func gemm(m, n, k int, a, b block, beta float32, c block) {
	C.gb_gemm(0, C.long(m), C.long(n), C.long(k), a.p, C.long(a.ld), b.p, C.long(b.ld), C.float(beta), c.p, C.long(c.ld))
}

// gemmT computes C = A·Bᵀ + beta*C for A [m, k] and B [n, k].
func gemmT(m, n, k int, a, b block, beta float32, c block) {
	C.gb_gemm(1, C.long(m), C.long(n), C.long(k), a.p, C.long(a.ld), b.p, C.long(b.ld), C.float(beta), c.p, C.long(c.ld))
}
