package examples_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serving is the address in the line in which a server says that it serves.
func (s *server) serving(before string) string {
	s.t.Helper()
	_, rest, ok := strings.Cut(s.output(), before+" ")
	if !ok {
		s.t.Fatalf("no %q in:\n%s", before, s.output())
	}
	return strings.Fields(rest)[0]
}

// directory has a large file, a small one, an empty one and one outside of it.
func directory(t *testing.T) (dir string, large []byte) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "public")
	large = make([]byte, 20<<20+123)
	rand.Read(large)
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"public/large": large,
		"public/sub/hello.html": []byte("hello"), "public/empty": nil, "secret": []byte("x")} {
		if err := os.WriteFile(filepath.Join(top, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	return dir, large
}

func TestFileServerWithCurl(t *testing.T) {
	curl, bin := need(t, "curl"), build(t, "file-server")
	dir, large := directory(t)
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Serving on", bin, "-addr", "127.0.0.1:0", dir)
		url := "http://" + s.serving("Serving on") + "/"
		get := func(args ...string) string {
			t.Helper()
			return run(t, nil, nil, curl, append([]string{"-sS", "--max-time", "15"}, args...)...)
		}
		sum := func(b string) string {
			h := sha256.Sum256([]byte(b))
			return hex.EncodeToString(h[:])
		}
		if sum(get(url+"large")) != sum(string(large)) {
			t.Error("the large file is not what it was")
		}
		for rng, want := range map[string]string{
			"0-0": string(large[:1]), "1000000-2999999": string(large[1000000:3000000]),
			"20971000-": string(large[20971000:]), "-77": string(large[len(large)-77:]),
		} {
			if got := get("-r", rng, url+"large"); sum(got) != sum(want) {
				t.Errorf("range %s: %d bytes, want %d", rng, len(got), len(want))
			}
		}
		contains(t, get("-i", "-r", "5-9", url+"large"), "206 Partial Content",
			fmt.Sprintf("Content-Range: bytes 5-9/%d", len(large)))
		contains(t, get("-i", "-r", "99999999-", url+"large"), "416 Range")
		contains(t, get("-I", url+"large"), fmt.Sprintf("Content-Length: %d", len(large)))
		contains(t, get("-i", url+"empty"), "200 OK", "Content-Length: 0")
		contains(t, get("-i", url+"nothing"), "404 Not Found")
		contains(t, get("-i", url+"sub"), "404 Not Found")
		contains(t, get("-i", url+"link"), "404 Not Found")
		contains(t, get("-i", "--path-as-is", url+"../secret"), "404 Not Found")
		contains(t, get("-i", "-d", "x=1", url+"large"), "400 Bad Request")
		contains(t, get("-i", "-X", "DELETE", url+"large"), "405 Method Not Allowed")
		// One connection for all three.
		contains(t, get("-v", "--stderr", "-", url+"sub/hello.html", url+"empty",
			url+"sub/hello.html"), "text/html", "hello", "Re-using existing")
	})
}

func TestFileServerAnswersPipelinedRequestsInOrder(t *testing.T) {
	bin := build(t, "file-server")
	dir, large := directory(t)
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Serving on", bin, "-addr", "127.0.0.1:0", dir)
		conn, err := net.Dial("tcp", s.serving("Serving on"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(waitTimeout))
		fmt.Fprint(conn, "GET /large HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\n"+
			"GET /sub/hello.html HTTP/1.1\r\n\r\n")
		conn.(*net.TCPConn).CloseWrite()
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Error(err)
		}
		head, rest, _ := bytes.Cut(all, []byte("\r\n\r\n"))
		contains(t, string(head), "200 OK")
		if !bytes.HasPrefix(rest, large) {
			t.Fatal("the large file is not what it was")
		}
		rest = rest[len(large):]
		contains(t, string(rest), "404 Not Found", "text/html")
		if !bytes.HasSuffix(rest, []byte("hello")) {
			t.Errorf("it ends with %q", rest[max(0, len(rest)-20):])
		}
	})
}

// A server without descriptors left lives on, and serves again when there are some. The
// runtime would end it if it had to make its poller only then.
func TestFileServerLivesOnWithoutDescriptors(t *testing.T) {
	sh, bin := need(t, "sh"), build(t, "file-server")
	dir, _ := directory(t)
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Serving on", sh, "-c", `ulimit -n 40; exec "$@"`, "sh", bin,
			"-addr", "127.0.0.1:0", dir)
		addr := s.serving("Serving on")
		var conns []net.Conn
		for range 60 {
			conns = append(conns, dial(t, addr))
		}
		s.expect("too many open files")
		if got := ask(conns[0]); got != "HTTP/1.1 200" && got != "HTTP/1.1 503" {
			t.Fatalf("answer %q while there are none\n%s", got, s.output())
		}
		for _, conn := range conns {
			conn.Close()
		}
		// It takes a moment until those are gone.
		for end := time.Now().Add(waitTimeout); ; {
			conn := dial(t, addr)
			got := ask(conn)
			conn.Close()
			if got == "HTTP/1.1 200" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("it does not serve any more: %q\n%s", got, s.output())
			}
		}
	})
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(waitTimeout))
	return conn
}

// ask asks for the empty file and returns how the answer begins.
func ask(conn net.Conn) string {
	fmt.Fprint(conn, "GET /empty HTTP/1.1\r\n\r\n")
	answer := make([]byte, len("HTTP/1.1 200"))
	n, _ := io.ReadFull(conn, answer)
	return string(answer[:n])
}
