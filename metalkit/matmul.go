package metalkit

import (
	"fmt"

	"gimbal/inference/device"
)

// matmulKernel is the driver's own product of dense matrices, Y = X·Wᵀ of [m, k]
// and [n, k], that of the system on a Mac: constants a, b and y are the types of X,
// W and Y, the operands x, w and y. Not every driver has it for every type.
const matmulKernel = "driver_matmul"

// matmulArgs has the steps from row to row in elements.
type matmulArgs struct{ m, n, k, ldx, ldw, ldy uint32 }

// matmulTypes reports whether drivers have a product of such types, with sums in
// F32: those of MPSMatrixMultiplication, which knows no BF16.
func matmulTypes(c constants) bool {
	return c.a == c.b && (c.a == uint32(device.F32) || c.a == uint32(device.F16)) && c.y == uint32(device.F32)
}

func errNoMatmul(c constants) error {
	return fmt.Errorf("metalkit: no product of the driver's own of %v and %v to %v: %w",
		device.DType(c.a), device.DType(c.b), device.DType(c.y), device.ErrUnsupported)
}
