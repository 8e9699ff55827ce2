package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/output"
	"gimbal/inference/service/api"
	"gimbal/inference/service/broker"
	"gimbal/inference/service/jobs"
	"gimbal/inference/service/worker"
)

// serving holds the flags of serve and worker.
type serving struct {
	nats, token, creds, ca string // where the jobs are
	replicas               int
	lease                  time.Duration
	store                  string
	models                 modelFlags
	loras                  string // folder
	workers                int
	device                 deviceChoice

	listen, users            string
	certificate, key         string
	natsListen               string
	natsCertificate, natsKey string
	storeLimit, uploadLimit  size
	keep                     time.Duration
}

// modelFlags are the checkpoints of --model NAME=DIR.
type modelFlags []worker.Checkpoint

func (m *modelFlags) String() string { return "" }

func (m *modelFlags) Set(text string) error {
	name, dir, ok := strings.Cut(text, "=")
	if !ok || name == "" || dir == "" {
		return fmt.Errorf("%q, want NAME=FOLDER", text)
	}
	for _, c := range *m {
		if c.Name == name {
			return fmt.Errorf("%q: there are two models of this name", name)
		}
	}
	*m = append(*m, worker.Checkpoint{Name: name, Dir: dir})
	return nil
}

func (s *serving) common(fs *flag.FlagSet, store string) {
	fs.StringVar(&s.nats, "nats", "", "`addresses` of NATS servers with JetStream, separated by commas, such as nats://studio:4222")
	fs.StringVar(&s.token, "nats_token_file", "", "`file` with the token for the NATS servers")
	fs.StringVar(&s.creds, "nats_creds", "", "`file` with credentials for the NATS servers")
	fs.StringVar(&s.ca, "nats_ca", "", "PEM `file` with the certificates to trust of NATS servers")
	fs.IntVar(&s.replicas, "replicas", 1, "on how many servers of a NATS cluster everything is kept: the same `number` for all, 3 for a cluster of three")
	fs.DurationVar(&s.lease, "lease", 30*time.Second, "how long a worker may be silent before another one goes on with its job: the same `time` for all")
	fs.StringVar(&s.store, "store", store, "`folder` for what is kept between starts")
	fs.Var(&s.models, "model", "a checkpoint as `NAME=FOLDER`, by the name that jobs ask for it; may be given several times. The demo model is always there, as demo")
	pathVar(fs, &s.loras, "loras", "`folder` with LoRA files, which jobs ask for by their names")
	deviceFlags(fs, &s.device)
}

// loraFiles are the files in --loras by their names.
func (s *serving) loraFiles() (map[string]string, error) {
	files := map[string]string{}
	if s.loras == "" {
		return files, nil
	}
	entries, err := os.ReadDir(s.loras)
	if err != nil {
		return nil, usagef("--loras: %w", err)
	}
	for _, entry := range entries {
		path := filepath.Join(s.loras, entry.Name())
		if kind, _, err := engine.Classify(path); err == nil && kind == engine.KindLoRA {
			files[entry.Name()] = path
		}
	}
	if len(files) == 0 {
		return nil, usagef("--loras: there is no LoRA in %s", s.loras)
	}
	return files, nil
}

// serviceDir is the default of --store.
func serviceDir(name string) string {
	if dir, err := os.UserConfigDir(); err == nil {
		return filepath.Join(dir, "Gimbal", name)
	}
	return ""
}

