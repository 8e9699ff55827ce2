package ui

import (
	"cmp"
	"fmt"
	"image"
	"maps"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"

	"gimbal/inference/live"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// walkStrip shows the chunks of the way that the walk is on: a tap goes back to the end of one.
type walkStrip struct {
	w      *Window
	dir    string
	thumbs map[int]image.Image // of the chunks that are shown; nil while it is fetched
	names  []string            // of the tiles, in Window.names
	news   int                 // how often show was called
	last   int                 // behind the last chunk that is shown; 0 for the way's end
	shown  string
	row    *fyne.Container
	scroll *container.Scroll
	view   fyne.CanvasObject
}

// stripChunks is how many chunks are shown at once, stripTurn by how many a tap on an end turns.
const stripChunks, stripTurn = 60, 50

func newWalkStrip(w *Window) *walkStrip {
	s := &walkStrip{w: w, thumbs: map[int]image.Image{}, row: part.Line(6)}
	s.scroll = container.NewHScroll(s.row)
	s.view = part.Sized(0, 62, s.scroll)
	return s
}

// show takes over how the walk is now.
func (s *walkStrip) show(n studio.Walk) {
	s.news++
	s.draw(n)
}

func (s *walkStrip) draw(n studio.Walk) {
	if s.dir != n.Dir {
		s.dir, s.thumbs, s.last = n.Dir, map[int]image.Image{}, 0
	}
	if s.last >= len(n.Way) {
		s.last = 0
	}
	last := cmp.Or(s.last, len(n.Way))
	first := max(0, last-stripChunks)
	chunks := n.Way[first:last]
	maps.DeleteFunc(s.thumbs, func(c int, _ image.Image) bool { return !slices.Contains(chunks, c) })
	s.fetch(chunks)
	state := fmt.Sprint(chunks, n.At, len(s.thumbs), len(n.Way))
	for _, c := range chunks {
		state += fmt.Sprint(s.thumbs[c] != nil)
	}
	if state == s.shown {
		return
	}
	s.shown = state
	s.row.RemoveAll()
	for _, name := range s.names {
		delete(s.w.names, name)
	}
	s.names = nil
	if first > 0 {
		s.row.Add(s.turn("live.earlier", theme.NavigateBackIcon(), max(stripChunks, last-stripTurn)))
	}
	for i, c := range chunks {
		face := fyne.CanvasObject(part.Gap(0, 0))
		if img := s.thumbs[c]; img != nil {
			face = part.Picture(img, 5)
		}
		tile := part.NewTile(face, fyne.NewSize(64, 40), fmt.Sprint(first+i+1), func() { s.goTo(c) })
		tile.SetSelected(c == n.At)
		s.name(fmt.Sprintf("live.chunk.%d", first+i), tile)
		s.row.Add(tile)
	}
	if last < len(n.Way) {
		s.row.Add(s.turn("live.later", theme.NavigateNextIcon(), last+stripTurn))
	}
	s.row.Refresh()
	if slices.Contains(chunks, n.At) && n.At == n.Way[len(n.Way)-1] {
		s.scroll.ScrollToOffset(fyne.NewPos(s.row.MinSize().Width, 0))
	}
}

// goTo goes back to a chunk, whose small picture is seen until the walk shows its own.
func (s *walkStrip) goTo(chunk int) {
	if img := s.thumbs[chunk]; img != nil {
		s.w.live.screen.setImage(img)
	}
	s.w.studio.GoWalk(chunk)
}

// turn returns a button that shows the chunks before another one.
func (s *walkStrip) turn(name string, icon fyne.Resource, last int) fyne.CanvasObject {
	b := part.IconButton(icon, func() {
		s.last = last
		s.draw(s.w.now.Walk)
	})
	s.name(name, b)
	return b
}

// name names a part of the strip, until the strip is another one.
func (s *walkStrip) name(name string, o fyne.CanvasObject) {
	s.w.names[name] = o
	s.names = append(s.names, name)
}

// fetch asks for the pictures of chunks, in the background; those that were not seen yet have
// none.
func (s *walkStrip) fetch(chunks []int) {
	for _, c := range chunks {
		if _, asked := s.thumbs[c]; asked {
			continue
		}
		s.thumbs[c] = nil
		dir, news := s.dir, s.news
		var img image.Image
		s.w.options.aside(func() { img = s.w.studio.WalkThumb(c) }, func() {
			if _, asked := s.thumbs[c]; dir != s.dir || !asked {
				return
			}
			if s.thumbs[c] = img; img == nil {
				delete(s.thumbs, c) // asked for again when something changed: maybe since it was asked for
			}
			if img != nil || news != s.news {
				s.draw(s.w.now.Walk)
			}
		})
	}
}

// keptWalks lists the walks on disk.
type keptWalks struct {
	w     *Window
	shown string
	list  *fyne.Container
	view  *fyne.Container
}

// mostWalks is how many are listed.
const mostWalks = 8

func newKeptWalks(w *Window) *keptWalks {
	k := &keptWalks{w: w, list: part.Column(6)}
	k.view = part.Column(8, part.NewTitle(tr("live.kept")), k.list)
	k.view.Hide()
	return k
}

func (k *keptWalks) show(n studio.Walk) {
	kept := slices.DeleteFunc(slices.Clone(n.Kept), func(w live.Kept) bool { return n.On && w.Dir == n.Dir })
	kept = kept[:min(len(kept), mostWalks)]
	state := ""
	for _, w := range kept {
		state += fmt.Sprint(w.Dir, w.Chunks, w.Prompt)
	}
	setVisible(k.view, len(kept) > 0)
	if state == k.shown {
		return
	}
	k.shown = state
	k.list.RemoveAll()
	for i, w := range kept {
		face := fyne.CanvasObject(part.Gap(0, 0))
		if w.Thumb != nil {
			face = part.Picture(w.Thumb, 5)
		}
		words := part.Column(2, part.NewText(w.Prompt).Cut(),
			part.NewCaption(join(tr("live.way", map[string]any{"N": w.Chunks}), w.Created.Format("2006-01-02 15:04"))).Cut())
		row := part.NewPick(part.Line(8, part.Sized(52, 34, face), part.Spread(words)), func() { k.w.studio.ContinueWalk(w.Dir) })
		k.w.names[fmt.Sprintf("live.kept.%d", i)] = row
		k.list.Add(part.Dock(nil, nil, nil, part.IconButton(theme.DeleteIcon(), func() { k.w.studio.DeleteWalk(w.Dir) }), row))
	}
	k.list.Refresh()
}
