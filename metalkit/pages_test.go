package metalkit

import (
	"testing"
	"unsafe"
)

func TestWholePages(t *testing.T) {
	mem := make([]byte, 5*pageSize)
	first := uintptr(unsafe.Pointer(&mem[0]))
	at := int((pageSize - first%pageSize) % pageSize) // where a page begins
	for _, c := range []struct{ from, to, page, pages, offset int }{
		{0, pageSize, 0, 1, 0}, {0, 1, 0, 1, 0}, {7, 8, 0, 1, 7}, {pageSize - 1, pageSize + 1, 0, 2, pageSize - 1},
		{pageSize, 3 * pageSize, 1, 2, 0}, {2*pageSize + 4, 4 * pageSize, 2, 2, 4},
	} {
		address, size, offset := wholePages(mem[at+c.from : at+c.to])
		if page := int(address-first) - at; page != c.page*pageSize || size != uint64(c.pages*pageSize) || offset != uint64(c.offset) {
			t.Errorf("bytes %d to %d: %d bytes from %d, %d in; want %d pages from page %d, %d in", c.from, c.to, size, page, offset, c.pages, c.page, c.offset)
		}
	}
}
