package examples_test

import (
	"fmt"
	"syscall"
	"testing"
)

func TestHTTPServerWithCurl(t *testing.T) {
	curl, bin := need(t, "curl"), build(t, "http-server")
	dir, large := directory(t)
	engines(t, func(t *testing.T, env []string) {
		s := start(t, env, "Serving on", bin, "-addr", "127.0.0.1:0", dir)
		url := "http://" + s.serving("Serving on") + "/"
		get := func(args ...string) string {
			t.Helper()
			return run(t, nil, large, curl, append([]string{"-sS", "--max-time", "15"}, args...)...)
		}
		if get(url+"large") != string(large) {
			t.Error("the large file is not what it was")
		}
		if get("-r", "1000000-2999999", url+"large") != string(large[1000000:3000000]) {
			t.Error("a range of the large file is not what it was")
		}
		contains(t, get("-i", url+"hello"), "200 OK", "hello, 127.0.0.1:")
		contains(t, get("-i", url+"nothing"), "404 Not Found")
		contains(t, get("--data-binary", "@-", url+"upload"), fmt.Sprintln(len(large), "bytes"))
		// One connection for all three.
		contains(t, get("-v", "--stderr", "-", url+"hello", url+"empty", url+"hello"),
			"Re-using existing")
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for range s.lines { // until it has ended
		}
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("after SIGTERM: %v\n%s", err, s.output())
		}
	})
}
