package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

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
	if info, err := s.find(ctx, o); err == nil && s.renew(ctx, info) == nil {
		return o, nil
	}
	return o, full(s.tryFor(ctx, tryTime+transfer(n), func(ctx context.Context) error {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := s.files.Put(ctx, jetstream.ObjectMeta{Name: o.SHA256}, r)
		return err
	}))
}

// renew keeps a file that is there, and that maybe no record names, from the next Sweep.
func (s *Store) renew(ctx context.Context, info *jetstream.ObjectInfo) error {
	if time.Since(info.ModTime) < s.o.Unnamed/2 {
		return nil
	}
	return s.try(ctx, func(ctx context.Context) error { return s.files.UpdateMeta(ctx, info.Name, info.ObjectMeta) })
}

// slowest is the slowest network on which files are put into the store, in bytes per second.
const slowest = 2 << 20

// transfer is how long so many bytes may take.
func transfer(n int64) time.Duration {
	return time.Duration(float64(n) / slowest * float64(time.Second))
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

// find returns how the store keeps a file.
func (s *Store) find(ctx context.Context, o Object) (info *jetstream.ObjectInfo, err error) {
	err = s.tryFor(ctx, readTime, func(ctx context.Context) (err error) {
		info, err = s.files.GetInfo(ctx, o.SHA256)
		return err
	})
	return info, err
}

// Open opens a file of the store. Reading ends with an error unless its contents are what
// its name says.
func (s *Store) Open(ctx context.Context, o Object) (io.Reader, error) {
	var info *jetstream.ObjectInfo
	err := s.settled(ctx, func() (err error) {
		info, err = s.find(ctx, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &reader{s: s, ctx: ctx, name: o.SHA256, chunks: chunksSubject + info.NUID, next: 1, left: int(info.Chunks), hash: sha256.New()}, nil
}

// chunksSubject begins the subjects of files' chunks, as JetStream names them.
const chunksSubject = "$O." + filesName + ".C."

// reader reads a file chunk by chunk: JetStream's own way makes a consumer for each file, on one
// server of a cluster, and waits for it when that is lost.
type reader struct {
	s      *Store
	ctx    context.Context
	name   string
	chunks string // their subject
	next   uint64 // number of the next one, or less
	left   int    // of them
	chunk  []byte // what is left of one
	hash   hash.Hash
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.chunk) == 0 {
		if r.left == 0 {
			if hex.EncodeToString(r.hash.Sum(nil)) != r.name {
				return 0, fmt.Errorf("file %s of the store is damaged", r.name)
			}
			return 0, io.EOF
		}
		var msg *jetstream.RawStreamMsg
		err := r.s.settled(r.ctx, func() (err error) {
			msg, err = r.s.message(r.ctx, filesStream, r.chunks, r.next)
			return err
		})
		if err != nil {
			return 0, err
		}
		r.chunk, r.next, r.left = msg.Data, msg.Sequence+1, r.left-1
		r.hash.Write(r.chunk)
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// GetFile writes a file of the store to path. A file that is there gives way only to a
// whole one.
func (s *Store) GetFile(ctx context.Context, o Object, path string) error {
	r, err := s.Open(ctx, o)
	if err != nil {
		return err
	}
	w, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part") // others may fetch it, too
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err = errors.Join(err, w.Close()); err == nil {
		err = os.Rename(w.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(w.Name()))
	}
	return nil
}