func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s serving
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	s.common(fs, serviceDir("service"))
	fs.StringVar(&s.listen, "listen", "127.0.0.1:7860", "`address` of the API and of its page")
	fs.IntVar(&s.workers, "workers", 1, "`number` of workers in this process; 0 to leave the work to 'gimbal worker'")
	fs.StringVar(&s.users, "api_keys", "", "`file` with a line for each user: name, key and, if wanted, how many jobs may wait or run at once")
	fs.StringVar(&s.certificate, "tls_cert", "", "PEM `file` with the API's certificate; none for plain HTTP, as behind a proxy")
	fs.StringVar(&s.key, "tls_key", "", "PEM `file` with its key")
	fs.StringVar(&s.natsListen, "nats_listen", "", "`address` at which workers on other machines reach the NATS server in this process, such as 0.0.0.0:4222; none for only this process")
	fs.StringVar(&s.natsCertificate, "nats_cert", "", "PEM `file` with the certificate of the NATS server in this process")
	fs.StringVar(&s.natsKey, "nats_key", "", "PEM `file` with its key")
	fs.Var(&s.storeLimit, "store_limit", "most that pictures, states and videos may take on disk, in `bytes`, or as 200GB; 0 for three quarters of what is free")
	fs.Var(&s.uploadLimit, "upload_limit", "largest request, in `bytes`, or as 64MB; 0 for 64MB")
	fs.DurationVar(&s.keep, "keep", 30*24*time.Hour, "how long videos are kept after they are done, as a `time` such as 720h")
	if err := parse(fs, args, stdout); err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return err
	}
	return s.serve(ctx, stdout, stderr)
}

// checkCommon says which of the common flags have a value that cannot be.
func (s *serving) checkCommon() error {
	switch {
	case s.lease < time.Second:
		return usagef("--lease %v: want 1s or more", s.lease)
	case s.replicas < 1:
		return usagef("--replicas %d: want 1 or more", s.replicas)
	}
	return nil
}

// check is checkCommon for all flags of serve.
func (s *serving) check() error {
	if err := s.checkCommon(); err != nil {
		return err
	}
	switch {
	case s.keep <= 0:
		return usagef("--keep %v: want more than 0: videos are deleted when they are as old", s.keep)
	case s.workers < 0:
		return usagef("--workers %d: want 0 or more", s.workers)
	case s.nats == "" && s.replicas > 1:
		return usagef("--replicas %d: the NATS server in this process is no cluster: want 1, or a cluster's --nats", s.replicas)
	case (s.certificate == "") != (s.key == ""):
		return usagef("--tls_cert and --tls_key: want both or none")
	}
	return nil
}

func runWorker(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var s serving
	fs := flag.NewFlagSet("worker", flag.ContinueOnError)
	s.common(fs, serviceDir("worker"))
	if err := parse(fs, args, stdout); err != nil {
		return err
	}
	if s.nats == "" {
		return usagef("--nats: none given; name the address of the NATS server that the jobs are on")
	}
	if err := s.checkCommon(); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	nc, store, err := s.open(ctx, nil, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	w, closeEngine, err := s.worker(ctx, store, 1, log)
	if err != nil {
		return err
	}
	defer closeEngine()
	fmt.Fprintf(stdout, "taking jobs from %s\n", nc.ConnectedUrlRedacted())
	return stopped(w.Run(ctx))
}

// stopped is nil for the end that was asked for.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (s *serving) serve(ctx context.Context, stdout, stderr io.Writer) (err error) {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	users, err := s.readUsers()
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.listen)
	if err != nil {
		return usagef("--listen %s: want HOST:PORT", s.listen)
	}
	if !broker.Loopback(host) && len(users) == 0 {
		return usagef("--listen %s: other machines could reach it: want --api_keys, or an address such as 127.0.0.1:7860", s.listen)
	}
	if s.store == "" {
		return usagef("--store: none given, and there is no folder of this user's own")
	}
	listener, err := s.listener()
	if err != nil {
		return err
	}
	defer listener.Close()
	var own *broker.Broker
	if s.nats == "" {
		if own, err = s.broker(); err != nil {
			return err
		}
		defer own.Stop()
	}
	nc, store, err := s.open(ctx, own, log)
	if err != nil {
		return err
	}
	defer nc.Close()
	server, err := api.New(api.Options{
		Store: store, Users: users, Temp: filepath.Join(s.store, "temp"), MaxUpload: int64(s.uploadLimit), Version: version, Log: log,
	})
	if err != nil {
		return err
	}
	var aside sync.WaitGroup
	defer aside.Wait()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if own != nil {
		aside.Go(func() { s.attend(ctx, own, stop) })
	}
	aside.Go(func() { server.Follow(ctx) })
	aside.Go(func() { s.sweep(ctx, store, log) })
	for i := range s.workers {
		w, closeEngine, err := s.worker(ctx, store, i+1, log)
		if err != nil {
			return err
		}
		aside.Go(func() {
			defer closeEngine()
			w.Run(ctx)
		})
	}
	fmt.Fprintf(stdout, "listening on %s\n", s.url(listener))
	if own != nil && own.URL() != "" {
		fmt.Fprintf(stdout, "workers: gimbal worker --nats %s%s\n", own.URL(), s.secrets())
	}
	err = s.http(ctx, listener, server)
	if failed := context.Cause(ctx); failed != nil && !errors.Is(failed, context.Canceled) {
		return failed
	}
	return err
}

