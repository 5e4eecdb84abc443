package outside

import (
	"bufio"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

//go:embed c
var sources embed.FS

// C is a server in C on one thread: on epoll, or on io_uring. It needs a C compiler.
type C struct{ engine string }

// The servers in C.
var (
	CEpoll = C{"epoll"}
	CUring = C{"uring"}
)

// parts are the source files of each server.
var parts = map[C][]string{
	CEpoll: {"epoll.c", "relay.c", "datagrams.c", "common.c"},
	CUring: {"uring.c", "ring.c", "ring_datagrams.c", "common.c"},
}

// cModes are what each of them has.
var cModes = map[C][]contest.Mode{
	CEpoll: {contest.Echo, contest.EchoUnix, contest.Receive, contest.ReceiveBuffered,
		contest.Send, contest.SendFile, contest.Relay, contest.FanOut, contest.Datagrams,
		contest.HTTP},
	CUring: {contest.Echo, contest.EchoUnix, contest.Receive, contest.ReceiveBuffered,
		contest.Send, contest.Datagrams},
}

// Name is how it is asked for: "c-epoll" or "c-uring".
func (c C) Name() string { return "c-" + c.engine }

// Serves is true of what is written in its source.
func (c C) Serves(mode contest.Mode) bool { return slices.Contains(cModes[c], mode) }

// builtIn is the environment variable with the directory in which BuildC has put the
// servers.
const builtIn = "SLUICE_BENCH_C"

// BuildC compiles servers once for all processes that are started from now on; else each
// compiles its own. It returns what removes them again.
func BuildC(servers ...C) (remove func(), err error) {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return func() {}, err
	}
	for _, c := range servers {
		_, e := c.build(dir)
		err = errors.Join(err, e)
	}
	return func() { os.RemoveAll(dir) }, errors.Join(err, os.Setenv(builtIn, dir))
}

// Serve runs the server, after building it if that is not done.
func (c C) Serve(task contest.Task, ready func(contest.Hello)) error {
	pattern, err := contest.PatternFile()
	if err != nil {
		return err
	}
	defer pattern.Close()
	page, err := contest.PageFile()
	if err != nil {
		return err
	}
	defer page.Close()
	exe, remove, err := c.program()
	if err != nil {
		return err
	}
	defer remove()
	mode := task.Mode
	if mode == contest.ReceiveBuffered { // it has one way to receive
		mode = contest.Receive
	}
	args := []string{string(mode), fmt.Sprint(task.Size), fmt.Sprint(contest.Period)}
	if task.Target != "" {
		args = append(args, task.Target)
	}
	cmd := exec.Command(exe, args...)
	cmd.ExtraFiles = []*os.File{pattern, page}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	return serve(cmd, func(*program) (contest.Hello, error) {
		remove() // it runs: its file is no longer needed
		line, err := bufio.NewReader(out).ReadString('\n')
		return contest.Hello{Addr: strings.TrimSpace(line), Note: c.note(),
			Uncounted: mode == contest.Datagrams}, err
	}, ready)
}

func (c C) note() string {
	if c == CUring {
		return "C, one thread, io_uring"
	}
	return "C, one thread, epoll"
}

// program returns the server's file, and what to do when it runs.
func (c C) program() (exe string, remove func(), err error) {
	if dir := os.Getenv(builtIn); dir != "" {
		exe = filepath.Join(dir, c.Name())
		if _, err := os.Stat(exe); err == nil {
			return exe, func() {}, nil
		}
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	if exe, err = c.build(dir); err != nil {
		remove()
	}
	return exe, remove, err
}

// build compiles the server into dir: for this very processor where the compiler knows
// how.
func (c C) build(dir string) (exe string, err error) {
	compiler, err := findCompiler()
	if err != nil {
		return "", err
	}
	source := filepath.Join(dir, c.Name()+".d")
	files, err := fs.Sub(sources, "c")
	if err == nil {
		err = os.CopyFS(source, files)
	}
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(source)
	exe = filepath.Join(dir, c.Name())
	var text []byte
	for _, tuning := range [][]string{{"-march=native"}, nil} {
		args := append([]string{"-std=gnu11", "-O2", "-o", exe}, tuning...)
		cmd := exec.Command(compiler, append(args, parts[c]...)...)
		cmd.Dir = source
		if text, err = cmd.CombinedOutput(); err == nil {
			return exe, nil
		}
	}
	return "", fmt.Errorf("build the server in C on %s: %w: %s", c.engine, err, text)
}

func findCompiler() (path string, err error) {
	for _, name := range []string{"cc", "gcc", "clang"} {
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no C compiler: install gcc to compare with C")
}
