#include "simd.h"

#define EACH_ROW for (long i = 0; i < rows; i++)
#define EACH_VECTOR for (long j = 0, n; j < cols && (n = lanes(cols - j)); j += LANES)

INLINE void unary(float *y, long ldy, const float *x, long ldx, int f, long rows, long cols) {
	EACH_ROW EACH_VECTOR store(y + i * ldy + j, apply(f, load(x + i * ldx + j, n)), n);
}

HOT void gb_unary(void *y, long ldy, const void *x, long ldx, int f, long rows, long cols) {
	switch (f) {
	case FN_SILU: unary(y, ldy, x, ldx, FN_SILU, rows, cols); break;
	case FN_GELU: unary(y, ldy, x, ldx, FN_GELU, rows, cols); break;
	case FN_CLAMP1: unary(y, ldy, x, ldx, FN_CLAMP1, rows, cols); break;
	case FN_RELU: unary(y, ldy, x, ldx, FN_RELU, rows, cols); break;
	default: unary(y, ldy, x, ldx, FN_IDENTITY, rows, cols);
	}
}

HOT void gb_binary(void *yv, long ldy, const void *av, long lda, const void *bv, long ldb, int op, long rows, long cols) {
	float *y = yv;
	const float *a = av, *b = bv;
	if (op == OP_ADD)
		EACH_ROW EACH_VECTOR store(y + i * ldy + j, load(a + i * lda + j, n) + load(b + i * ldb + j, n), n);
	else
		EACH_ROW EACH_VECTOR store(y + i * ldy + j, load(a + i * lda + j, n) * load(b + i * ldb + j, n), n);
}

HOT void gb_gated_add(void *yv, long ldy, const void *av, long lda, const void *gv, long ldg, const void *bv, long ldb, float plus, long rows, long cols) {
	float *y = yv;
	const float *a = av, *g = gv, *b = bv;
	EACH_ROW EACH_VECTOR store(y + i * ldy + j, load(a + i * lda + j, n) * (load(g + i * ldg + j, n) + plus) + load(b + i * ldb + j, n), n);
}

INLINE void epilogue(float *y, long ldy, const float *acc, long lda, const float *bias, int act, const float *gate, const float *add, long ldadd, long rows, long cols) {
	EACH_ROW EACH_VECTOR {
		vf v = load(acc + i * lda + j, n);
		if (bias)
			v += load(bias + j, n);
		v = apply(act, v);
		if (gate)
			v *= load(gate + j, n);
		if (add)
			v += load(add + i * ldadd + j, n);
		store(y + i * ldy + j, v, n);
	}
}

// gb_epilogue computes y = add + gate * act(acc + bias); bias, gate and add may be NULL.
HOT void gb_epilogue(void *y, long ldy, const void *acc, long lda, const void *bias, int act, const void *gate, const void *add, long ldadd, long rows, long cols) {
	switch (act) {
	case FN_SILU: epilogue(y, ldy, acc, lda, bias, FN_SILU, gate, add, ldadd, rows, cols); break;
	case FN_GELU: epilogue(y, ldy, acc, lda, bias, FN_GELU, gate, add, ldadd, rows, cols); break;
	case FN_CLAMP1: epilogue(y, ldy, acc, lda, bias, FN_CLAMP1, gate, add, ldadd, rows, cols); break;
	case FN_RELU: epilogue(y, ldy, acc, lda, bias, FN_RELU, gate, add, ldadd, rows, cols); break;
	default: epilogue(y, ldy, acc, lda, bias, FN_IDENTITY, gate, add, ldadd, rows, cols);
	}
}
