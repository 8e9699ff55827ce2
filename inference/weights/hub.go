package weights

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// hubHash is what Hugging Face's hub calls a large file by: its SHA-256.
var hubHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// maxMetadata bounds the file that the hub's programs keep beside each that they download.
const maxMetadata = 1 << 10

// HubHash returns the SHA-256, in hexadecimal, that the file at path has by what Hugging
// Face's programs left: the name of the blob that it links to, or the second line of
// .cache/huggingface/download/PATH.metadata in a folder around it. "" if they left nothing.
func HubHash(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil && hubHash.MatchString(filepath.Base(target)) {
		return filepath.Base(target)
	}
	path = absolute(path)
	const depth = 3 // folders of a repository
	for root := filepath.Dir(path); strings.Count(path[len(root):], string(filepath.Separator)) <= depth; root = filepath.Dir(root) {
		rel, err := filepath.Rel(root, path)
		if err != nil || root == filepath.Dir(root) {
			break
		}
		text, err := readSmall(filepath.Join(root, ".cache", "huggingface", "download", rel+".metadata"), maxMetadata)
		if err != nil {
			continue
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) < 2 {
			return ""
		}
		if etag := strings.Trim(strings.TrimPrefix(strings.TrimSpace(lines[1]), "W/"), `"`); hubHash.MatchString(etag) {
			return etag
		}
		return ""
	}
	return ""
}

// CheckHash compares the file at path with the SHA-256 that it should have, and reports to
// progress how many bytes it has read besides.
func CheckHash(ctx context.Context, path, want string, progress func(n int64)) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	for {
		n, err := io.CopyN(hash, f, 16<<20)
		if progress(n); ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("weights: read %s: %w", path, err)
		}
	}
	if found := hex.EncodeToString(hash.Sum(nil)); found != want {
		return &Error{path, "SHA-256", found, want + ", as the hub has it: download it again"}
	}
	return nil
}
