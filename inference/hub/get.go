package hub

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"

	"gimbal/inference/output"
)

// Get brings what a listing holds to the folder dir, or one in it for the listing's Into: the files
// that are not there yet. It tells progress how far it is, one call at a time. Any end of the
// program loses at most the requests under way: the next call goes on. A file is under its
// name only when its hash is right; what is there already is used if its hash is right, and is
// an *OtherFileError if not.
func (c *Client) Get(ctx context.Context, l Listing, dir string, progress func(Progress)) error {
	root := filepath.Join(dir, l.Into)
	g := &getting{c: c, l: l, root: root, now: Progress{Total: l.Bytes(), Checking: true}, progress: progress}
	unlock, err := g.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := g.pin(); err != nil {
		return err
	}
	if err := g.plan(ctx); err != nil {
		return err
	}
	if err := output.CheckRoom(output.Need{Folder: root, Bytes: g.left}); err != nil {
		return err
	}
	g.begin()
	return g.run(ctx)
}

// getting is a listing on its way to a folder.
type getting struct {
	c        *Client
	l        Listing
	root     string
	progress func(Progress)
	left     int64 // bytes that are to be fetched
	files    []*partial

	mu  sync.Mutex // guards what follows
	now Progress
}

// cacheFolder is where Hugging Face's programs keep what they know of a folder's files, and where
// what is known of files under way is kept, too.
var cacheFolder = filepath.Join(".cache", "huggingface", "download")

// lock keeps other processes from fetching to the same folder.
func (g *getting) lock() (unlock func(), err error) {
	folder := filepath.Join(g.root, cacheFolder)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, output.Explain(g.root, err)
	}
	lock := flock.New(filepath.Join(folder, "gimbal.lock"))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, output.Explain(g.root, err)
	case !ok:
		return nil, &BusyError{g.root}
	}
	return func() { lock.Unlock() }, nil
}

// plan finds out what is there.
func (g *getting) plan(ctx context.Context) error {
	for _, f := range g.l.Files {
		p := &partial{File: f, g: g, path: filepath.Join(g.root, filepath.FromSlash(f.Path))}
		there, err := p.there(ctx)
		if err == nil && !there {
			there, err = p.fromCache(ctx)
		}
		if err == nil && !there {
			err = p.open()
		}
		if err != nil {
			return errors.Join(err, g.close())
		}
		if there {
			g.add(f.Size)
			continue
		}
		g.add(p.has)
		g.left += f.Size - p.has
		g.files = append(g.files, p)
	}
	return nil
}

// add counts bytes that are there now; negative ones were lost.
func (g *getting) add(n int64) {
	g.tell(func(p *Progress) { p.Done += n })
}

// came counts bytes that came over the network.
func (g *getting) came(n int64) {
	g.tell(func(p *Progress) { p.Done, p.Came = p.Done+n, p.Came+n })
}

// begin says that what is there is known, and that the rest is fetched from now on.
func (g *getting) begin() {
	g.tell(func(p *Progress) { p.Checking = false })
}

func (g *getting) tell(change func(p *Progress)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.now)
	g.progress(g.now)
}

func (g *getting) close() error {
	var errs []error
	for _, p := range g.files {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// chunk is a part of a file that one request brings.
type chunk struct {
	of    *partial
	index int
}

// run fetches the chunks that are not there, several at a time, in the files' order.
func (g *getting) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, g.close()) }()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	chunks := make(chan chunk)
	var group sync.WaitGroup
	for range g.c.o.Parallel {
		group.Go(func() {
			for k := range chunks {
				if err := k.of.fetch(ctx, k.index); err != nil {
					stop(err)
				}
			}
		})
	}
	for _, p := range g.files {
		for _, i := range p.missing() {
			select {
			case chunks <- chunk{p, i}:
			case <-ctx.Done():
			}
		}
	}
	close(chunks)
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	for _, p := range g.files { // empty ones, and those of which all chunks were there
		if err := p.finish(ctx); err != nil {
			return err
		}
	}
	return nil
}

// idleReader ends when nothing comes for a while.
type idleReader struct {
	io.Reader
	alive func() // puts the end off
}

func (r *idleReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if n > 0 {
		r.alive()
	}
	return n, err
}
