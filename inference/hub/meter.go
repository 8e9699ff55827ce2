package hub

import "time"

// Progress is how far a fetch is.
type Progress struct {
	Done, Total int64 // bytes that are there, and that there will be
	Came        int64 // bytes that came over the network since the fetch began
	Checking    bool  // what is there already is being looked at
}

// meterSpan is the time over which a Meter measures.
const meterSpan = 20 * time.Second

// Meter measures how fast a fetch is. The zero value is ready.
type Meter struct {
	marks []mark // the oldest first; the first is the last one before the span
}

type mark struct {
	at time.Time
	Progress
}

// Add tells the meter how far the fetch is now.
func (m *Meter) Add(now time.Time, p Progress) {
	m.marks = append(m.marks, mark{now, p})
	for len(m.marks) > 2 && now.Sub(m.marks[1].at) >= meterSpan {
		m.marks = m.marks[1:]
	}
}

// Rate returns the bytes of a second, over the last while; 0 while that is not known.
func (m *Meter) Rate() float64 {
	if len(m.marks) < 2 {
		return 0
	}
	first, last := m.marks[0], m.marks[len(m.marks)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds < 0.5 {
		return 0
	}
	return float64(last.Came-first.Came) / seconds
}

// Left returns the time that what is missing takes at that rate; 0 while that is not known.
func (m *Meter) Left() time.Duration {
	rate := m.Rate()
	if rate < 1 {
		return 0
	}
	last := m.marks[len(m.marks)-1]
	return time.Duration(float64(last.Total-last.Done) / rate * float64(time.Second))
}
