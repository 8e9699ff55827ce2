package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A server of a cluster that is lost takes with it what it was asked and had not answered, and
// for some seconds nobody stands in for it. So an answer is waited for a little while only, and
// then all is asked once more: everything that is asked here may be done twice.
const (
	readTime  = time.Second           // for what is there
	tryTime   = 3 * time.Second       // for what is written, on several servers
	firstWait = 50 * time.Millisecond // between two tries, twice as long each time
	longWait  = time.Second
	patience  = 30 * time.Second // of all tries together, where the caller sets no time
)

// try asks JetStream until it answers or ctx ends: the error is then ErrAway and the last one.
func (s *Store) try(ctx context.Context, ask func(context.Context) error) error {
	return s.tryFor(ctx, tryTime, ask)
}

// tryFor is try for what may take longer than usual.
func (s *Store) tryFor(ctx context.Context, each time.Duration, ask func(context.Context) error) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		one, cancel := context.WithTimeout(ctx, each)
		err := ask(one)
		cancel()
		if err == nil || !away(err) {
			return err
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return ctx.Err()
			}
			return fmt.Errorf("%w: %w", ErrAway, err)
		case <-time.After(wait):
		}
	}
}

// settled asks for what is known to be there: a server of a cluster that lags behind has it a
// moment later.
func (s *Store) settled(ctx context.Context, ask func() error) error {
	for wait := firstWait; ; wait *= 2 {
		err := ask()
		missing := errors.Is(err, jetstream.ErrObjectNotFound) || errors.Is(err, jetstream.ErrMsgNotFound)
		if !missing || s.o.Replicas == 1 || wait > longWait {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// away reports whether an error says that nobody answered, or nobody who could: it is not known
// whether anything was done.
func away(err error) bool {
	for _, one := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrReconnectBufExceeded,
		jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, one) {
			return true
		}
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case errNoPeers, errUnavailable, errOffline, errNotReady:
		return true
	}
	return false
}
