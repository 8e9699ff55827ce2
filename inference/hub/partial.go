package hub

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gimbal/inference/output"
)

// partial is a file on its way: PATH.part, of its full size, and a list of the chunks of it that
// are on disk.
type partial struct {
	File
	g    *getting
	path string
	has  int64 // bytes that were there when it was opened

	file *os.File
	list *os.File

	mu       sync.Mutex // guards what follows
	chunks   []bool     // those that are on disk
	finished bool
}

func (p *partial) part() string { return p.path + ".part" }

// blob returns where Hugging Face's programs have the file, if they have it; "" without a cache.
func (p *partial) blob() string {
	if p.g.c.o.Cache == "" {
		return ""
	}
	return filepath.Join(p.g.c.o.Cache, "models--"+strings.ReplaceAll(p.g.l.Repo, "/", "--"), "blobs", p.etag())
}

// note returns the path of what is known of the file, by its kind.
func (p *partial) note(kind string) string {
	return filepath.Join(p.g.root, cacheFolder, filepath.FromSlash(p.Path)+kind)
}

// there reports whether the file is in its place: by its hash, or by what was noted when that was
// looked at and its size and time since.
func (p *partial) there(ctx context.Context) (bool, error) {
	info, err := os.Stat(p.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, output.Explain(p.g.root, err)
	case !info.Mode().IsRegular() || info.Size() != p.Size:
		return false, &OtherFileError{p.path}
	}
	if text, err := os.ReadFile(p.note(".metadata")); err == nil {
		lines := strings.Split(string(text), "\n")
		noted, err := os.Stat(p.note(".metadata"))
		if err == nil && len(lines) >= 2 && strings.TrimSpace(lines[1]) == p.etag() && !noted.ModTime().Before(info.ModTime()) {
			return true, nil
		}
	}
	found, err := p.hash(ctx, p.path)
	if err != nil {
		return false, err
	}
	if found != p.etag() {
		return false, &OtherFileError{p.path}
	}
	return true, p.know()
}

// fromCache links the file to where Hugging Face's programs have it.
func (p *partial) fromCache(ctx context.Context) (bool, error) {
	blob := p.blob()
	info, err := os.Stat(blob)
	if err != nil || !info.Mode().IsRegular() || info.Size() != p.Size {
		return false, nil
	}
	if found, err := p.hash(ctx, blob); err != nil || found != p.etag() {
		return false, err
	}
	if blob, err = filepath.Abs(blob); err == nil {
		err = os.MkdirAll(filepath.Dir(p.path), 0o755)
	}
	if err == nil {
		err = os.Symlink(blob, p.path)
	}
	if err != nil {
		return false, output.Explain(p.g.root, err)
	}
	return true, p.know()
}

// open opens what is there of the file.
func (p *partial) open() error {
	for _, path := range []string{p.path, p.note("")} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return output.Explain(p.g.root, err)
		}
	}
	var err error
	if p.file, err = os.OpenFile(p.part(), os.O_RDWR|os.O_CREATE, 0o644); err == nil {
		p.list, err = os.OpenFile(p.note(".chunks"), os.O_RDWR|os.O_CREATE, 0o644)
	}
	if err != nil {
		return output.Explain(p.g.root, err)
	}
	size := p.g.c.o.Chunk
	p.chunks = make([]bool, (p.Size+size-1)/size)
	if !p.readList() {
		if err := p.begin(); err != nil {
			return output.Explain(p.g.root, err)
		}
	}
	for i, there := range p.chunks {
		if there {
			first, last := p.span(i)
			p.has += last - first + 1
		}
	}
	return nil
}

// head is the first line of a list: what the chunks are of.
func (p *partial) head() string { return fmt.Sprintf("%s %d %d", p.etag(), p.Size, p.g.c.o.Chunk) }

// readList reads which chunks are there, and reports whether they are of this file.
func (p *partial) readList() bool {
	info, err := p.file.Stat()
	if err != nil || info.Size() != p.Size {
		return false
	}
	lines := bufio.NewScanner(p.list)
	if !lines.Scan() || lines.Text() != p.head() {
		return false
	}
	for lines.Scan() {
		var i int
		if n, err := fmt.Sscanf(lines.Text(), "%d.", &i); err != nil || n != 1 || !strings.HasSuffix(lines.Text(), ".") || i < 0 || i >= len(p.chunks) {
			break // cut off when the program ended
		}
		p.chunks[i] = true
	}
	return true
}

// begin begins the file anew.
func (p *partial) begin() error {
	clear(p.chunks)
	err := errors.Join(p.list.Truncate(0), p.file.Truncate(0), p.file.Truncate(p.Size))
	if err == nil {
		_, err = p.list.WriteAt([]byte(p.head()+"\n"), 0)
	}
	return err
}

// span returns the first and the last byte of a chunk.
func (p *partial) span(i int) (first, last int64) {
	size := p.g.c.o.Chunk
	return int64(i) * size, min(int64(i+1)*size, p.Size) - 1
}

// missing lists the chunks that are not there.
func (p *partial) missing() (list []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, there := range p.chunks {
		if !there {
			list = append(list, i)
		}
	}
	return list
}

