package examples_test

import (
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUDPEchoServerAndClient(t *testing.T) {
	serverBin, clientBin := build(t, "udp-echo-server"), build(t, "udp-echo-client")
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Starting UDP server", serverBin)
		udpReady(t)
		for range 3 {
			contains(t, run(t, env, nil, clientBin), "Send: Hello World!",
				"Received: Hello World!", "Close the socket", "Socket closed")
			s.expect(`Received "Hello World!" from 127.0.0.1:`)
			s.expect(`Send "Hello World!" to 127.0.0.1:`)
		}
		s.end()
	})
}

// udpReady waits until somebody answers at the server's port: it says that it
// starts before it is bound.
func udpReady(t *testing.T) {
	t.Helper()
	conn := dialUDP(t, "127.0.0.1:9999")
	defer conn.Close()
	answered(t, conn)
}

// end interrupts the server and waits for its end.
func (s *server) end() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	for range s.lines {
	}
	if out := s.output(); strings.Contains(out, "panic") {
		s.t.Errorf("the server ended badly:\n%s", out)
	}
}

func TestUDPEchoServerWithNetcat(t *testing.T) {
	nc, bin := need(t, "nc"), build(t, "udp-echo-server")
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Starting UDP server", bin)
		udpReady(t)
		out := run(t, env, []byte("from nc\n"), nc, "-u", "-w1", "127.0.0.1", "9999")
		contains(t, out, "from nc\n")
		s.expect(`Received "from nc\n"`)
	})
}

func TestUDPEchoServerWithSocat(t *testing.T) {
	socat, bin := need(t, "socat"), build(t, "udp-echo-server")
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Starting UDP server", bin)
		udpReady(t)
		out := run(t, env, []byte("from socat\n"), socat, "-t0.5", "-", "UDP:127.0.0.1:9999")
		contains(t, out, "from socat\n")
		s.expect(`Received "from socat\n"`)
	})
}

func TestUDPEchoClientSaysThatNobodyIsThere(t *testing.T) {
	bin := build(t, "udp-echo-client")
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Error received:", bin)
		contains(t, s.output(), "connection refused", "127.0.0.1:9999")
	})
}

func TestUDPEchoServerSaysThatThePortIsInUse(t *testing.T) {
	bin := build(t, "udp-echo-server")
	engines(t, func(t *testing.T, env []string) {
		start(t, env, "Starting UDP server", bin)
		udpReady(t)
		cmd := exec.Command(bin)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("two servers on one port: %s", out)
		}
		contains(t, string(out), "address already in use", "127.0.0.1:9999")
	})
}

func dialUDP(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// answered sends until there is an answer.
func answered(t *testing.T, conn net.Conn) {
	t.Helper()
	reply := make([]byte, 16)
	for deadline := time.Now().Add(waitTimeout); time.Now().Before(deadline); {
		if _, err := conn.Write([]byte("ready?")); err != nil {
			continue // refused: the error of the datagram before
		}
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := conn.Read(reply); err == nil {
			return
		}
	}
	t.Fatal("nobody answers")
}
