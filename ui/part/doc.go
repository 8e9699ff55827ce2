// Package part holds the small widgets that Gimbal's window is built of: text that
// aligns, columns, rows of a form, controls of several segments, tiles, thin bars.
// They know nothing of Gimbal, and take their colours and sizes from package look.
package part
