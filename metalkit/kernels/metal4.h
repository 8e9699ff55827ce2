// What only the second source includes, which is compiled as Metal 4.0 for GPUs with a Neural
// Accelerator in each core: matrix products by MetalPerformancePrimitives' matmul2d.
//
// What public programs found out about it on an M5:
//
//   - Elements of tensors are not const: an operand of const elements is refused.
//   - slice() of a tensor is wrong from 2 GB on (github.com/ggml-org/llama.cpp/pull/28748), so that each
//     tile is a tensor of its own, at its own address.
//   - Rows 65536 elements or bytes apart are read wrongly (.../pull/27064): the host does not ask for those.
//   - What lies beyond the extents is read where the descriptor gives k as a number (.../pull/27450).
//   - Of a left factor in registers that is larger than the result, a part is read (github.com/sbryngelson/AGXForge).
#pragma once
#include <metal_stdlib>
#include <metal_tensor>
#include <MetalPerformancePrimitives/MetalPerformancePrimitives.h>
using namespace mpp::tensor_ops;
