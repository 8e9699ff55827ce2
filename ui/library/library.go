package library

// Library is an open library.
type Library struct{}
