package engine

import (
	"fmt"
	"math"
)

// collapsed is the standard deviation below which a tensor counts as constant:
// healthy latents and velocities have one near 1.
const collapsed = 1e-6

// notFinite returns where values first hold a NaN or an infinity, or "".
func notFinite(values []float32) string {
	for i, v := range values {
		switch x := float64(v); {
		case math.IsNaN(x):
			return fmt.Sprintf("NaN at element %d of %d", i, len(values))
		case math.IsInf(x, 0):
			return fmt.Sprintf("infinity at element %d of %d", i, len(values))
		}
	}
	return ""
}

// unhealthy returns what is wrong with the values of a tensor of the steps, or "".
func unhealthy(values []float32) string {
	if bad := notFinite(values); bad != "" || len(values) < 2 {
		return bad
	}
	var sum, squares float64
	for _, v := range values {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(values))
	mean := sum / n
	if std := math.Sqrt(max(0, squares/n-mean*mean)); std < collapsed*max(1, math.Abs(mean)) {
		return fmt.Sprintf("collapsed: all %d values are close to %.3g", len(values), mean)
	}
	return ""
}
