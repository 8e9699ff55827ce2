package player

import "time"

// clock says which frame is due.
type clock struct {
	frames  int
	fps     float64
	speed   float64
	loop    bool
	playing bool
	base    float64 // the frame at since, with the part of it that has passed
	since   time.Time
}

// at returns the frame that is due, and whether the video has ended before now.
func (c *clock) at(now time.Time) (frame int, ended bool) {
	position := c.position(now)
	switch {
	case c.frames == 0:
		return 0, true
	case c.loop:
		return int(position) % c.frames, false
	case int(position) >= c.frames:
		return c.frames - 1, true
	}
	return int(position), false
}

func (c *clock) position(now time.Time) float64 {
	if !c.playing {
		return c.base
	}
	return c.base + max(0, now.Sub(c.since).Seconds())*c.fps*c.speed
}

// seek goes to a frame.
func (c *clock) seek(frame int, now time.Time) {
	c.base, c.since = float64(min(max(frame, 0), max(0, c.frames-1))), now
}

// setSpeed goes on from where it is at another speed.
func (c *clock) setSpeed(speed float64, now time.Time) {
	c.base, c.since = c.position(now), now
	c.speed = speed
}

// play starts, from the beginning if the video is at its end.
func (c *clock) play(now time.Time) {
	if frame, _ := c.at(now); frame >= c.frames-1 {
		c.base = 0
	}
	c.playing, c.since = true, now
}

// pause stays at the frame that is due.
func (c *clock) pause(now time.Time) {
	frame, _ := c.at(now)
	c.playing, c.base, c.since = false, float64(frame), now
}

// interval is the time between two frames.
func (c *clock) interval() time.Duration {
	return time.Duration(float64(time.Second) / max(1, min(60, c.fps*c.speed)))
}
