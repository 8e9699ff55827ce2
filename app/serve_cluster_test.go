package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

// natsCluster starts three nats-servers with JetStream and returns them with their addresses.
func natsCluster(t *testing.T) (servers []*exec.Cmd, addresses []string) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "nats-server")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	clients, peers := freePorts(t, 3), freePorts(t, 3)
	var routes []string
	for _, port := range peers {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	for i := range 3 {
		config := filepath.Join(t.TempDir(), "nats.conf")
		text := fmt.Sprintf("server_name: %c\nlisten: 127.0.0.1:%d\njetstream { store_dir: %q }\ncluster { name: gimbal, listen: 127.0.0.1:%d, routes: [%s] }\n",
			'a'+i, clients[i], t.TempDir(), peers[i], strings.Join(routes, ", "))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, "-c", config)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		servers, addresses = append(servers, cmd), append(addresses, fmt.Sprintf("nats://127.0.0.1:%d", clients[i]))
	}
	return servers, addresses
}

// TestServeCluster keeps jobs on three nats-servers, of which one is killed while videos are
// made: all come out, each with the bits of one that nobody disturbed.
func TestServeCluster(t *testing.T) {
	measuring(t) // it builds nats-server, and takes minutes on a busy machine
	demo := serviceHome(t)
	want := [3]string{alone(t, demo, 0), alone(t, demo, 1), alone(t, demo, 2)}
	servers, addresses := natsCluster(t)
	began := time.Now()
	common := []string{"--nats", strings.Join(addresses, ","), "--replicas", "3", "--lease", "3s"}
	store := t.TempDir()
	server, lines := startCluster(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--store", store, "--workers", "0"}, common...))
	url := strings.TrimPrefix(lines[0], "listening on ")
	for i := range 2 {
		startProcess(t, 1, append([]string{"worker", "--store", filepath.Join(store, fmt.Sprint("worker", i))}, common...)...)
	}
	t.Logf("the server is there after %v", time.Since(began))
	ids := map[string]int{submitWhenReady(t, url, demo, 0): 0}
	for n := 1; n < number("GIMBAL_SERVICE_JOBS", 8); n++ {
		ids[submit(t, url, filepath.Join(demo.Pictures, "meadow.png"), n%3)] = n % 3
	}
	eventually(t, server, "a video", func() bool {
		for id := range ids {
			if v, err := lookAt(url, id); err == nil && v.Status == "done" {
				return true
			}
		}
		return false
	})
	t.Logf("one video after %v", time.Since(began))
	servers[0].Process.Kill()
	for id, seed := range ids {
		v := awaitVideo(t, server, url, id)
		t.Logf("%s after %v, attempt %d", id, time.Since(began), v.Attempt)
		if v.SHA256 != want[seed] {
			t.Errorf("job %s: the video's hash is %s, undisturbed it is %s", id, v.SHA256, want[seed])
		}
	}
}

// startCluster starts a server as soon as the cluster has found itself.
func startCluster(t *testing.T, args []string) (*process, []string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Second) {
		p, lines, err := tryProcess(t, 1, args...)
		if err == nil {
			return p, lines
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
