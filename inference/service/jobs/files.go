package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"
)

// Put puts a file's contents into the store, unless they are there, and returns what names
// them. The contents are read twice.
func (s *Store) Put(ctx context.Context, r io.ReadSeeker) (Object, error) {
	hash := sha256.New()
	n, err := io.Copy(hash, r)
	if err != nil {
		return Object{}, err
	}
	o := Object{hex.EncodeToString(hash.Sum(nil)), n}
	if _, err := s.files.GetInfo(ctx, o.SHA256); err == nil {
		return o, nil
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return Object{}, err
	}
	_, err = s.files.Put(ctx, jetstream.ObjectMeta{Name: o.SHA256}, r)
	return o, full(err)
}

// PutFile puts a file of this machine into the store.
func (s *Store) PutFile(ctx context.Context, path string) (Object, error) {
	f, err := os.Open(path)
	if err != nil {
		return Object{}, err
	}
	defer f.Close()
	return s.Put(ctx, f)
}

// PutFolder puts the files of a folder into the store, by their names in it.
func (s *Store) PutFolder(ctx context.Context, dir string) (Files, error) {
	files := Files{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err == nil {
			files[filepath.ToSlash(name)], err = s.PutFile(ctx, path)
		}
		return err
	})
	return files, err
}

// Open opens a file of the store. Reading ends with an error unless its contents are what
// its name says.
func (s *Store) Open(ctx context.Context, o Object) (io.ReadCloser, error) {
	return s.files.Get(ctx, o.SHA256)
}

// GetFile writes a file of the store to path. A file that is there gives way only to a
// whole one.
func (s *Store) GetFile(ctx context.Context, o Object, path string) error {
	r, err := s.Open(ctx, o)
	if err != nil {
		return err
	}
	defer r.Close()
	part := path + ".part"
	w, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err = errors.Join(err, w.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return os.Rename(part, path)
}
