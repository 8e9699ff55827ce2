package player

import (
	"image"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Source gives frames. Its methods may be called from any goroutine; Frame may take long.
type Source interface {
	Frame(i int) (*image.RGBA, error)
	Cached(i int) *image.RGBA // nil if it is not at hand
	Prefetch(i, n int)        // reads frames ahead, in the background
}

// Video is what a Player plays.
type Video struct {
	Source Source
	Frames int
	FPS    int // frames per second
}

// Words are the player's words, in the user's language.
type Words struct {
	First, Current string   // over the two sides of a comparison
	Broken         string   // said where a frame cannot be read
	Speeds         []string // of Speeds
}

// Speeds are the speeds that the user can choose.
var Speeds = []float64{0.25, 0.5, 1, 2}

// ahead is the number of frames that are read before they are due.
const ahead = 12

// Player is a video with its controls. Its methods are for the window's goroutine.
type Player struct {
	widget.BaseWidget
	// OnFrame is called when another frame is shown.
	OnFrame func(frame int)
	// OnFull is called when the user asks for the full screen, or for its end.
	OnFull func()

	words    Words
	video    Video
	clock    clock
	shown    int // the frame on the screen, -1 for none
	loading  bool
	stop     func() // ends the ticking; nil while nothing ticks
	screen   *Screen
	controls *controls

	every Every
	aside Aside
	now   func() time.Time
}

// New returns an empty player that moves by every, a Ticker, and reads frames by aside.
func New(words Words, every Every, aside Aside) *Player {
	p := &Player{
		words: words, shown: -1, clock: clock{speed: 1, loop: true},
		every: every, aside: aside, now: time.Now,
	}
	p.screen = NewScreen(words.First, words.Current)
	p.screen.OnTapped = p.Toggle
	p.controls = newControls(p)
	p.ExtendBaseWidget(p)
	return p
}

// SetVideo shows a video from its first frame, and plays it if asked to.
func (p *Player) SetVideo(v Video, play bool) {
	p.Pause()
	p.video, p.shown, p.loading = v, -1, false
	p.clock.frames, p.clock.fps = v.Frames, float64(v.FPS)
	p.screen.SetImages(nil, nil)
	p.controls.reset()
	p.Seek(0)
	if play {
		p.Play()
	}
}

// Clear lets go of the video and its pictures.
func (p *Player) Clear() { p.SetVideo(Video{}, false) }

// Playing reports whether the video plays.
func (p *Player) Playing() bool { return p.clock.playing }

// Frame returns the frame that is shown, -1 for none.
func (p *Player) Frame() int { return p.shown }

// Screen returns where the pictures appear.
func (p *Player) Screen() *Screen { return p.screen }

// Play starts the video.
func (p *Player) Play() {
	if p.clock.playing || p.video.Frames < 2 {
		return
	}
	p.clock.play(p.now())
	p.controls.update()
	p.startTicking()
}

// Pause stops at the frame that is shown.
func (p *Player) Pause() {
	if !p.clock.playing {
		return
	}
	p.clock.pause(p.now())
	p.stopTicking()
	p.controls.update()
}

// Toggle plays or pauses.
func (p *Player) Toggle() {
	if p.clock.playing {
		p.Pause()
	} else {
		p.Play()
	}
}

// Seek goes to a frame.
func (p *Player) Seek(frame int) {
	p.clock.seek(frame, p.now())
	p.tick()
}

// Step pauses and goes some frames on, or back.
func (p *Player) Step(n int) {
	p.Pause()
	if p.video.Frames > 0 {
		p.Seek((max(0, p.shown) + n + p.video.Frames) % p.video.Frames)
	}
}

// SetLoop says whether the video starts anew at its end.
func (p *Player) SetLoop(on bool) {
	now := p.now()
	frame, _ := p.clock.at(now)
	p.clock.loop = on
	p.clock.seek(frame, now)
	p.controls.update()
}

// Loop reports whether the video starts anew at its end.
func (p *Player) Loop() bool { return p.clock.loop }

// SetSpeed sets the speed, 1 for the video's own.
func (p *Player) SetSpeed(speed float64) {
	p.clock.setSpeed(speed, p.now())
	if p.clock.playing {
		p.stopTicking()
		p.startTicking()
	}
	p.controls.update()
}

// SetCompare shows the first frame beside the current one, or no longer.
func (p *Player) SetCompare(on bool) {
	p.screen.SetCompare(on)
	p.controls.update()
}

// Hide implements fyne.CanvasObject; a hidden player pauses.
func (p *Player) Hide() {
	p.Pause()
	p.BaseWidget.Hide()
}

func (p *Player) startTicking() { p.stop = p.every(p.clock.interval(), p.tick) }

func (p *Player) stopTicking() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

// tick shows the frame that is due.
func (p *Player) tick() {
	if p.video.Frames == 0 {
		return
	}
	frame, ended := p.clock.at(p.now())
	if ended && p.clock.playing {
		p.Pause()
	}
	if frame != p.shown {
		p.show(frame)
	}
}

// show shows a frame if it is at hand and otherwise reads it first.
func (p *Player) show(frame int) {
	source := p.video.Source
	if img := source.Cached(frame); img != nil {
		p.shown = frame
		if frame == 0 {
			p.screen.SetFirst(img)
		}
		p.screen.SetImage(img)
		p.controls.update()
		source.Prefetch((frame+1)%p.video.Frames, ahead)
		if p.OnFrame != nil {
			p.OnFrame(frame)
		}
		return
	}
	if p.loading {
		return
	}
	p.loading = true
	var img *image.RGBA
	var err error
	p.aside(func() { img, err = source.Frame(frame) }, func() { p.loaded(source, frame, img, err) })
}

func (p *Player) loaded(source Source, frame int, img *image.RGBA, err error) {
	if p.video.Source != source {
		return
	}
	p.loading = false
	if err != nil {
		p.Pause()
		p.screen.SetMessage(p.words.Broken + "\n" + err.Error())
		return
	}
	p.shown = frame
	if frame == 0 {
		p.screen.SetFirst(img)
	}
	p.screen.SetImage(img)
	p.controls.update()
	if p.OnFrame != nil {
		p.OnFrame(frame)
	}
	if due, _ := p.clock.at(p.now()); due != frame && !p.clock.playing {
		p.show(due)
	}
}

// CreateRenderer implements fyne.Widget.
func (p *Player) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(newFrame(p.screen, p.controls.row))
}

var playIcons = map[bool]func() fyne.Resource{false: theme.MediaPlayIcon, true: theme.MediaPauseIcon}
