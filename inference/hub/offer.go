package hub

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"gimbal/inference/output"
)

// Offer is what the hub has of a model: the files of all its sources.
type Offer struct {
	Model    Model
	Revision string // that was asked for; "" for the newest
	Listings []Listing
}

// Offer asks what there is of a model, at a revision: "" for the newest.
func (c *Client) Offer(ctx context.Context, m Model, revision string) (Offer, error) {
	o := Offer{Model: m, Revision: revision}
	for _, source := range m.Sources {
		l, err := c.List(ctx, source, revision)
		if err != nil {
			return o, err
		}
		o.Listings = append(o.Listings, l)
	}
	return o, nil
}

// Bytes returns the size of all files.
func (o Offer) Bytes() (sum int64) {
	for _, l := range o.Listings {
		sum += l.Bytes()
	}
	return sum
}

// Licence returns the licence as Models has it, or else as the first repository states it; "" for
// none that is stated.
func (o Offer) Licence() string {
	if o.Model.Licence != "" || len(o.Listings) == 0 {
		return o.Model.Licence
	}
	return o.Listings[0].Licence
}

// maxLicence bounds the text of a licence.
const maxLicence = 256 << 10

// LicenceText fetches the text of the licence from the model's own repository; "" if that has no
// file of it.
func (c *Client) LicenceText(ctx context.Context, o Offer) (string, error) {
	for _, l := range o.Listings[:min(1, len(o.Listings))] {
		for _, f := range l.Files {
			name := strings.ToUpper(strings.TrimSuffix(f.Path, path.Ext(f.Path)))
			if name != "LICENSE" && name != "LICENCE" || f.Size > maxLicence {
				continue
			}
			var text []byte
			address := c.address(l, f)
			err := c.again(ctx, address, func() (bool, error) {
				response, err := c.send(ctx, l.Repo, address, 0, -1)
				if err != nil {
					return false, err
				}
				defer response.Body.Close()
				if text, err = io.ReadAll(io.LimitReader(response.Body, maxLicence)); err != nil {
					return false, retryError{err: err}
				}
				return false, nil
			})
			return string(text), err
		}
	}
	return "", nil
}

// Missing returns how many bytes the disk of a folder still has to take for all of an offer, by
// the files' names and sizes alone: what is in the cache, or was fetched before, takes none.
func (c *Client) Missing(o Offer, dir string) (sum int64) {
	for _, l := range o.Listings {
		for _, f := range l.Files {
			p := partial{File: f, g: &getting{c: c, l: l, root: filepath.Join(dir, l.Into)}}
			p.path = filepath.Join(p.g.root, filepath.FromSlash(f.Path))
			if sizeOf(p.path) != f.Size && sizeOf(p.blob()) != f.Size {
				sum += max(0, f.Size-allocated(p.part()))
			}
		}
	}
	return sum
}

// sizeOf returns a regular file's size; -1 if there is none.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}

// allocated returns how much of a disk a file takes, which is less than its size where nothing
// was written to parts of it.
func allocated(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return stat.Blocks * 512
}

// Fetch brings all of an offer to the folder dir, as Get does, if the disk has room for all of it.
// A download that is unfinished goes on at the commits at which it began: see Begun.
func (c *Client) Fetch(ctx context.Context, o Offer, dir string, progress func(Progress)) error {
	o, err := c.Begun(ctx, o, dir)
	if err != nil {
		return err
	}
	if err := output.CheckRoom(output.Need{Folder: dir, Bytes: c.Missing(o, dir)}); err != nil {
		return err
	}
	var before Progress
	for _, l := range o.Listings {
		var last Progress
		err := c.Get(ctx, l, dir, func(p Progress) {
			last = Progress{Done: before.Done + p.Done, Total: o.Bytes(), Came: before.Came + p.Came, Checking: p.Checking}
			progress(last)
		})
		if err != nil {
			return err
		}
		before = last
	}
	return o.unpin(dir)
}

// Discard removes what is unfinished of an offer in the folder dir. Files that are complete stay.
// It is an error while they are being fetched.
func (c *Client) Discard(o Offer, dir string) error {
	for _, l := range o.Listings {
		g := &getting{c: c, l: l, root: filepath.Join(dir, l.Into)}
		if _, err := os.Stat(filepath.Join(g.root, cacheFolder)); err != nil {
			continue // nothing was begun
		}
		unlock, err := g.lock()
		if err != nil {
			return err
		}
		for _, f := range l.Files {
			p := partial{File: f, g: g, path: filepath.Join(g.root, filepath.FromSlash(f.Path))}
			for _, path := range []string{p.part(), p.note(".chunks")} {
				if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
					unlock()
					return fmt.Errorf("what is unfinished stays: %w", err)
				}
			}
		}
		unlock()
	}
	return o.unpin(dir)
}
