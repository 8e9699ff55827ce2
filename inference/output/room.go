package output

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"gimbal/inference"
)

// Need is what is about to be written to a folder, which need not be there yet.
type Need struct {
	Folder string
	Bytes  int64
}

// CheckRoom returns an *inference.DiskError unless the disks have room for all that is
// needed of them, as far as they tell.
func CheckRoom(needs ...Need) error {
	type disk struct {
		folder string // the first one on it
		bytes  int64
	}
	var disks []*disk
	of := map[uint64]*disk{}
	for _, n := range needs {
		folder := Nearest(n.Folder)
		id, ok := device(folder)
		if !ok {
			continue
		}
		if of[id] == nil {
			of[id] = &disk{folder: folder}
			disks = append(disks, of[id])
		}
		of[id].bytes += n.Bytes
	}
	for _, d := range disks {
		if free, ok := Free(d.folder); ok && free < d.bytes {
			return &inference.DiskError{Folder: d.folder, Free: free, Need: d.bytes}
		}
	}
	return nil
}

// Free returns the bytes that files may take on the disk of a folder, which need not be there
// yet. Not every file system tells.
func Free(folder string) (bytes int64, ok bool) {
	var told syscall.Statfs_t
	if err := syscall.Statfs(Nearest(folder), &told); err != nil {
		return 0, false
	}
	return int64(told.Bavail) * int64(told.Bsize), true
}

// Full reports whether an error is that of a disk, or of what somebody may have of it, without
// room: as CheckRoom foresees it, or as the system says it.
func Full(err error) bool {
	return errors.As(err, new(*inference.DiskError)) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// CheckEmpty returns an error unless a folder is empty or not there, so that nothing is lost
// where files are written to it.
func CheckEmpty(folder string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return Explain(folder, err)
	case len(entries) > 0:
		return fmt.Errorf("%s: found a folder with %s in it, expected an empty one or a new name", folder, entries[0].Name())
	}
	return nil
}

// device returns the number of the file system that holds a folder.
func device(folder string) (id uint64, ok bool) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return uint64(stat.Dev), true
}
