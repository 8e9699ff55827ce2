package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// freePorts returns ports of loopback that nobody listens at now.
func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// natsVariable names the configuration of the NATS server that this test's binary is to be.
const natsVariable = "GIMBAL_TEST_NATS"

// runNATS is a NATS server, as nats-server would be, until it is killed.
func runNATS(config string) {
	options, err := natsserver.ProcessConfigFile(config)
	var s *natsserver.Server
	if err == nil {
		s, err = natsserver.NewServer(options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the NATS server:", err)
		os.Exit(1)
	}
	s.Start()
	s.WaitForShutdown()
	os.Exit(0)
}

// natsCluster starts three NATS servers with JetStream and returns them with their addresses.
func natsCluster(t *testing.T) (servers []*exec.Cmd, addresses []string) {
	t.Helper()
	clients, peers := freePorts(t, 3), freePorts(t, 3)
	var routes []string
	for _, port := range peers {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range 3 {
		config := filepath.Join(t.TempDir(), "nats.conf")
		text := fmt.Sprintf("server_name: %c\nlisten: 127.0.0.1:%d\njetstream { store_dir: %q }\ncluster { name: gimbal, listen: 127.0.0.1:%d, routes: [%s], ping_interval: 5s, ping_max: 2 }\n",
			'a'+i, clients[i], t.TempDir(), peers[i], strings.Join(routes, ", "))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), natsVariable+"="+config)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		servers, addresses = append(servers, cmd), append(addresses, fmt.Sprintf("nats://127.0.0.1:%d", clients[i]))
	}
	for _, address := range addresses {
		eventually(t, nil, address, func() bool {
			nc, err := nats.Connect(address)
			if err == nil {
				nc.Close()
			}
			return err == nil
		})
	}
	return servers, addresses
}

// TestServeCluster keeps jobs on three NATS servers, of which the one that leads is killed while
// videos are made: all come out, each with the bits of one that nobody disturbed, and so does
// one that is asked for meanwhile.
func TestServeCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for an election")
	}
	loseServer(t, syscall.SIGKILL)
}

// TestServeFrozen is TestServeCluster for a server that is there and says nothing, as a machine
// that was switched off.
func TestServeFrozen(t *testing.T) {
	measuring(t)
	loseServer(t, syscall.SIGSTOP)
}

func loseServer(t *testing.T, how syscall.Signal) {
	t.Helper()
	demo := serviceHome(t)
	want := [3]string{alone(t, demo, 0), alone(t, demo, 1), alone(t, demo, 2)}
	servers, addresses := natsCluster(t)
	common := []string{"--nats", strings.Join(addresses, ","), "--replicas", "3", "--lease", "3s"}
	store := t.TempDir()
	server, lines := startProcess(t, 1, append([]string{"serve", "--listen", "127.0.0.1:0", "--store", store, "--workers", "0"}, common...)...)
	url := strings.TrimPrefix(lines[0], "listening on ")
	var logs []*process
	for i := range 2 {
		w, _ := startProcess(t, 1, append([]string{"worker", "--store", filepath.Join(store, fmt.Sprint("worker", i))}, common...)...)
		logs = append(logs, w)
	}
	ids := map[string]int{submitWhenReady(t, url, demo, 0): 0}
	more := func(until int) {
		for len(ids) < until {
			n := len(ids)
			ids[submit(t, url, filepath.Join(demo.Pictures, "meadow.png"), n%3)] = n % 3
		}
	}
	jobs := number("GIMBAL_SERVICE_JOBS", 6)
	more(jobs - 1)
	eventually(t, server, "a video", func() bool {
		for id := range ids {
			if v, err := lookAt(url, id); err == nil && v.Status == "done" {
				return true
			}
		}
		return false
	})
	if err := servers[leader(t, addresses)].Process.Signal(how); err != nil {
		t.Fatal(err)
	}
	lost := time.Now()
	more(jobs)
	taken, attempts := time.Since(lost), 0
	for id, seed := range ids {
		v := awaitVideo(t, server, url, id)
		if v.SHA256 != want[seed] {
			t.Errorf("job %s: the video's hash is %s, undisturbed it is %s", id, v.SHA256, want[seed])
		}
		attempts += v.Attempt
	}
	t.Logf("a server was lost: a job is taken after %.1f s, all %d are done after %.1f s, in %d attempts", taken.Seconds(), jobs, time.Since(lost).Seconds(), attempts)
	if t.Failed() {
		for _, w := range logs {
			w.kill()
			t.Log(w.errs)
		}
	}
}

// leader returns which of the servers answers for the records of jobs.
func leader(t *testing.T, addresses []string) int {
	t.Helper()
	nc, err := nats.Connect(strings.Join(addresses, ","))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_gimbal_jobs")
	if err != nil {
		t.Fatal(err)
	}
	return int(stream.CachedInfo().Cluster.Leader[0] - 'a')
}
