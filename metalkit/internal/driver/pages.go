package driver

import "unsafe"

// PageSize is what memory is rounded up to: a page of an Apple Silicon Mac.
const PageSize = 16 << 10

// WholePages returns the address and the size of the pages that mem lies in, and
// where in them it begins.
func WholePages(mem []byte) (address uintptr, size, offset uint64) {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	address = first &^ (PageSize - 1)
	offset = uint64(first - address)
	return address, (offset + uint64(len(mem)) + PageSize - 1) &^ (PageSize - 1), offset
}
