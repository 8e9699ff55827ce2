package tokenizer

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// unknownPenalty is what an unknown character costs beyond the worst piece.
const unknownPenalty = 10

// piece is an entry of the vocabulary; its id is its index.
type piece struct {
	text  string
	score float64 // log probability
}

// unigram splits a word into the pieces with the highest sum of scores (Viterbi;
// Kudo, "Subword Regularization", 2018, section 3.2).
type unigram struct {
	pieces       *trie
	scores       []float64
	unknown      int32
	unknownScore float64
	bytes        *[256]int32 // ids of the pieces <0x00> to <0xFF>; nil without byte fallback
}

// newUnigram fails where pieces cannot be a vocabulary.
func newUnigram(pieces []piece, unknown int, byteFallback bool) (*unigram, error) {
	if unknown < 0 || unknown >= len(pieces) {
		return nil, fmt.Errorf("unknown token %d of a vocabulary of %d entries", unknown, len(pieces))
	}
	texts := make([]string, len(pieces))
	u := &unigram{scores: make([]float64, len(pieces)), unknown: int32(unknown), unknownScore: math.Inf(1)}
	for i, p := range pieces {
		if math.IsNaN(p.score) || math.IsInf(p.score, 0) {
			return nil, fmt.Errorf("score of entry %d (%q): found %v, expected a finite number", i, p.text, p.score)
		}
		if !utf8.ValidString(p.text) {
			return nil, fmt.Errorf("text of entry %d: found %q, expected UTF-8", i, p.text)
		}
		texts[i], u.scores[i] = p.text, p.score
		u.unknownScore = min(u.unknownScore, p.score)
	}
	u.unknownScore -= unknownPenalty
	u.pieces = newTrie(texts)
	if byteFallback {
		u.bytes = new([256]int32)
		for b := range u.bytes {
			u.bytes[b] = u.pieces.find(fmt.Sprintf("<0x%02X>", b))
		}
	}
	return u, nil
}

// arc is the last piece of the best path to a position of the text.
type arc struct {
	score float64
	start int // where the piece starts; -1 if nothing leads here
	id    int32
}

// split appends the ids of text, valid UTF-8, to ids.
func (u *unigram) split(ids []int32, text string) []int32 {
	best := u.bestPath(text)

	// Back along the path: its pieces, adjacent unknown characters as one.
	var path []arc
	var ends []int
	for end := len(text); end > 0; end = best[end].start {
		a := best[end]
		if n := len(path); n > 0 && a.id == u.unknown && path[n-1].id == u.unknown {
			path[n-1].start = a.start
			continue
		}
		path, ends = append(path, a), append(ends, end)
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i].id != u.unknown {
			ids = append(ids, path[i].id)
		} else {
			ids = u.appendUnknown(ids, text[path[i].start:ends[i]])
		}
	}
	return ids
}

func (u *unigram) bestPath(text string) []arc {
	best := make([]arc, len(text)+1)
	for i := range best {
		best[i].start = -1
	}
	best[0].start = 0
	for start := 0; start < len(text); {
		score := best[start].score
		reach := func(end int, id int32, cost float64) {
			if a := &best[end]; a.start < 0 || score+cost > a.score {
				*a = arc{score + cost, start, id}
			}
		}
		_, width := utf8.DecodeRuneInString(text[start:])
		single := false // a piece is just this character
		node := int32(0)
		for end := start; end < len(text); {
			if node = u.pieces.child(node, text[end]); node == 0 {
				break
			}
			end++
			if id := u.pieces.value[node]; id >= 0 {
				reach(end, id, u.scores[id])
				single = single || end == start+width
			}
		}
		if !single {
			reach(start+width, u.unknown, u.unknownScore)
		}
		start += width
	}
	return best
}

// appendUnknown appends the ids for a run of characters that no piece covers.
func (u *unigram) appendUnknown(ids []int32, text string) []int32 {
	if id := u.pieces.find(text); id >= 0 {
		return append(ids, id)
	}
	if u.bytes == nil {
		return append(ids, u.unknown)
	}
	n := len(ids)
	for i := range len(text) {
		id := u.bytes[text[i]]
		if id < 0 {
			return append(ids[:n], u.unknown)
		}
		ids = append(ids, id)
	}
	return ids
}
