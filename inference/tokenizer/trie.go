package tokenizer

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// trie finds the keys that a text starts with. Nodes are numbered breadth first,
// so that the children of node i are the nodes first[i] to first[i+1]-1, in order
// of their labels; the root is node 0.
type trie struct {
	first []int32
	label []byte
	value []int32 // -1 where no key ends
}

// newTrie returns a trie with the value i for keys[i], the last one of equal keys.
// The empty key is never found.
func newTrie(keys []string) *trie {
	order := make([]int32, len(keys))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(strings.Compare(keys[a], keys[b]), int(a-b)) })

	nodes := 1
	for i, key := range order {
		shared := 0
		if i > 0 {
			shared = sharedPrefix(keys[order[i-1]], keys[key])
		}
		nodes += len(keys[key]) - shared
	}
	t := &trie{first: make([]int32, 0, nodes+1), label: make([]byte, 1, nodes), value: make([]int32, 1, nodes)}
	t.value[0] = -1

	type span struct{ from, to int32 } // keys below a node, in order
	level, next := []span{{0, int32(len(keys))}}, []span(nil)
	for depth := 0; len(level) > 0; depth++ {
		next = next[:0]
		for _, s := range level {
			t.first = append(t.first, int32(len(t.label)))
			from := s.from
			for from < s.to && len(keys[order[from]]) == depth {
				from++
			}
			for from < s.to {
				b := keys[order[from]][depth]
				to, value := from, int32(-1)
				for to < s.to && keys[order[to]][depth] == b {
					if len(keys[order[to]]) == depth+1 {
						value = order[to]
					}
					to++
				}
				t.label = append(t.label, b)
				t.value = append(t.value, value)
				next = append(next, span{from, to})
				from = to
			}
		}
		level, next = next, level
	}
	t.first = append(t.first, int32(len(t.label)))
	return t
}

// sharedPrefix returns the length of the prefix that a and b share.
func sharedPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// child returns the node below node that b leads to, 0 if there is none.
func (t *trie) child(node int32, b byte) int32 {
	from, to := t.first[node], t.first[node+1]
	i := bytes.IndexByte(t.label[from:to], b)
	if i < 0 {
		return 0
	}
	return from + int32(i)
}

// find returns the value of key, -1 if there is none.
func (t *trie) find(key string) int32 {
	node := int32(0)
	for i := range len(key) {
		if node = t.child(node, key[i]); node == 0 {
			return -1
		}
	}
	return t.value[node]
}

// longest returns the value of the longest key that text starts with and its
// length, or -1.
func (t *trie) longest(text string) (value int32, size int) {
	value = -1
	node := int32(0)
	for i := range len(text) {
		if node = t.child(node, text[i]); node == 0 {
			break
		}
		if v := t.value[node]; v >= 0 {
			value, size = v, i+1
		}
	}
	return value, size
}
