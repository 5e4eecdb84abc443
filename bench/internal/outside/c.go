package outside

import (
	"bufio"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sluice-net/sluice/bench/internal/contest"
)

//go:embed c/epoll.c
var serverSource string

// C is a server in C on epoll, with sendfile(2) for files. It needs a C compiler.
type C struct{}

// CName is how it is asked for.
const CName = "c"

// Name returns "c".
func (C) Name() string { return CName }

// Serves is true of files and of fan-out.
func (C) Serves(mode contest.Mode) bool {
	return mode == contest.SendFile || mode == contest.FanOut
}

// Serve builds the server and runs it.
func (C) Serve(task contest.Task, ready func(contest.Hello)) error {
	pattern, err := contest.PatternFile()
	if err != nil {
		return err
	}
	defer pattern.Close()
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	exe, err := buildC(dir)
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, string(task.Mode), fmt.Sprint(task.Size),
		fmt.Sprint(contest.Period))
	cmd.ExtraFiles = []*os.File{pattern}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	return serve(cmd, func(*program) (contest.Hello, error) {
		os.RemoveAll(dir) // it runs: its file is no longer needed
		line, err := bufio.NewReader(out).ReadString('\n')
		return contest.Hello{Addr: strings.TrimSpace(line),
			Note: "C, edge-triggered epoll"}, err
	}, ready)
}

// buildC compiles the server into dir.
func buildC(dir string) (exe string, err error) {
	compiler := ""
	for _, name := range []string{"cc", "gcc", "clang"} {
		if compiler, err = exec.LookPath(name); err == nil {
			break
		}
	}
	if err != nil {
		return "", errors.New("no C compiler: install gcc to compare with C")
	}
	exe = filepath.Join(dir, "server")
	cmd := exec.Command(compiler, "-O2", "-x", "c", "-", "-o", exe)
	cmd.Stdin = strings.NewReader(serverSource)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server in C: %w: %s", err, text)
	}
	return exe, nil
}
