// The order in which threadgroups take the tiles of a result.
#pragma once
#include "common.h"

// tile_of swizzles threadgroups: it is the column and row of tile n of a grid of wide by
// high tiles, which is gone through in bands of so many rows (or columns), across each
// band, so that what a band shares stays in the caches.
inline uint2 tile_of(uint n, uint wide, uint high, uint band, bool by_columns) {
    uint length = by_columns ? high : wide, all = by_columns ? wide : high;
    uint first = n / (band * length) * band, size = min(band, all - first);
    uint rest = n - first * length, along = rest / size, within = first + rest % size;
    return by_columns ? uint2(within, along) : uint2(along, within);
}
