package examples_test

import (
	"os"
	"syscall"
	"testing"
)

// A server that is told to end by a signal does so in order, which is no failure.
func TestServersEndInOrder(t *testing.T) {
	path := socketPath(t)
	for name, args := range map[string][]string{
		"udp-echo-server": nil,
		"unix-echo":       {path},
		"tls-echo":        {"-listen", "127.0.0.1:0"},
		"buffered-upload": {"-listen", "127.0.0.1:0"},
		"file-server":     {"-addr", "127.0.0.1:0", t.TempDir()},
		"tcp-proxy":       {"127.0.0.1:0", "127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			bin := build(t, name)
			for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
				s := start(t, os.Environ(), "ing ", bin, args...)
				if err := s.cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				for range s.lines { // to the end
				}
				if err := s.cmd.Wait(); err != nil {
					t.Errorf("%v: %v\n%s", sig, err, s.output())
				}
			}
		})
	}
}
