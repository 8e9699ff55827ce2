// The inner loops of the device. Matrices are row-major, leading dimensions are
// in elements, sizes in elements; float data is 4-byte aligned, other data need
// not be aligned. No function here starts a thread or keeps state.
#ifndef GIMBAL_CPU_KERNELS_H
#define GIMBAL_CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// Element types and functions, numbered as package device does.
enum { DT_F32 = 1, DT_F16, DT_BF16, DT_F8E4M3, DT_I8, DT_U8, DT_I32, DT_I64, DT_F8E5M2 };
enum { FN_IDENTITY, FN_SILU, FN_GELU, FN_CLAMP1, FN_RELU };
enum { OP_ADD = 1, OP_MUL };
enum { W_Q4_0 = 4, W_Q4_1, W_Q5_0, W_Q5_1, W_Q8_0, W_Q2_K, W_Q3_K, W_Q4_K, W_Q5_K, W_Q6_K, W_IQ4_NL, W_IQ4_XS };

// memory.c: zeroed memory that goes back to the system when freed.
void *gb_alloc(size_t bytes);
void gb_free(void *p, size_t bytes);
long long gb_physical_memory(void);

// convert.c
void gb_convert(void *dst, long ldd, int ddt, const void *src, long lds, int sdt, long rows, long cols);
void gb_transpose(void *dst, long ldd, const void *src, long lds, int size, long rows, long cols);
void gb_widen_i8(void *dst, long ldd, const void *src, long lds, const void *scale, long rows, long cols);
void gb_widen_nf4(void *dst, long ldd, const void *src, long first, long lds, long block, const void *code, const void *scale, long rows, long cols);
void gb_scale_rows(void *dst, long ldd, const void *scale, long rows, long cols);
void gb_nested_scales(void *dst, const void *src, long first, long n, long block, const void *code, const void *nested, float offset);

// blocks.c
void gb_widen_blocks(void *dst, long ldd, const void *src, long lds, int format, long rows, long cols);

// elementwise.c
void gb_unary(void *y, long ldy, const void *x, long ldx, int f, long rows, long cols);
void gb_binary(void *y, long ldy, const void *a, long lda, const void *b, long ldb, int op, long rows, long cols);
void gb_gated_add(void *y, long ldy, const void *a, long lda, const void *g, long ldg, const void *b, long ldb, float plus, long rows, long cols);
void gb_epilogue(void *y, long ldy, const void *acc, long lda, const void *bias, int act, const void *gate, const void *add, long ldadd, long rows, long cols);

// norm.c
void gb_norm(void *y, long ldy, const void *x, long ldx, int layer, float eps, const void *mul, const void *plus, int act, long rows, long cols);
void gb_rope(void *y, long ldy, const void *x, long ldx, long heads, long d, const void *cos, long ldc, const void *sin, long lds, const void *weight, float eps, long rows);

// attention.c
void gb_softmax_tile(void *s, long lds, long rows, long cols, float scale, const void *rel, const void *keybias, void *max, void *sum, void *o, long ldo, long d);
void gb_divide_rows(void *y, long ldy, const void *x, long ldx, const void *sum, long rows, long cols);

// attention_heads.c
int gb_attention_heads(void); // the channels of heads that the functions below are for and fast at; 0 if they are not
void gb_attention_begin(void *panels, void *max, void *sum, void *o, const void *q, long ldq, long rows);
void gb_attention_keys(const void *panels, void *max, void *sum, void *o, const void *k, const void *v, const void *bias, float scale, long rows, long keys);

// product.c
int gb_wide_products(void); // whether the functions below are for this processor
void gb_pack_panels(void *dst, const void *src, long lds, long rows, long depth);
void gb_multiply_panels(void *y, long ldy, const void *x, long ldx, const void *panels, long rows, long cols, long depth, int add);

// dot.c
void gb_dot_rows(void *y, long ldy, const void *x, long ldx, const void *w, long ldw, long m, long n, long k);

// conv.c
struct gb_patch {
	long cin, kh, kw, stride, padh, padw, up;
	long h, w;       // of one input frame
	long wout;       // columns of an output frame
	long size;       // bytes of an element
};
void gb_pack_weights(void *dst, const void *src, long lds, long cin, long taps, long rows);
void gb_pack_patches(void *dst, const void *f0, const void *f1, const void *f2, const struct gb_patch *p, long tap, long taps, long first, long n);

#endif
