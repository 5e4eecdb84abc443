package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

// asForger has the servers of the test's program be forgers.
const asForger = "SLUICE_BENCH_TEST_AS_FORGER"

// A forger echoes, but for one byte of each connection.
type forger struct{}

const forgedByte = 2*64 + 7

func (forger) Name() string { return "epoll" }

func (forger) Serves(mode contest.Mode) bool { return mode == contest.Echo }

func (forger) Serve(task contest.Task, ready func(contest.Hello)) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ready(contest.Hello{Addr: listener.Addr().String()})
	for {
		c, err := listener.Accept()
		if err != nil {
			return err
		}
		task.Page.Conns.Add(1)
		go forge(c)
	}
}

func forge(c net.Conn) {
	buf := make([]byte, contest.BlockSize)
	for pos := 0; ; {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if at := forgedByte - pos; at >= 0 && at < n {
			buf[at] ^= 1
		}
		pos += n
		c.Write(buf[:n])
	}
}

func TestAWrongByteEndsTheRunWithWhoseItWas(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "forger")
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asForger, self)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	_, stderr, err := bench(t, "-smoke", "-engine", "epoll", "-other", "forged="+program,
		"-workload", "^echo/64/1$", "-o", "")
	want := fmt.Sprintf("echo/64/1, sluice epoll, forged: load: bytes differ from those that "+
		"were due: connection 0, byte %d of", forgedByte)
	if err == nil || !strings.Contains(stderr, want) {
		t.Errorf("the run ended with %v, want status 1 and %q:\n%s", err, want, stderr)
	}
}
