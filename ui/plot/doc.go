// Package plot draws camera paths: from above and from the side, with the direction
// in which the camera looks and a marker for where it is.
package plot
