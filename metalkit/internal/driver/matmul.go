package driver

import (
	"fmt"

	"gimbal/inference/device"
)

// Matmul is the kernel that is the driver's own product of dense matrices, Y = X·Wᵀ of
// [m, k] and [n, k], that of the system on a Mac: constants A, B and Y are the types of
// X, W and Y, the arguments MatmulArgs, the operands x, w and y. Not every driver has it
// for every type.
const Matmul = "driver_matmul"

// MatmulArgs has the steps from row to row in elements.
type MatmulArgs struct{ M, N, K, LDX, LDW, LDY uint32 }

// HasMatmul reports whether drivers have a product of such types, with sums in F32:
// those of MPSMatrixMultiplication, which knows no BF16.
func HasMatmul(c Constants) bool {
	return c.A == c.B && (c.A == uint32(device.F32) || c.A == uint32(device.F16)) && c.Y == uint32(device.F32)
}

// NoMatmul is the error of a driver that has no product of such types.
func NoMatmul(c Constants) error {
	return fmt.Errorf("metalkit: the driver has no product of %v and %v to %v: %w",
		device.DType(c.A), device.DType(c.B), device.DType(c.Y), device.ErrUnsupported)
}
