package metalkit

// sizesOf returns the cores of a GPU and the bytes that its last cache keeps of what one
// operation reads.
func sizesOf(name string) (cores int, cache int64) { return 8, 6 << 20 }

// resident is how many threadgroups of so many threads run at once.
func (d *gpu) resident(threads int) int { return max(1, d.cores*1024/threads/2) }
