// Package mapped maps files into memory for reading. What is lost of such a file while it is
// mapped, because the file shrank or its disk went, is an error instead of the signal that
// ends the program: a handler of SIGBUS puts zeros in the file's place, so that code in C and
// on other threads goes on, and notes that they are not what was asked for. Whoever computes
// with such memory asks Lost before it believes the results: package device/host does after
// every submission and copy. Memory that only a GPU reads raises no signal; Touch reads it.
package mapped
