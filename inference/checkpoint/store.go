package checkpoint

import "gimbal/inference/device"

// Tensor is one stored tensor.
type Tensor struct {
	Name  string
	DType device.DType
	Shape []int
	Data  []byte // little-endian, row-major, a read-only view of the mapped file
}
