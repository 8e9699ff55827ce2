package metalkit

import "gimbal/inference/device"

// splitRows is what parts of an operation are a multiple of: the rows of the largest tiles.
const splitRows = 128

// rowsOfRun returns how many of an operation's rows go into one run, so that its work
// stays below the limit: within a long one an end of ctx would not be heard.
func (d *gpu) rowsOfRun(rows int, work int64) int {
	most := d.limits.work
	if most == 0 || float64(work) <= most {
		return rows
	}
	return max(splitRows, int(float64(rows)*most/float64(work))/splitRows*splitRows)
}

// splitLinear records l in parts of n rows.
func (e *encoder) splitLinear(l device.Linear, n int) {
	for first, rows := 0, l.X.Rows; first < rows; first += n {
		part, last := l, min(first+n, rows)
		part.X, part.Y = l.X.RowRange(first, last), l.Y.RowRange(first, last)
		if !l.Add.IsZero() {
			part.Add = l.Add.RowRange(first, last)
		}
		e.Linear(part)
	}
}

// splitAttention records a, which has no relative bias, in parts of n queries.
func (e *encoder) splitAttention(a device.Attention, n int) {
	for first := 0; first < a.Q.Rows; first += n {
		part, last := a, min(first+n, a.Q.Rows)
		part.Q, part.O = a.Q.RowRange(first, last), a.O.RowRange(first, last)
		e.Attention(part)
	}
}
