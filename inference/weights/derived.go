package weights

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"gimbal/inference/device"
	"gimbal/inference/output"
)

// CacheDir is the folder of derived weights in a checkpoint's folder, or, where
// that cannot be written, in the user's cache folder under Gimbal.
const CacheDir = "quantized"

// derived is a file of weights that are made of others: of a part of a checkpoint, with
// a fingerprint, by a recipe.
type derived struct {
	part   string // such as "high_noise_model"
	recipe string // such as "nf4-double"
	base   string // fingerprint of the weights that it is made of; "" for any
	shared bool   // its folder is one of several checkpoints, whose parts have the same names
}

// derivedVersion is part of a derived file's name: it changes with what is written by a
// recipe.
const derivedVersion = 1

// The metadata of a derived file.
const (
	metaBase    = "gimbal.source"
	metaRecipe  = "gimbal.quant"
	metaVersion = "gimbal.version"
)

// deriveFrom returns the file that source becomes.
func deriveFrom(source *Store, part string, q Quant) (derived, error) {
	base, err := source.Fingerprint()
	return derived{part, q.String(), base, !strings.Contains(source.path, part)}, err
}

// file returns the file's name, a pattern if the base is any.
func (d derived) file() string { return d.fileOf(derivedVersion) }

func (d derived) fileOf(version int) string {
	base := "*"
	if d.base != "" {
		base = fmt.Sprintf("%.16s", d.base)
	}
	return fmt.Sprintf("%s-%s-v%d-%s.safetensors", d.part, d.recipe, version, base)
}

func (d derived) metadata() map[string]string {
	return map[string]string{"format": "pt", metaBase: d.base, metaRecipe: d.recipe, metaVersion: strconv.Itoa(derivedVersion)}
}

// derivedDirs lists where derived files may be, the best place first.
func derivedDirs(dir string) []string {
	all := []string{filepath.Join(dir, CacheDir)}
	if user, err := os.UserCacheDir(); err == nil {
		all = append(all, filepath.Join(user, "Gimbal", CacheDir))
	}
	return all
}

// exists reports whether there seems to be such a file for the checkpoint in dir.
func (d derived) exists(dir string) bool {
	for _, folder := range derivedDirs(dir) {
		if names, err := fs.Glob(os.DirFS(folder), d.file()); err == nil && len(names) > 0 {
			return true
		}
	}
	return false
}

// open opens the file for the checkpoint in dir, nil if there is none that is what its name
// says.
func (d derived) open(dir string) *Store {
	for _, folder := range derivedDirs(dir) {
		store, err := Open(filepath.Join(folder, d.file()))
		if err != nil {
			continue
		}
		if maps.Equal(store.metadata, d.metadata()) {
			return store
		}
		store.Close()
	}
	return nil
}

// write writes the file to the first of the folders that has room for it, and opens it.
// Another process that is about to do the same is waited for.
func (d derived) write(ctx context.Context, dir string, tensors []Source) (*Store, error) {
	var size int64
	for _, t := range tensors {
		size += device.Desc{DType: t.DType, Shape: t.Shape}.Bytes()
	}
	var errs []error
	for i, folder := range derivedDirs(dir) {
		unlock, err := lock(ctx, folder)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer unlock()
		if store := d.open(dir); store != nil {
			return store, nil
		}
		d.evict(folder, i == 0)
		if err := output.CheckRoom(output.Need{Folder: folder, Bytes: size}); err != nil {
			errs = append(errs, err)
			continue
		}
		path := filepath.Join(folder, d.file())
		if err := WriteInOrder(path, tensors, d.metadata()); err != nil {
			return nil, err
		}
		return Open(path)
	}
	return nil, fmt.Errorf("no folder for %.1f GB of weights: %w", float64(size)/1e9, errors.Join(errs...))
}

// lock makes the folder, if it can be written, and keeps other processes from making
// files in it.
func lock(ctx context.Context, folder string) (unlock func() error, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	file := flock.New(filepath.Join(folder, "lock"))
	if _, err := file.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	return file.Unlock, nil
}

// evict removes from a locked folder what killed processes left half written and, if it is
// one checkpoint's own, what was made of weights that the part no longer has, or by an earlier
// version: only files that say of themselves what their names say. What is linked may be
// another checkpoint's, and stays.
func (d derived) evict(folder string, own bool) {
	leftovers, _ := fs.Glob(os.DirFS(folder), ".*.safetensors*")
	for _, name := range leftovers {
		os.Remove(filepath.Join(folder, name))
	}
	if info, err := os.Lstat(folder); err != nil || !info.IsDir() || !own || d.shared {
		return
	}
	listing, _ := os.ReadDir(folder)
	for _, file := range listing {
		path := filepath.Join(folder, file.Name())
		if !file.Type().IsRegular() || !strings.HasPrefix(file.Name(), d.part+"-") {
			continue
		}
		store, err := Open(path)
		if err != nil {
			continue
		}
		old := derived{part: d.part, recipe: store.metadata[metaRecipe], base: store.metadata[metaBase]}
		version, err := strconv.Atoi(store.metadata[metaVersion])
		store.Close()
		if err == nil && file.Name() == old.fileOf(version) && old.base != "" && (old.base != d.base || version < derivedVersion) {
			os.Remove(path)
		}
	}
}
