package metalkit

import "unsafe"

// pageSize is what memory is rounded up to: a page of an Apple Silicon Mac.
const pageSize = 16 << 10

// wholePages returns the address and the size of the pages that mem lies in, and
// where in them it begins.
func wholePages(mem []byte) (address uintptr, size, offset uint64) {
	first := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	address = first &^ (pageSize - 1)
	offset = uint64(first - address)
	return address, (offset + uint64(len(mem)) + pageSize - 1) &^ (pageSize - 1), offset
}
