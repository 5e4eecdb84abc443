package looptest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// greeter says hello to the first that it hears of.
type greeter struct {
	protocol.Base
	t transport.Transport
}

func (p *greeter) ConnectionMade(t transport.Transport) { p.t = t }

func (p *greeter) DataReceived(name []byte) {
	p.t.WriteLines([][]byte{[]byte("hello, "), name})
	p.t.Close()
}

// visitor says its name and prints the answer.
type visitor struct {
	protocol.Base
	lost chan struct{}
}

func (p *visitor) ConnectionMade(t transport.Transport) { t.Write([]byte("world")) }
func (p *visitor) DataReceived(data []byte)             { fmt.Printf("%s\n", data) }
func (p *visitor) ConnectionLost(error)                 { close(p.lost) }

// The network is simulated: no port is used, and no time passes.
func ExampleNew() {
	var tb testing.TB = &exampleTB{} // in a test: its *testing.T
	n := looptest.New(tb, looptest.Options{Seed: 1})
	ctx := context.Background()
	s, err := n.CreateServer(ctx, func() protocol.Protocol { return &greeter{} },
		"127.0.0.1:80", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	v := &visitor{lost: make(chan struct{})}
	if _, err := n.CreateConnection(ctx, v, "127.0.0.1:80", nil); err != nil {
		fmt.Println(err)
	}
	<-v.lost
	s.Close()
	fmt.Println("closed:", s.WaitClosed(ctx))
	tb.(*exampleTB).end()
	// Output:
	// hello, world
	// closed: <nil>
}

// exampleTB stands in for the *testing.T that an example does not have.
type exampleTB struct {
	testing.TB
	cleanups []func()
}

func (e *exampleTB) Helper()           {}
func (e *exampleTB) Failed() bool      { return false }
func (e *exampleTB) Error(args ...any) { fmt.Println(args...) }
func (e *exampleTB) Errorf(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
}
func (e *exampleTB) Cleanup(f func()) { e.cleanups = append(e.cleanups, f) }

func (e *exampleTB) end() {
	for i := len(e.cleanups) - 1; i >= 0; i-- {
		e.cleanups[i]()
	}
}
