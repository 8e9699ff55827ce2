// Package tune chooses the fastest of an operation's variants by timing them, once for each
// shape (autotune.go), and keeps the choices in a file for each chip, system and set of
// kernels (choices.go). What a variant is, and how it runs, is the device's business.
package tune
