package tls_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// openssl starts the program, which is killed at the end of the test.
func openssl(t *testing.T, args ...string) (in io.WriteCloser, out io.Reader, wait func() error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl")
	}
	cmd := exec.Command(path, args...)
	in, err = cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err = cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var complaint error
	waited := make(chan struct{})
	ended := func() error {
		in.Close()
		select {
		case <-waited:
		default:
			complaint = cmd.Wait()
			close(waited)
		}
		return complaint
	}
	timer := time.AfterFunc(looptest.WaitTimeout, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		timer.Stop()
		_ = cmd.Process.Kill()
		_ = ended()
	})
	return in, out, ended
}

// pemFile writes what the test certificate or the authority is to a file.
func pemFile(t *testing.T, blocks map[string][]byte) string {
	t.Helper()
	var b bytes.Buffer
	for kind, der := range blocks {
		if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// readUntil reads until want has come.
func readUntil(t *testing.T, r io.Reader, want string) string {
	t.Helper()
	var got strings.Builder
	b := make([]byte, 4096)
	for !strings.Contains(got.String(), want) {
		n, err := r.Read(b)
		got.Write(b[:n])
		if err != nil {
			t.Fatalf("no %q before %v: %q", want, err, got.String())
		}
	}
	return got.String()
}

func versionFlag(version uint16) string {
	return map[uint16]string{tls.VersionTLS12: "-tls1_2", tls.VersionTLS13: "-tls1_3"}[version]
}

func TestS213_AClientOfOpensslUpdatesItsKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		a := serveTLS(t, l, loop.ServerOptions{TLS: &loop.TLSOptions{RequireCloseNotify: true}})
		ca := pemFile(t, map[string][]byte{"CERTIFICATE": rig.TestPKI().Authority.Raw})
		in, out, wait := openssl(t, "s_client", "-connect", a.Addrs()[0].String(),
			"-CAfile", ca, "-verify_return_error", versionFlag(version))
		looptest.WaitFor(t, l, "the handshake", func() bool {
			return len(a.Got) == 1 && a.Got[0].Transport() != nil
		})
		server := a.Got[0]
		looptest.Do(l, func() {
			server.On.Data = func(b []byte) { server.Transport().Write(b) }
		})
		for i := range 5 {
			line := fmt.Sprintf("line %d of openssl", i)
			fmt.Fprintln(in, line)
			readUntil(t, out, line)
			if version == tls.VersionTLS13 {
				fmt.Fprintln(in, []string{"k", "K"}[i%2]) // update keys, and ask for ours
				readUntil(t, out, "KEYUPDATE\n")
			}
		}
		fmt.Fprintln(in, "Q") // ends with close_notify
		if err := wait(); err != nil {
			t.Error("openssl:", err)
		}
		lost(t, l, server, nil)
		if strings.Contains(string(server.Data()), "K\n") {
			t.Error("openssl sent its commands instead of carrying them out")
		}
	})
}

func TestAServerOfOpenssl(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	versions(t, func(t *testing.T, l *loop.Loop, version uint16) {
		c := rig.TestCertificate()
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		file := pemFile(t, map[string][]byte{"CERTIFICATE": c.Certificate[0], "PRIVATE KEY": key})
		_, out, _ := openssl(t, "s_server", "-accept", "127.0.0.1:0", "-cert", file, "-key", file,
			"-rev", versionFlag(version))
		started := readUntil(t, out, "ACCEPT ")
		for !strings.HasSuffix(started, "\n") {
			started += readUntil(t, out, "\n")
		}
		_, addr, _ := strings.Cut(started, "ACCEPT ")
		addr = strings.TrimSpace(addr)
		client := transporttest.NewRecorder(t)
		_, err = l.CreateConnection(rig.WithTimeout(t), client, addr,
			&loop.ConnectionOptions{TLS: &loop.TLSOptions{Config: rig.ClientTLS()}})
		if err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
		looptest.Do(l, func() { client.Transport().Write([]byte("stressed\n")) })
		looptest.WaitFor(t, l, "the answer", func() bool {
			return string(client.Data()) == "desserts\n"
		})
		looptest.Do(l, func() { client.Transport().Close() })
		lost(t, l, client, nil)
	})
}
