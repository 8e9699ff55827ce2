// Package broker runs a NATS server with JetStream inside the program, for those who have
// none. Clients of the same process reach it without a port; workers on other machines only
// when it is told to listen, with a token and TLS.
package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Options say how the server runs.
type Options struct {
	Dir      string // for JetStream's files
	MaxBytes int64  // of them; 0 for three quarters of the disk's free space
	// Listen is the address for workers on other machines; "" for none.
	Listen string
	Token  string // that they give
	// TLS is the server's certificate and key; without it nothing but loopback is listened on.
	TLS *tls.Config
}

// Broker is a running server.
type Broker struct {
	s     *server.Server
	token string
}

// startTime is how long the server may take to read what it has.
const startTime = time.Minute

// Start starts the server. It refuses to listen beyond loopback without a token and TLS.
func Start(o Options) (*Broker, error) {
	options := &server.Options{
		ServerName: "gimbal", JetStream: true, StoreDir: o.Dir, JetStreamMaxStore: o.MaxBytes, DontListen: o.Listen == "",
		NoSigs: true, NoLog: true, SyncInterval: 10 * time.Second, MaxPayload: 1 << 20,
		Authorization: o.Token, TLSConfig: o.TLS, TLS: o.TLS != nil, TLSTimeout: 5,
	}
	if o.Listen != "" {
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return nil, fmt.Errorf("address %s: %w", o.Listen, err)
		}
		if options.Port, err = strconv.Atoi(port); err != nil || options.Port < 0 || options.Port > 65535 {
			return nil, fmt.Errorf("address %s: port %q, want a number up to 65535", o.Listen, port)
		}
		if options.Port == 0 {
			options.Port = server.RANDOM_PORT
		}
		options.Host = host
		if !Loopback(host) && (o.Token == "" || o.TLS == nil) {
			return nil, fmt.Errorf("address %s: other machines could reach it: want a token and a TLS certificate, or an address such as 127.0.0.1", o.Listen)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("the NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startTime) {
		s.Shutdown()
		return nil, errors.New("the NATS server does not start; is its folder in use, or its address taken?")
	}
	if !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("JetStream cannot use the folder %s", o.Dir)
	}
	return &Broker{s, o.Token}, nil
}

// Loopback reports whether only this machine reaches a host's name or address.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Connect connects this process to the server.
func (b *Broker) Connect(options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect("", append(options, nats.InProcessServer(b.s), nats.Token(b.token))...)
}

// URL returns where workers find the server; "" if it does not listen.
func (b *Broker) URL() string {
	if b.s.Addr() == nil {
		return ""
	}
	return b.s.ClientURL()
}

// Works reports whether the server keeps jobs: it gives up when its disk is full.
func (b *Broker) Works() bool { return b.s.JetStreamEnabled() }

// Stop ends the server. What it holds is on disk.
func (b *Broker) Stop() {
	b.s.Shutdown()
	b.s.WaitForShutdown()
}

// ReadTLS reads a certificate and its key in PEM.
func ReadTLS(certificate, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// ReadCA reads certificates in PEM that clients trust.
func ReadCA(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in it", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
