package inference

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// IsAddress reports whether a text is the address of something elsewhere, such as
// https://example.org/a.png, and no path.
func IsAddress(text string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	return ok && scheme != "" && strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-") == ""
}

// Path returns the path of a file or folder as a person may write it: ~ is the home
// folder, and a file:// address, as file managers and browsers copy it, the path that it
// names. Other text is a path already.
func Path(text string) string {
	if rest, ok := strings.CutPrefix(text, "~"); ok && (rest == "" || rest[0] == '/') {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	const scheme = "file:"
	address := strings.TrimSpace(text)
	if len(address) <= len(scheme) || !strings.EqualFold(address[:len(scheme)], scheme) {
		return text
	}
	path := address[len(scheme):]
	if host, ok := strings.CutPrefix(path, "//"); ok {
		name, rest, _ := strings.Cut(host, "/")
		if here, _ := os.Hostname(); name != "" && !strings.EqualFold(name, "localhost") && !strings.EqualFold(name, here) {
			return text
		}
		path = "/" + rest
	}
	if !strings.HasPrefix(path, "/") {
		return text
	}
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}
