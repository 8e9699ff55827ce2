package live

import "slices"

// Way is one of the ways of a walk that was gone back in: from its beginning at a fork, or at
// the walk's, to its last chunk.
type Way struct {
	Number int    // 1 for the first
	Name   string // "" for none
	Begin  int    // the first chunk that is on no way before it
	Tip    int    // the last
	Chunks int    // from the walk's beginning
}

// ways lists the ways, in the order in which they were begun.
func (r *record) ways() (list []Way) {
	for _, tip := range r.tips() {
		begin := r.begin(tip)
		list = append(list, Way{Name: r.names[begin], Begin: begin, Tip: tip, Chunks: r.depth(tip) + 1})
	}
	slices.SortFunc(list, func(a, b Way) int { return a.Begin - b.Begin })
	for i := range list {
		list[i].Number = i + 1
	}
	return list
}

// begin returns the chunk at which the way that a chunk is on begins: the nearest before it
// that is not the first to go on from its parent.
func (r *record) begin(chunk int) int {
	first := map[int]int{}
	for i := len(r.chunks) - 1; i >= 0; i-- {
		first[r.chunks[i].parent] = i
	}
	for first[r.chunks[chunk].parent] == chunk && r.chunks[chunk].parent >= 0 {
		chunk = r.chunks[chunk].parent
	}
	return chunk
}

// onWay reports whether a chunk is on the way to another.
func (r *record) onWay(chunk, to int) bool {
	for to > chunk {
		to = r.chunks[to].parent
	}
	return to == chunk
}
