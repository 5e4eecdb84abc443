package examples_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// behind serves one connection with f and returns the address.
func behind(t *testing.T, f func(c *net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(waitTimeout))
			f(c.(*net.TCPConn))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// through connects to a proxy.
func through(t *testing.T, s *server) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", s.serving("Proxying"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(waitTimeout))
	return c.(*net.TCPConn)
}

// rss is how much memory of a process is resident.
func (s *server) rss() int {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// The client's EOF reaches the server, whose answer still reaches the client.
func TestProxyPassesHalfCloseThrough(t *testing.T) {
	bin := build(t, "tcp-proxy")
	engines(t, func(t *testing.T, env []string) {
		target := behind(t, func(c *net.TCPConn) {
			h := sha256.New()
			io.Copy(h, c) // to the end
			fmt.Fprintf(c, "%x", h.Sum(nil))
		})
		s := start(t, env, "Proxying", bin, "127.0.0.1:0", target)
		c := through(t, s)
		data := make([]byte, 8<<20)
		rand.Read(data)
		if _, err := c.Write(data); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if want := fmt.Sprintf("%x", sha256.Sum256(data)); string(got) != want || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A reader who stalls stops the writer at the other end; the proxy holds little.
func TestProxyIsBoundedByAStalledReader(t *testing.T) {
	bin := build(t, "tcp-proxy")
	engines(t, func(t *testing.T, env []string) {
		const all = 96 << 20
		target := behind(t, func(c *net.TCPConn) {
			block := make([]byte, 1<<20)
			for range all / len(block) {
				if _, err := c.Write(block); err != nil {
					t.Error(err)
					return
				}
			}
		})
		s := start(t, env, "Proxying", bin, "127.0.0.1:0", target)
		before := s.rss()
		c := through(t, s)
		if _, err := io.ReadFull(c, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		// Nothing more is read until all that can move has moved: the writer, who
		// has four times as much as fits anywhere, is stopped by then.
		settle(t, s)
		if grown := s.rss() - before; grown > 16<<20 {
			t.Errorf("the proxy has grown by %d KiB", grown>>10)
		}
		n, err := io.Copy(io.Discard, c)
		if n != all-1<<20 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// settle waits until a process uses no processor time any more.
func settle(t *testing.T, s *server) {
	t.Helper()
	stat := func() string {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text))
		return fields[13] + " " + fields[14]
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	last, same := stat(), 0
	for deadline := time.Now().Add(waitTimeout); same < 4 && time.Now().Before(deadline); {
		<-tick.C
		now := stat()
		if same++; now != last {
			same = 0
		}
		last = now
	}
}

func TestProxyTellsTheClientThatNobodyIsThere(t *testing.T) {
	bin := build(t, "tcp-proxy")
	engines(t, func(t *testing.T, env []string) {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		free.Close()
		s := start(t, env, "Proxying", bin, "127.0.0.1:0", free.Addr().String())
		// The proxy may break the connection before the client has seen it made.
		c, err := net.Dial("tcp", s.serving("Proxying"))
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		if err == nil {
			defer c.Close()
			c.SetDeadline(time.Now().Add(waitTimeout))
			if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("%d, %v", n, err)
			}
		}
		contains(t, s.expect("refused"), "127.0.0.1")
	})
}

// A connection that breaks is broken for the other side too, not ended in order.
func TestProxyPassesResetsThrough(t *testing.T) {
	bin := build(t, "tcp-proxy")
	engines(t, func(t *testing.T, env []string) {
		gone := make(chan error, 1)
		target := behind(t, func(c *net.TCPConn) {
			io.WriteString(c, "hello")
			_, err := io.CopyN(io.Discard, c, 1)
			if err == nil { // the client would have this one break it
				c.SetLinger(0)
			}
			gone <- err
		})
		s := start(t, env, "Proxying", bin, "127.0.0.1:0", target)
		for _, byServer := range []bool{false, true} {
			c := through(t, s)
			if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			if byServer {
				io.WriteString(c, "!")
				_, err := c.Read(make([]byte, 1))
				if <-gone; !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("the client was told %v", err)
				}
				continue
			}
			c.SetLinger(0)
			c.Close()
			if err := <-gone; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the server was told %v", err)
			}
		}
	})
}

func TestProxyTerminatesTLS(t *testing.T) {
	curl, openssl := need(t, "curl"), need(t, "openssl")
	bin, files := build(t, "tcp-proxy"), build(t, "file-server")
	dir, large := directory(t)
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	run(t, nil, nil, openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt",
		"ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
		"-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
	engines(t, func(t *testing.T, env []string) {
		f := start(t, env, "Serving on", files, "-addr", "127.0.0.1:0", dir)
		s := start(t, env, "Proxying", bin, "-tls", "-cert", cert, "-key", key,
			"127.0.0.1:0", f.serving("Serving on"))
		_, port, _ := net.SplitHostPort(s.serving("Proxying"))
		got := run(t, nil, nil, curl, "-sS", "--max-time", "15", "--cacert", cert,
			"--resolve", "localhost:"+port+":127.0.0.1", "https://localhost:"+port+"/large")
		if !bytes.Equal([]byte(got), large) {
			t.Errorf("%d bytes of %d, or other ones", len(got), len(large))
		}
		io.WriteString(through(t, s), "GET / HTTP/1.0\r\n\r\n") // who knows nothing of TLS
		contains(t, s.expect("does not look like a TLS handshake"), "127.0.0.1:")
	})
}

func TestProxyWithNetcatAndSocat(t *testing.T) {
	nc, socat, bin := need(t, "nc"), need(t, "socat"), build(t, "tcp-proxy")
	engines(t, func(t *testing.T, env []string) {
		target := behind(t, func(c *net.TCPConn) { io.Copy(c, c) })
		s := start(t, env, "Proxying", bin, "127.0.0.1:0", target)
		host, port, _ := net.SplitHostPort(s.serving("Proxying"))
		contains(t, run(t, nil, []byte("from nc\n"), nc, "-N", host, port), "from nc\n")
		contains(t, run(t, nil, []byte("from socat\n"), socat, "-t5", "-",
			"TCP:"+host+":"+port), "from socat\n")
	})
}
