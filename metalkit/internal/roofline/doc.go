// Package roofline knows Apple's GPUs by what is public of them, and how long a dispatch
// takes on one at the least: at its peak of arithmetic or of memory, whichever is longer
// (Williams, Waterman and Patterson, Roofline, CACM 52(4), 2009).
package roofline
