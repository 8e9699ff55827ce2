// What inference/cpu uses of Accelerate, declared after Apple's documentation.
#pragma once
enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor };
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans };
void cblas_sgemm(enum CBLAS_ORDER order, enum CBLAS_TRANSPOSE a_as, enum CBLAS_TRANSPOSE b_as, int m, int n, int k, float alpha, const float *a, int lda,
                 const float *b, int ldb, float beta, float *c, int ldc) __asm("_cblas_sgemm$NEWLAPACK");
