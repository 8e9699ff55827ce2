//go:build !darwin

// All kernels, as C++.
#include "../../../kernels/unary.metal"
#include "../../../kernels/binary.metal"
#include "../../../kernels/gated_add.metal"
#include "../../../kernels/gather.metal"
#include "../../../kernels/move.metal"
#include "../../../kernels/norm.metal"
#include "../../../kernels/rope.metal"
#include "../../../kernels/linear.metal"
#include "../../../kernels/attention.metal"
#include "../../../kernels/attention_shared.metal"
#include "../../../kernels/conv.metal"
#include "../../../kernels/linear_matmul2d.metal"
#include "../../../kernels/attention_matmul2d.metal"
#include "../../../kernels/conv_matmul2d.metal"
#include "faults.metal"
