package metalkit

// swizzle says in which order the threadgroups of a grid of tiles run: in bands of so many
// rows of tiles, or columns, across each band. What a band shares stays in the cache.
type swizzle struct {
	band      int
	byColumns bool
	moved     int64 // bytes of both factors that come from memory
}

// swizzleOf chooses the swizzle that moves the fewest bytes, if the cache keeps what a
// band shares until it ends, and the tiles that run at once go through the depth
// together. A row of tiles reads rowBytes of X, a column colBytes of W.
func swizzleOf(wide, high int, rowBytes, colBytes, cache int64) swizzle {
	byRows, byColumns := bandsOf(high, wide, rowBytes, colBytes, cache), bandsOf(wide, high, colBytes, rowBytes, cache)
	if byColumns.moved < byRows.moved {
		byColumns.byColumns = true
		return byColumns
	}
	return byRows
}

// bandsOf cuts n rows of bytes each into as few bands as fit the cache and makes
// these equal; other columns of otherBytes are read for each band.
func bandsOf(n, other int, bytes, otherBytes, cache int64) swizzle {
	inCache := min(int64(n), max(1, cache/max(bytes, 1)))
	bands := ceilDiv(n, int(inCache))
	return swizzle{band: ceilDiv(n, bands), moved: int64(n)*bytes + int64(bands)*int64(other)*otherBytes}
}

// args is what the kernels are told of s.
func (s swizzle) args() (band, byColumns uint32) {
	if s.byColumns {
		byColumns = 1
	}
	return uint32(s.band), byColumns
}
