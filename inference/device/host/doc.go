// Package host is what every device does on the host's side, whatever it computes
// with: it checks what buffers are to hold, keeps the account of memory, lets one
// submission run after the other, copies, and does nothing where most devices have nothing
// to do. A device embeds Device and adds its memory and its operations.
package host
