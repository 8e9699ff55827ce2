package desktop

import (
	"context"
	"fmt"
	"time"
)

// The most that is taken from the clipboard, and the longest that is waited for it:
// it may come from another program, while the user looks on.
const (
	clipboardBytes = 64 << 20
	clipboardTime  = 2 * time.Second
)

var (
	errClipboardSize = fmt.Errorf("the picture on the clipboard is larger than %d MiB: save it as a file and open that", clipboardBytes>>20)
	errClipboardTime = fmt.Errorf("the program that the clipboard's content is from gave no picture for %v: copy it again, or save it as a file and open that", clipboardTime)
)

func (s *system) ClipboardPicture() ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), clipboardTime)
	defer cancel()
	type answer struct {
		data []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		data, err := s.platform.clipboardPicture(ctx)
		answered <- answer{data, err}
	}()
	select {
	case a := <-answered:
		switch {
		case a.err != nil && ctx.Err() != nil:
			return nil, errClipboardTime
		case len(a.data) > clipboardBytes:
			return nil, errClipboardSize
		}
		return a.data, a.err
	case <-ctx.Done():
		return nil, errClipboardTime
	}
}
