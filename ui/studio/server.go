package studio

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"gimbal/inference/engine"
	"gimbal/inference/library"
)

// Keys keep the keys of servers, out of settings.json.
type Keys interface {
	Key(server string) (string, error) // "" for none
	SetKey(server, key string) error
}

// Server is the server that makes the videos, where this machine does not.
type Server struct {
	Address string   // "" for this machine
	Models  []string // that it has
	Error   string   // why it cannot be asked; "" if it can
}

// servers are the engines of the servers that were asked for.
type servers struct {
	o   *Options
	mu  sync.Mutex
	all map[string]engine.Engine
}

var errNoServers = errors.New("servers cannot be asked here")

// engine returns that of a server; "" for this machine's.
func (s *servers) engine(server string) (engine.Engine, error) {
	if server == "" {
		return s.o.Engine, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[server]; e != nil {
		return e, nil
	}
	if s.o.Connect == nil {
		return nil, errNoServers
	}
	key := ""
	if s.o.Keys != nil {
		var err error
		if key, err = s.o.Keys.Key(server); err != nil {
			s.o.Log.Warn("reading a server's key", "server", server, "err", err)
		}
	}
	e, err := s.o.Connect(server, key)
	if err == nil {
		s.all[server] = e
	}
	return e, err
}

// forget has the next engine of a server use another key.
func (s *servers) forget(server string) {
	s.mu.Lock()
	old := s.all[server]
	delete(s.all, server)
	s.mu.Unlock()
	if old != nil {
		old.Close() // ends nothing but what it tells in the background
	}
}

// close closes all engines, this machine's too.
func (s *servers) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := []error{s.o.Engine.Close()}
	for _, e := range s.all {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

// SetServer chooses the server that makes the videos, by an address such as studio:7860, with
// its key; "" for no address is this machine, and for no key the one of before.
func (s *Studio) SetServer(address, key string) {
	address = serverAddress(address)
	s.serial.enqueue(func() {
		if key != "" && address != "" && s.o.Keys != nil {
			err := s.o.Keys.SetKey(address, key)
			s.servers.forget(address)
			if err != nil {
				s.change(func(n *Snapshot) { s.notice(n, Error, KeyNotKept, map[string]any{"Server": address}, err.Error()) })
			}
		}
		s.userChange(func(n *Snapshot) {
			s.suit(n, func() {
				if n.Settings.Server != address {
					n.Settings.ServerModel = ""
				}
				n.Settings.Server, n.Form.Inputs.Demo = address, false
			})
			s.state.unsuited = true
			s.recheck("device")
		})
	})
}

// serverAddress is what a person means by an address.
func serverAddress(text string) string {
	text = strings.TrimRight(strings.TrimSpace(text), "/")
	if text != "" && !strings.Contains(text, "://") {
		text = "http://" + text
	}
	return text
}

// SetServerModel chooses one of the server's models.
func (s *Studio) SetServerModel(name string) {
	s.userChange(func(n *Snapshot) {
		s.suit(n, func() { n.Settings.ServerModel, n.Form.Inputs.Demo = name, false })
		_, known := s.inspected(n, s.usesDemo(n))
		s.state.unsuited = !known
	})
}

// How often a server is looked at: while it is away, and while it is there.
const (
	awayPause = 5 * time.Second
	herePause = 30 * time.Second
)

// checkDevice opens the device of the machine that makes the form's video, or looks at it
// again.
func (s *Studio) checkDevice(n *Snapshot) {
	server := s.server(n)
	s.check("device", server, immediate, func(ctx context.Context) func(*Snapshot) {
		dev, names, err := s.lookAt(ctx, server)
		return func(n *Snapshot) { s.deviceFound(n, server, dev, names, err) }
	})
}

// lookAt asks a server, or this machine, what it is and which models it has.
func (s *Studio) lookAt(ctx context.Context, server string) (dev engine.Device, models []string, err error) {
	e, err := s.servers.engine(server)
	if err == nil {
		dev, err = e.Device(ctx)
	}
	if lister, ok := e.(engine.Lister); ok && err == nil {
		models, err = lister.Checkpoints(ctx)
	}
	return dev, models, err
}

// deviceFound takes over what lookAt found. s.mu is held.
func (s *Studio) deviceFound(n *Snapshot, server string, dev engine.Device, models []string, err error) {
	was := n.Server
	n.Server = Server{Address: server, Models: models}
	n.Device = Device{Device: dev, Ready: err == nil}
	switch {
	case err == nil:
	case server == "":
		n.Device.Error = err.Error()
		s.o.Log.Error("opening the device", "err", err)
	default:
		n.Server.Error = err.Error()
		if was.Error == "" || was.Address != server {
			s.o.Log.Warn("asking a server", "server", server, "err", err)
		}
	}
	if server == "" {
		return
	}
	if n.Settings.ServerModel == "" && len(models) > 0 {
		s.suit(n, func() { n.Settings.ServerModel = models[0] })
		s.state.unsuited = true
	}
	if was.Address != server || (was.Error == "") != (err == nil) || len(was.Models) != len(models) {
		s.recheck(modelCheck(false), "estimate", "presets", "tokens", "loras")
	}
	pause := herePause
	if err != nil {
		pause = awayPause
	}
	if s.closed {
		return
	}
	s.tasks.Go(func() {
		select {
		case <-s.life.Done():
		case <-time.After(pause):
			s.change(func(n *Snapshot) {
				if s.server(n) == server {
					s.recheck("device")
				}
			})
		}
	})
}

// goOn follows the runs once more that servers went on with while this program was closed.
func (s *Studio) goOn() {
	for _, e := range s.lib.Search("") {
		if e.Settings.Server != "" && e.State == library.Interrupted && e.CanResume() {
			s.queue.Resume(e.ID)
		}
	}
}