// secrets are the flags with which a worker is let in.
func (s *serving) secrets() (flags string) {
	if s.token != "" {
		flags += " --nats_token_file " + filepath.Base(s.token)
	}
	if s.natsCertificate != "" {
		flags += " --nats_ca FILE"
	}
	return flags
}

// leastRoom is what the disk of the store must have left: when JetStream cannot write, it may
// not recover before it is started again.
const leastRoom = 32 << 20

// checkRoom returns an error where the disk of the store is full.
func (s *serving) checkRoom() error {
	if err := output.CheckRoom(output.Need{Folder: s.store, Bytes: leastRoom}); err != nil {
		return fmt.Errorf("--store: what it holds is safe, and 'gimbal serve' goes on with it when there is room: %w", err)
	}
	return nil
}

// attend ends the service when the disk of its store is full, or JetStream gives up.
func (s *serving) attend(ctx context.Context, own *broker.Broker, stop func(error)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.checkRoom(); err != nil {
			stop(err)
		} else if !own.Works() {
			stop(fmt.Errorf("JetStream has stopped: its folder %s cannot be written to, or is damaged", s.store))
		}
	}
}

func (s *serving) listener() (net.Listener, error) {
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	if s.certificate == "" && s.key == "" {
		return l, nil
	}
	config, err := broker.ReadTLS(s.certificate, s.key)
	if err != nil {
		l.Close()
		return nil, usagef("--tls_cert, --tls_key: %w", err)
	}
	return tls.NewListener(l, config), nil
}

func (s *serving) url(l net.Listener) string {
	if s.certificate != "" {
		return "https://" + l.Addr().String()
	}
	return "http://" + l.Addr().String()
}

// http serves until ctx ends; requests under way have a moment to end.
func (s *serving) http(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return server.Close()
	}
	return nil
}

// broker starts the NATS server of this process.
func (s *serving) broker() (*broker.Broker, error) {
	if err := s.checkRoom(); err != nil {
		return nil, err
	}
	o := broker.Options{Dir: filepath.Join(s.store, "jetstream"), MaxBytes: int64(s.storeLimit), Listen: s.natsListen}
	var err error
	if o.Token, err = readSecret(s.token); err != nil {
		return nil, err
	}
	if s.natsCertificate != "" || s.natsKey != "" {
		if o.TLS, err = broker.ReadTLS(s.natsCertificate, s.natsKey); err != nil {
			return nil, usagef("--nats_cert, --nats_key: %w", err)
		}
	}
	return broker.Start(o)
}

// open connects to the jobs: to own's, or to those of --nats.
func (s *serving) open(ctx context.Context, own *broker.Broker, log *slog.Logger) (*nats.Conn, *jobs.Store, error) {
	options := []nats.Option{nats.Name("gimbal"), nats.MaxReconnects(-1), nats.ReconnectWait(time.Second),
		nats.PingInterval(5 * time.Second), nats.MaxPingsOutstanding(2), // a machine that was switched off says nothing
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("the jobs cannot be reached; trying again", "err", err)
			}
		})}
	var nc *nats.Conn
	var err error
	if own != nil {
		nc, err = own.Connect(options...)
	} else {
		var more []nats.Option
		if more, err = s.credentials(); err == nil {
			nc, err = nats.Connect(s.nats, append(options, more...)...)
		}
	}
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, nil, fmt.Errorf("connecting to the jobs: the NATS server does not let this program in: --nats_token_file or --nats_creds has what it wants (%w)", err)
	case errors.Is(err, nats.ErrNoServers):
		return nil, nil, fmt.Errorf("connecting to the jobs: no NATS server answers at the addresses of --nats (%w)", err)
	case err != nil:
		return nil, nil, fmt.Errorf("connecting to the jobs: %w", err)
	}
	store, err := jobs.Open(ctx, nc, jobs.Options{Replicas: s.replicas, Lease: s.lease, MaxBytes: int64(s.storeLimit), Log: log})
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return nc, store, nil
}

