package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gimbal/inference/output"
)

// pinPath returns where a folder notes at which commit of a repository its download began: files
// of two commits make no model.
func pinPath(root, repo string) string {
	return filepath.Join(root, cacheFolder, "gimbal-"+strings.ReplaceAll(repo, "/", "--")+".commit")
}

// pin notes the listing's commit.
func (g *getting) pin() error {
	return output.WriteFile(pinPath(g.root, g.l.Repo), func(w io.Writer) error {
		_, err := fmt.Fprintln(w, g.l.Commit)
		return err
	})
}

// Begun returns an offer of the newest as an unfinished download of it to the folder dir goes on:
// at the commits at which that began. It is a *GoneError if the hub has one of these no more.
func (c *Client) Begun(ctx context.Context, o Offer, dir string) (Offer, error) {
	if o.Revision != "" {
		return o, nil
	}
	begun := o
	begun.Listings = nil
	for _, l := range o.Listings {
		root := filepath.Join(dir, l.Into)
		text, err := os.ReadFile(pinPath(root, l.Repo))
		if commit := strings.TrimSpace(string(text)); err == nil && commit != l.Commit && sha1Text.MatchString(commit) {
			was, err := c.List(ctx, l.Source, commit)
			if access, status := (*AccessError)(nil), (*StatusError)(nil); errors.As(err, &access) || errors.As(err, &status) {
				return o, &GoneError{Repo: l.Repo, Commit: commit, Folder: root}
			}
			if err != nil {
				return o, err
			}
			l = was
		}
		begun.Listings = append(begun.Listings, l)
	}
	return begun, nil
}

// unpin forgets at which commits a download began.
func (o Offer) unpin(dir string) error {
	for _, l := range o.Listings {
		root := filepath.Join(dir, l.Into)
		if err := os.Remove(pinPath(root, l.Repo)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return output.Explain(root, err)
		}
	}
	return nil
}
