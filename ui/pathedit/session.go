package pathedit

import (
	"slices"

	"gimbal/inference/keyframes"
	"gimbal/ui/undo"
)

// session is a path that is edited, and what of it is looked at.
type session struct {
	stack    *undo.Stack[keyframes.Path]
	frames   int // of the video
	selected int // key
	frame    int
	changed  func()
}

func newSession(p keyframes.Path, frames int) *session {
	return &session{stack: undo.New(p), frames: max(2, frames), changed: func() {}}
}

func (s *session) path() keyframes.Path { return s.stack.Now() }

func (s *session) key() keyframes.Key { return s.path().Keys[s.selected] }

// do makes an edit; dragging says that more of the same edit follow.
func (s *session) do(p keyframes.Path, dragging bool) {
	if same(p, s.path()) {
		return
	}
	if dragging {
		s.stack.Drag(p)
	} else {
		s.stack.Do(p)
	}
	s.settle()
}

func same(p, q keyframes.Path) bool {
	return p.Round == q.Round && p.Absolute == q.Absolute && slices.Equal(p.Keys, q.Keys)
}

// settle brings what is looked at back to what there is.
func (s *session) settle() {
	s.selected = min(s.selected, len(s.path().Keys)-1)
	s.frame = min(max(s.frame, 0), s.frames-1)
	s.changed()
}

// change edits the chosen key. The first one is where the picture was taken from: it stays,
// and only its field of view and its ease change.
func (s *session) change(dragging bool, f func(k *keyframes.Key)) {
	k := s.key()
	f(&k)
	if s.selected == 0 {
		first := s.key()
		first.FOV, first.Ease = k.FOV, k.Ease
		k = first
	}
	k.Frame = min(k.Frame, s.frames-1)
	looked := s.frame == s.key().Frame
	s.do(s.path().With(s.selected, k), dragging)
	if looked && s.frame != s.key().Frame {
		s.frame = s.key().Frame
		s.changed()
	}
}

// choose chooses a key and looks at its frame.
func (s *session) choose(key int) {
	s.selected = min(max(key, 0), len(s.path().Keys)-1)
	s.frame = min(s.key().Frame, s.frames-1)
	s.changed()
}

// look looks at a frame, and chooses the key that is there.
func (s *session) look(frame int) {
	s.frame = min(max(frame, 0), s.frames-1)
	if i := slices.IndexFunc(s.path().Keys, func(k keyframes.Key) bool { return k.Frame == s.frame }); i >= 0 {
		s.selected = i
	}
	s.changed()
}

// free returns a frame for another key, at a frame or between the keys around it.
func (s *session) free(frame int) int {
	keys := s.path().Keys
	last := len(keys) - 1
	if end := keys[last].Frame; frame >= end && end < s.frames-1 { // the way goes on
		return min(end+max(8, end/4), s.frames-1)
	}
	for i, k := range keys {
		if k.Frame == frame && i < last {
			return (frame + keys[i+1].Frame) / 2
		} else if k.Frame == frame && i > 0 {
			return (frame + keys[i-1].Frame) / 2
		}
	}
	return min(frame, s.frames-1)
}

// add puts a key at the frame that is looked at, or beside the one that is there.
func (s *session) add() {
	p, i := s.path().Insert(s.free(s.frame))
	s.do(p, false)
	s.choose(i)
}

func (s *session) remove() { s.do(s.path().Without(s.selected), false) }

// replace makes another path of the whole, as long as the video at most.
func (s *session) replace(p keyframes.Path) {
	s.do(s.cut(p), false)
	s.choose(0)
}

// follow puts a move behind the path, in as much time as is left: where there is none, all of
// it becomes faster.
func (s *session) follow(p keyframes.Path) {
	joined := s.path().Append(p)
	if joined.Last() > s.frames-1 {
		joined = joined.Fit(s.frames)
	}
	s.do(joined, false)
	s.choose(len(s.path().Keys) - 1)
}

// cut leaves out what lies behind the end of the video.
func (s *session) cut(p keyframes.Path) keyframes.Path {
	last := s.frames - 1
	if p.Last() <= last {
		return p
	}
	p, i := p.Insert(last)
	p.Keys = p.Keys[:i+1]
	return p
}

func (s *session) undo() {
	s.stack.Undo()
	s.settle()
}

func (s *session) redo() {
	s.stack.Redo()
	s.settle()
}