// credentials are what the NATS servers of --nats want to see.
func (s *serving) credentials() (options []nats.Option, err error) {
	token, err := readSecret(s.token)
	if err != nil {
		return nil, err
	}
	if token != "" {
		options = append(options, nats.Token(token))
	}
	if s.creds != "" {
		options = append(options, nats.UserCredentials(s.creds))
	}
	if s.ca != "" {
		config, err := broker.ReadCA(s.ca)
		if err != nil {
			return nil, usagef("--nats_ca: %w", err)
		}
		options = append(options, nats.Secure(config))
	}
	return options, nil
}

func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", usagef("--nats_token_file: %w", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return "", usagef("--nats_token_file: there is nothing in %s", file)
	}
	return strings.TrimSpace(string(text)), nil
}

// worker makes the n'th worker of this process.
func (s *serving) worker(ctx context.Context, store *jobs.Store, n int, log *slog.Logger) (*worker.Worker, func() error, error) {
	local := engine.NewLocal(engine.Options{Log: log, Open: func(context.Context) (device.Device, error) {
		return s.device.open(func(text string) { log.Info(text) })
	}})
	demo, err := unpackDemo()
	if err != nil {
		return nil, nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	loras, err := s.loraFiles()
	if err != nil {
		return nil, nil, err
	}
	name := fmt.Sprintf("%s-%d-%d", host, os.Getpid(), n)
	w, err := worker.New(ctx, worker.Options{
		Engine: local, Store: store, Models: append([]worker.Checkpoint{{Name: "demo", Dir: demo.Checkpoint}}, s.models...),
		LoRAs: loras, Dir: filepath.Join(s.store, "runs", name), Name: name, Log: log.With("worker", name),
	})
	if err != nil {
		return nil, nil, errors.Join(err, local.Close())
	}
	return w, local.Close, nil
}

// sweep mends what lost power may have left, and forgets old jobs and their files, every now and then.
func (s *serving) sweep(ctx context.Context, store *jobs.Store, log *slog.Logger) {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		if err := errors.Join(store.Mend(ctx), store.Sweep(ctx, time.Now().Add(-s.keep))); err != nil && ctx.Err() == nil {
			log.Warn("sweeping", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// readUsers reads --api_keys.
func (s *serving) readUsers() (users []api.User, err error) {
	if s.users == "" {
		return nil, nil
	}
	f, err := os.Open(s.users)
	if err != nil {
		return nil, usagef("--api_keys: %w", err)
	}
	defer f.Close()
	seen := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 2 || len(words) > 3 || len(words[1]) < 16 {
			return nil, usagef("--api_keys: %s: %q has a line that is not: name, a key of at least 16 characters and, if wanted, a number of jobs", s.users, words[0])
		}
		u := api.User{Name: words[0], Key: words[1]}
		if len(words) == 3 {
			if u.Limit, err = strconv.Atoi(words[2]); err != nil || u.Limit < 1 {
				return nil, usagef("--api_keys: %s: %q may have %q jobs, want a number of 1 or more", s.users, u.Name, words[2])
			}
		}
		if seen[u.Name] || seen[u.Key] {
			return nil, usagef("--api_keys: %s: %q or its key is there twice", s.users, u.Name)
		}
		seen[u.Name], seen[u.Key] = true, true
		users = append(users, u)
	}
	if len(users) == 0 {
		return nil, usagef("--api_keys: there is nobody in %s", s.users)
	}
	return users, nil
}
