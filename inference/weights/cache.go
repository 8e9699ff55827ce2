package weights

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// CacheDir is the folder of quantised weights in a checkpoint's folder, or, where
// that cannot be written, in the user's cache folder under Gimbal.
const CacheDir = "quantized"

// layoutVersion is part of a cached file's key: it changes with what Write writes.
const layoutVersion = "1"

// The metadata of a cached file.
const (
	metaSource  = "gimbal.source" // fingerprint of the weights that it was made from
	metaKind    = "gimbal.quant"
	metaVersion = "gimbal.version"
)

// Open returns the weights of an expert of the checkpoint in folder dir, whose
// weights as they are there are in source, quantised as o says: source itself or
// the folder EXPERT_bnb_KIND if the checkpoint brings them so, or else a cached
// file, which it makes first if there is none of this very source. That tells
// progress how many bytes of source are done.
func OpenQuantised(ctx context.Context, dir, expert string, source *Store, o Quant, progress func(done, total int64)) (*Store, error) {
	if store, err := brought(dir, expert, source, o); store != nil || err != nil {
		return store, err
	}
	c, err := newCache(expert, source, o)
	if err != nil {
		return nil, err
	}
	folders := folders(dir)
	for _, folder := range folders {
		if store := c.open(folder); store != nil {
			return store, nil
		}
	}
	return c.make(ctx, folders, source, progress)
}

// Cached reports whether Open need not make anything: the quantised weights are in the
// checkpoint or in a cached file. It looks at the files' names only.
func HasQuantised(dir, expert string, source *Store, o Quant) bool {
	if Format(source.Quantised()) == o.Format || exists(filepath.Join(dir, fmt.Sprintf("%s_bnb_%s", expert, o.Format))) {
		return true
	}
	name := ""
	for _, folder := range folders(dir) {
		if !exists(folder) {
			continue
		}
		if name == "" { // it takes the weights' fingerprint
			c, err := newCache(expert, source, o)
			if err != nil {
				return false
			}
			name = c.name
		}
		if exists(filepath.Join(folder, name)) {
			return true
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// brought returns the quantised weights that the checkpoint brings, nil if it brings
// none.
func brought(dir, expert string, source *Store, o Quant) (*Store, error) {
	switch kind := Format(source.Quantised()); kind {
	case "":
	case o.Format:
		return source, nil
	default:
		return nil, fmt.Errorf("%s: its weights are in %s already, found where %s is wanted: use --quant %s or none, or a checkpoint that is not quantised",
			source.Path(), kind, o.Format, kind)
	}
	store, err := openBrought(dir, expert, o.Format)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return store, err
}

// folders lists where cached files may be, the best place first.
func folders(dir string) []string {
	all := []string{filepath.Join(dir, CacheDir)}
	if user, err := os.UserCacheDir(); err == nil {
		all = append(all, filepath.Join(user, "Gimbal", CacheDir))
	}
	return all
}

// cache is one cached file, wherever it is.
type cache struct {
	name     string
	o        Quant
	metadata map[string]string
}

func newCache(expert string, source *Store, o Quant) (cache, error) {
	fingerprint, err := source.Fingerprint()
	if err != nil {
		return cache{}, err
	}
	return cache{
		name: fmt.Sprintf("%s-%s-v%s-%.16s.safetensors", expert, o, layoutVersion, fingerprint),
		o:    o,
		metadata: map[string]string{
			"format": "pt", metaSource: fingerprint, metaKind: o.String(), metaVersion: layoutVersion,
		},
	}, nil
}

// open returns the cached file in folder, nil if there is none or it is not what
// its name says.
func (c cache) open(folder string) *Store {
	store, err := OpenSafetensors(filepath.Join(folder, c.name))
	if err != nil {
		return nil
	}
	found := store.Metadata()
	for key, want := range c.metadata {
		if found[key] != want {
			store.Close()
			return nil
		}
	}
	return store
}

// make writes the file to the first of the folders that has room for it. Another
// process that is about to do the same is waited for.
func (c cache) make(ctx context.Context, folders []string, source *Store, progress func(done, total int64)) (*Store, error) {
	w, err := newWriter(ctx, source, c.o, progress)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, folder := range folders {
		lock, err := hold(ctx, folder, w.size())
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer lock.Unlock()
		if store := c.open(folder); store != nil {
			return store, nil
		}
		sweep(folder)
		path := filepath.Join(folder, c.name)
		if err := WriteInOrder(path, w.tensors, c.metadata); err != nil {
			return nil, fmt.Errorf("quantising %s: %w", source.Path(), err)
		}
		return OpenSafetensors(path)
	}
	return nil, fmt.Errorf("no folder for %.1f GB of quantised weights: %w", float64(w.size())/1e9, errors.Join(errs...))
}

// hold makes the folder, if it can be written and has room for size bytes, and
// keeps other processes from making files in it.
func hold(ctx context.Context, folder string, size int64) (*flock.Flock, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(folder, "lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(folder, &disk); err == nil {
		if free := int64(disk.Bavail) * int64(disk.Bsize); free < size {
			lock.Unlock()
			return nil, fmt.Errorf("%s: %.1f GB free, want %.1f: free some space", folder, float64(free)/1e9, float64(size)/1e9)
		}
	}
	return lock, nil
}

// sweep removes what killed processes left half written in a folder that is held.
func sweep(folder string) {
	leftovers, _ := filepath.Glob(filepath.Join(folder, ".*.safetensors*"))
	for _, path := range leftovers {
		os.Remove(path)
	}
}
