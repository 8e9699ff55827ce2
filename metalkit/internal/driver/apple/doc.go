// Package apple is the driver of an Apple Silicon Mac's GPU (driver_darwin.go, and
// metal_darwin.m for what must be quick or has types of Objective-C). It has never run:
// package metalkit/internal/static has clang read what only a Mac compiles. Elsewhere
// Open says that there is no Metal.
package apple
