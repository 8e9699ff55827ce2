// Package worker takes jobs out of a jobs.Store and has an engine make them, one at a time.
// After each step it puts the state of the run into the store, so that another worker goes
// on from there when this one is lost.
package worker
