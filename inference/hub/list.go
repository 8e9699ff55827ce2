package hub

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Listing is what a repository holds at one commit.
type Listing struct {
	Source
	Commit  string
	Licence string // as the repository states it; "" if it does not
	Files   []File
}

// File is one of a repository.
type File struct {
	Path   string // in the repository, with slashes
	Size   int64
	SHA256 string // in hexadecimal; "" for small files, which have none
	Blob   string // git's name of the contents, a SHA-1 with a header before them
}

// Bytes returns the size of all files.
func (l Listing) Bytes() (sum int64) {
	for _, f := range l.Files {
		sum += f.Size
	}
	return sum
}

var (
	sha1Text   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// List returns what a source takes of its repository, at a revision: "" for the newest.
func (c *Client) List(ctx context.Context, s Source, revision string) (Listing, error) {
	if revision == "" {
		revision = "main"
	}
	var about struct {
		SHA      string
		CardData struct{ License string }
	}
	api := c.o.Endpoint + "/api/models/" + s.Repo
	if _, err := c.json(ctx, s.Repo, api+"/revision/"+url.PathEscape(revision), &about); err != nil {
		return Listing{}, err
	}
	if !sha1Text.MatchString(about.SHA) {
		return Listing{}, fmt.Errorf("%s: the hub names no commit of %s (is it a hub?)", api, revision)
	}
	l := Listing{Source: s, Commit: about.SHA, Licence: about.CardData.License}
	for next := api + "/tree/" + about.SHA + "?recursive=true"; next != ""; {
		var page []struct {
			Type, OID, Path string
			Size            int64
			LFS             *struct {
				OID  string
				Size int64
			}
		}
		var err error
		if next, err = c.json(ctx, s.Repo, next, &page); err != nil {
			return l, err
		}
		for _, entry := range page {
			f := File{Path: entry.Path, Size: entry.Size, Blob: entry.OID}
			if entry.LFS != nil {
				f.Size, f.SHA256 = entry.LFS.Size, entry.LFS.OID
			}
			if entry.Type != "file" || !s.takes(entry.Path) {
				continue
			}
			if err := f.check(); err != nil {
				return l, fmt.Errorf("%s: %w", s.Repo, err)
			}
			l.Files = append(l.Files, f)
		}
	}
	if len(l.Files) == 0 {
		return l, fmt.Errorf("%s: found no files of a model", c.Page(s.Repo))
	}
	return l, nil
}

// check refuses what a hub would not say: a path that leads out of the folder, or no hash.
func (f File) check() error {
	switch {
	case f.Path == "" || path.Clean("/"+f.Path) != "/"+f.Path || strings.Contains(f.Path, "\\") || !filepath.IsLocal(filepath.FromSlash(f.Path)):
		return fmt.Errorf("found the file %q, expected a path in the repository", f.Path)
	case f.Size < 0 || f.SHA256 != "" && !sha256Text.MatchString(f.SHA256) || f.SHA256 == "" && !sha1Text.MatchString(f.Blob):
		return fmt.Errorf("found %q of %d bytes without a hash, expected one", f.Path, f.Size)
	}
	return nil
}

// address returns where a file's contents are.
func (c *Client) address(l Listing, f File) string {
	parts := strings.Split(f.Path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return c.o.Endpoint + "/" + l.Repo + "/resolve/" + l.Commit + "/" + strings.Join(parts, "/")
}

// etag returns what names the file's contents.
func (f File) etag() string {
	if f.SHA256 != "" {
		return f.SHA256
	}
	return f.Blob
}
