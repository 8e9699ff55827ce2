package driver

import (
	"testing"
	"unsafe"
)

func TestWholePages(t *testing.T) {
	mem := make([]byte, 5*PageSize)
	first := uintptr(unsafe.Pointer(&mem[0]))
	at := int((PageSize - first%PageSize) % PageSize) // where a page begins
	for _, c := range []struct{ from, to, page, pages, offset int }{
		{0, PageSize, 0, 1, 0}, {0, 1, 0, 1, 0}, {7, 8, 0, 1, 7}, {PageSize - 1, PageSize + 1, 0, 2, PageSize - 1},
		{PageSize, 3 * PageSize, 1, 2, 0}, {2*PageSize + 4, 4 * PageSize, 2, 2, 4},
	} {
		address, size, offset := WholePages(mem[at+c.from : at+c.to])
		if page := int(address-first) - at; page != c.page*PageSize || size != uint64(c.pages*PageSize) || offset != uint64(c.offset) {
			t.Errorf("bytes %d to %d: %d bytes from %d, %d in; want %d pages from page %d, %d in", c.from, c.to, size, page, offset, c.pages, c.page, c.offset)
		}
	}
}
