// Package emulated opens the Metal device over the software driver, with a fault where one is asked
// for: a program built with the tag emulated shows on Linux what goes on, and what can go wrong, on
// a Mac.
package emulated
