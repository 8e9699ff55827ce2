// Package devicetest is the conformance suite: a device is correct when it passes
// Run. Every operation is compared with loops in float64, over shapes that are
// one, odd, no multiple of any tile and beyond it, in every type, with optional
// operands present and absent, and over views with gaps: what lies outside of a
// view is NaN where an operation could read it and must be untouched where it
// could write.
package devicetest
