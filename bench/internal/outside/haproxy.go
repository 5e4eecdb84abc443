package outside

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// HAProxy is HAProxy in TCP mode on one thread. It needs HAProxy.
type HAProxy struct {
	// Splice has it move bytes by splice(2) where that seems to pay, which its
	// manual has one ask for: "option splice-auto".
	Splice bool
}

// The names that it is asked for by.
const (
	HAProxyName       = "haproxy"
	HAProxySpliceName = "haproxy-splice"
)

// Name returns "haproxy" or "haproxy-splice".
func (h HAProxy) Name() string {
	if h.Splice {
		return HAProxySpliceName
	}
	return HAProxyName
}

// Serves is true of proxies.
func (HAProxy) Serves(mode contest.Mode) bool { return mode == contest.Relay }

// configuration is all of HAProxy's. Timeouts are what it warns of if they are
// missing; the listening socket is inherited.
const configuration = `
global
	nbthread 1
defaults
	mode tcp
	timeout connect 10s
	timeout client 1h
	timeout server 1h
%s
frontend in
	bind fd@3
	default_backend out
backend out
	server target %s
`

// Serve runs HAProxy in the foreground.
func (h HAProxy) Serve(task contest.Task, ready func(contest.Hello)) error {
	path, version, err := find()
	if err != nil {
		return err
	}
	listener, addr, err := listen()
	if err != nil {
		return err
	}
	defer listener.Close()
	option := ""
	if h.Splice {
		option = "\toption splice-request\n\toption splice-response"
	}
	cmd := exec.Command(path, "-db", "-f", "/dev/stdin")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(configuration, option, task.Target))
	cmd.ExtraFiles = []*os.File{listener}
	return serve(cmd, func(*program) (contest.Hello, error) {
		return contest.Hello{Addr: addr, Note: version + ", mode tcp, nbthread 1"}, nil
	}, ready)
}

// find returns where HAProxy is and which one.
func find() (path, version string, err error) {
	if path, err = exec.LookPath("haproxy"); err != nil {
		return "", "", fmt.Errorf("HAProxy is not installed: %w", err)
	}
	out, err := exec.Command(path, "-v").Output()
	if err != nil {
		return "", "", fmt.Errorf("haproxy -v: %w", err)
	}
	words := strings.Fields(string(out))
	return path, strings.Join(words[:min(3, len(words))], " "), nil
}

// listen returns a listening socket for HAProxy to inherit: so its address is
// known, and no connection is refused before it runs.
func listen() (*os.File, string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	return f, l.Addr().String(), err
}