// fetch brings a chunk and, if it was the last, finishes the file.
func (p *partial) fetch(ctx context.Context, i int) error {
	first, last := p.span(i)
	address := p.g.c.address(p.g.l, p.File)
	at := first
	err := p.g.c.again(ctx, address, func() (progress bool, err error) {
		before := at
		err = p.request(ctx, address, &at, last)
		return at > before, err
	})
	if err == nil {
		err = p.keep(i)
	}
	if err != nil {
		p.g.add(first - at)
		if onDisk := (*os.PathError)(nil); errors.As(err, &onDisk) {
			return output.Explain(p.g.root, err)
		}
		return err
	}
	if len(p.missing()) == 0 {
		return p.finish(ctx)
	}
	return nil
}

// request brings the bytes from at up to last, and moves at on by what came.
func (p *partial) request(ctx context.Context, address string, at *int64, last int64) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	idle := time.AfterFunc(p.g.c.o.Idle, stop)
	defer idle.Stop()
	response, err := p.g.c.send(ctx, p.g.l.Repo, address, *at, last)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body := io.Reader(&idleReader{response.Body, func() { idle.Reset(p.g.c.o.Idle) }})
	if err := p.checkRange(response, *at); err != nil {
		return err
	}
	if response.StatusCode == http.StatusOK { // all of the file, as the server knows no ranges
		if _, err := io.CopyN(io.Discard, body, *at); err != nil {
			return retryError{err: err}
		}
	}
	to := io.NewOffsetWriter(p.file, *at)
	for *at <= last {
		n, err := io.CopyN(to, body, min(1<<20, last+1-*at))
		*at += n
		p.g.came(n)
		switch {
		case err == nil:
		case errors.As(err, new(*os.PathError)): // of the disk, which no waiting helps against
			return err
		default:
			return retryError{err: fmt.Errorf("%s: %d bytes are missing: %w", filepath.Base(p.path), last+1-*at, err)}
		}
	}
	return nil
}

// checkRange holds an answer to being of the file, and of the bytes that were asked for.
func (p *partial) checkRange(response *http.Response, at int64) error {
	var first, last, size int64
	if response.StatusCode == http.StatusOK {
		size = response.ContentLength
	} else if n, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil || n != 3 || first != at {
		return retryError{err: fmt.Errorf("found the range %q, expected one from %d", response.Header.Get("Content-Range"), at)}
	}
	if size >= 0 && size != p.Size {
		return fmt.Errorf("%s: found %d bytes, expected %d, as the hub says (is there a log-in page, or a proxy, in between?)", response.Request.URL.Host, size, p.Size)
	}
	return nil
}

// keep notes that a chunk is on disk.
func (p *partial) keep(i int) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chunks[i] = true
	if _, err := p.list.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.list, "%d.\n", i)
	return err
}

// finish looks at the whole file's hash and puts it in its place. A second call does nothing.
func (p *partial) finish(ctx context.Context) error {
	p.mu.Lock()
	done := p.finished || slices.Contains(p.chunks, false)
	p.finished = p.finished || !done
	p.mu.Unlock()
	if done {
		return nil
	}
	found, err := p.hash(ctx, p.part())
	if err != nil {
		return err
	}
	if found != p.etag() {
		return errors.Join(&HashError{p.path, found, p.etag()}, os.Remove(p.part()), os.Remove(p.note(".chunks")))
	}
	if err := os.Link(p.part(), p.path); errors.Is(err, os.ErrExist) { // it came meanwhile
		return &OtherFileError{p.path}
	} else if err != nil { // a disk without links
		err = os.Rename(p.part(), p.path)
		if err != nil {
			return output.Explain(p.g.root, err)
		}
	} else if err := os.Remove(p.part()); err != nil {
		return output.Explain(p.g.root, err)
	}
	return errors.Join(os.Remove(p.note(".chunks")), p.know())
}

// know notes the file's hash as Hugging Face's programs do, for them and for 'gimbal inspect --full'.
func (p *partial) know() error {
	if err := os.MkdirAll(filepath.Dir(p.note("")), 0o755); err != nil {
		return output.Explain(p.g.root, err)
	}
	text := fmt.Sprintf("%s\n%s\n%.3f\n", p.g.l.Commit, p.etag(), float64(time.Now().UnixMilli())/1000)
	return os.WriteFile(p.note(".metadata"), []byte(text), 0o644)
}

// hash returns the hash by which the hub names a file's contents.
func (p *partial) hash(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", output.Explain(p.g.root, err)
	}
	defer f.Close()
	var sum hash.Hash
	if p.SHA256 != "" {
		sum = sha256.New()
	} else {
		sum = sha1.New()
		fmt.Fprintf(sum, "blob %d\x00", p.Size)
	}
	for {
		_, err := io.CopyN(sum, f, 16<<20)
		switch {
		case ctx.Err() != nil:
			return "", ctx.Err()
		case errors.Is(err, io.EOF):
			return hex.EncodeToString(sum.Sum(nil)), nil
		case err != nil:
			return "", fmt.Errorf("read %s: %w", path, err)
		}
	}
}

func (p *partial) close() error {
	var errs []error
	for _, f := range []*os.File{p.file, p.list} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
