package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// seenVersion changes with what a checkpoint is looked at for.
const seenVersion = 2

// checkSamples looks at samples of a checkpoint's tensors, unless it has before: its files are
// known by size, time and inode.
func (l *Local) checkSamples(ctx context.Context, layout *weights.Layout) error {
	mark, err := l.mark(layout)
	if err == nil {
		if _, err := os.Stat(mark); err == nil {
			return nil
		}
	}
	if err := layout.CheckSamples(ctx); err != nil {
		return err
	}
	l.remember(mark, err)
	return nil
}

// CheckSamples looks at samples of the tensors of a request's checkpoint, unless it has before. The error is an
// *inference.CheckpointError.
func (l *Local) CheckSamples(ctx context.Context, r Request) error {
	layout, err := r.checkpoint().Open()
	if err != nil {
		return err
	}
	defer layout.Close()
	if err := l.checkSamples(ctx, layout); err != nil {
		return &inference.CheckpointError{Dir: layout.Dir, Err: err}
	}
	return nil
}

// Verify looks at all of a checkpoint's files, by their hashes where Hugging Face's programs
// left them, and reports to progress how much of them it has looked at.
func (l *Local) Verify(ctx context.Context, c weights.Checkpoint, progress func(done, total int64)) error {
	layout, err := c.Open()
	if err != nil {
		return err
	}
	defer layout.Close()
	if err := layout.CheckWhole(ctx, progress); err != nil {
		return err
	}
	l.remember(l.mark(layout))
	return nil
}

// mark returns the file that is there once the layout's files were looked at.
func (l *Local) mark(layout *weights.Layout) (string, error) {
	folder := l.o.RatesDir
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(cache, "Gimbal")
	}
	hash := sha256.New()
	fmt.Fprintln(hash, seenVersion)
	for _, path := range slices.Sorted(slices.Values(layout.WeightFiles())) {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		var inode uint64
		if system, ok := info.Sys().(*syscall.Stat_t); ok {
			inode = uint64(system.Ino)
		}
		fmt.Fprintf(hash, "%s %d %d %d\n", filepath.Base(path), info.Size(), info.ModTime().UnixNano(), inode)
	}
	return filepath.Join(folder, "checked", hex.EncodeToString(hash.Sum(nil)[:16])), nil
}

// remember makes the file that mark names; without it the next look is one more.
func (l *Local) remember(mark string, err error) {
	if err == nil {
		err = os.MkdirAll(filepath.Dir(mark), 0o755)
	}
	if err == nil {
		err = os.WriteFile(mark, nil, 0o644)
	}
	if err != nil {
		l.o.Log.Warn("remembering that a checkpoint was looked at", "err", err)
	}
}
