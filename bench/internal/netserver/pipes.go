package netserver

import (
	"io"
	"net"
	"os/exec"
	"sync"
)

// pipes starts a child that copies its standard input to its standard output, and passes
// what comes through it.
func pipes(c net.Conn) {
	child := exec.Command("cat")
	in, err := child.StdinPipe()
	if err != nil {
		return
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return
	}
	if err := child.Start(); err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { io.Copy(c, out) })
	io.Copy(in, c)
	in.Close()
	back.Wait()
	child.Wait()
}
