// The inner loops of quantisation: the weights, F32 or BF16, need not be aligned.
#ifndef GIMBAL_QUANT_ENCODE_H
#define GIMBAL_QUANT_ENCODE_H

#include <stdint.h>

// gq_nf4 quantises n weights in blocks: codes are two per byte, the even one in the
// high nibble; middle are the 15 middles of neighbouring codes.
void gq_nf4(uint8_t *codes, float *absmax, const void *w, int bf16, long n, long block, const float *middle);

// gq_int8 quantises rows of cols weights; absmax are their largest magnitudes.
void gq_int8(uint8_t *codes, float *absmax, const void *w, int bf16, long rows, long cols);

#endif
