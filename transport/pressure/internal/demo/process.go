package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Environment is set for a process that is to be the server: Main then serves.
const Environment = "SLUICE_PRESSURE_DEMO"

// Main serves and exits if this process was started to, and returns otherwise.
// The addresses go to standard output, and standard input ends it by ending.
func Main() {
	if os.Getenv(Environment) == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err := Serve(ctx, func(at Addresses) { json.NewEncoder(os.Stdout).Encode(at) })
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// A Server is a process that plays all scenes.
type Server struct {
	// PID is the process; At is where the scenes are.
	PID int
	At  Addresses

	cmd   *exec.Cmd
	input io.Closer
}

// Start runs this very program, whose main function must call Main, as a server.
func Start() (*Server, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path)
	cmd.Env = append(os.Environ(), Environment+"=serve")
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{PID: cmd.Process.Pid, cmd: cmd, input: input}
	line, err := bufio.NewReader(output).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &s.At)
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Stop ends the process and waits for it.
func (s *Server) Stop() error {
	return errors.Join(s.input.Close(), s.cmd.Wait())
}
