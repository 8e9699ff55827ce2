//go:build !darwin

package picture

// systemFormat returns how the system reads pictures of a kind that this package does not: nil,
// for only macOS has decoders that every user has.
func systemFormat(string, []string) *format { return nil }
