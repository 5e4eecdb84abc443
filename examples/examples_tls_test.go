package examples_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestTLSEchoWithOpenSSL(t *testing.T) {
	openssl, bin := need(t, "openssl"), build(t, "tls-echo")
	for i, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version[1:], func(t *testing.T) {
			engines(t, func(t *testing.T, env []string) {
				ca := filepath.Join(t.TempDir(), "ca.pem")
				s := start(t, env, "Serving on", bin, "-listen", "127.0.0.1:18843", "-ca", ca)
				talk(t, exec.Command(openssl, "s_client", "-connect", "127.0.0.1:18843",
					"-CAfile", ca, "-verify_return_error", "-alpn", "echo", "-quiet",
					"-no_ign_eof", version), "from openssl")
				contains(t, s.expect("Connection from"), "TLS 1."+fmt.Sprint(2+i), `ALPN "echo"`)
			})
		})
	}
}

// talk says a line to a program, which must answer with the same line and end when
// its input does.
func talk(t *testing.T, cmd *exec.Cmd, line string) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(waitTimeout, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	fmt.Fprintln(in, line)
	scan := bufio.NewScanner(out)
	for scan.Scan() && scan.Text() != line {
	}
	if scan.Text() != line {
		t.Errorf("no %q came back", line)
	}
	in.Close()
	for scan.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %v\n%s", cmd, err, complaints.String())
	}
}

func TestTLSEchoClient(t *testing.T) {
	bin := build(t, "tls-echo")
	data := bytes.Repeat([]byte("all work and no play\n"), 100_000)
	engines(t, func(t *testing.T, env []string) {
		ca := filepath.Join(t.TempDir(), "ca.pem")
		s := start(t, env, "Serving on", bin, "-listen", "127.0.0.1:18844", "-ca", ca)
		if out := run(t, env, data, bin, "-connect", "127.0.0.1:18844", "-ca", ca); out !=
			string(data) {
			t.Errorf("%d bytes came back of %d", len(out), len(data))
		}
		s.expect("Connection from")
		cmd := exec.Command(bin, "-connect", "127.0.0.1:18844") // trusts nobody
		cmd.Env, cmd.Stdin = env, bytes.NewReader(data)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("the client trusts a certificate that it does not know: %s", out)
		}
		contains(t, string(out), "certificate signed by unknown authority", "127.0.0.1:18844")
		contains(t, s.expect("No connection:"), "bad certificate")
	})
}
