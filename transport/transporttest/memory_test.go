package transporttest_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// upper is a protocol that sends back what it gets, in capitals.
type upper struct {
	protocol.Base
	t transport.Transport
}

func (p *upper) ConnectionMade(t transport.Transport) { p.t = t }

func (p *upper) DataReceived(data []byte) {
	for i, c := range data {
		if 'a' <= c && c <= 'z' {
			data[i] = c - 'a' + 'A'
		}
	}
	p.t.Write(data)
}

// A protocol is tested without a loop and without a network.
func ExampleNewTransport() {
	t := transporttest.NewTransport(&upper{}, nil)
	t.Receive([]byte("hello"))
	fmt.Printf("%s\n", t.Written())
	t.ReceiveEOF()
	fmt.Println(t.IsClosing(), t.WroteEOF())
	// Output:
	// HELLO
	// true true
}

func TestS115_BaseHasEveryCallbackExceptDataReceived(t *testing.T) {
	if _, ok := any(&protocol.Base{}).(protocol.Protocol); ok {
		t.Error("who forgets DataReceived is not told")
	}
	p := &upper{}
	m := transporttest.NewTransport(p, &transporttest.Options{Full: true})
	if err := m.SetWriteBufferLimits(transport.Limits{High: 3}); err != nil {
		t.Fatal(err)
	}
	m.Receive([]byte("hello")) // which is paused by its answer
	m.Drain(-1)
	m.ReceiveEOF()
	if !m.IsClosing() {
		t.Error("the end of input does not close")
	}
	m.Turn()
	if panics := m.Panics(); len(panics) > 0 || m.Protocol() != nil {
		t.Errorf("panics %v, protocol %v", panics, m.Protocol())
	}
}

func TestMemoryTransportHonoursWaterMarks(t *testing.T) {
	r := transporttest.NewRecorder(t)
	m := transporttest.NewTransport(r, &transporttest.Options{Full: true})
	if err := m.SetWriteBufferLimits(transport.Limits{High: 10, Low: 5}); err != nil {
		t.Fatal(err)
	}
	m.Write(make([]byte, 10))
	m.Write(make([]byte, 1))
	m.Drain(5)
	m.Drain(1)
	m.Close()
	m.Turn()
	if got := r.Trace(); got != "made, pause, resume" {
		t.Errorf("trace %s", got)
	}
	m.Drain(-1)
	if got := r.Trace(); got != "made, pause, resume, lost <nil>" || len(m.Written()) != 11 {
		t.Errorf("trace %s, written %d", got, len(m.Written()))
	}
	if _, err := m.Write([]byte("x")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Write: %v", err)
	}
}

func TestMemoryTransportHonoursPause(t *testing.T) {
	r := transporttest.NewRecorder(t)
	m := transporttest.NewTransport(r.Buffered(2), nil)
	m.PauseReading()
	m.Receive([]byte("hello"))
	m.ReceiveEOF()
	if got := r.Trace(); got != "made" {
		t.Errorf("paused: %s", got)
	}
	m.ResumeReading()
	m.Turn()
	if got := string(r.Data()); got != "hello" || !r.GotEOF() {
		t.Errorf("received %q, EOF %v", got, r.GotEOF())
	}
}

func TestMemoryTransportEndsAsALoopsDoes(t *testing.T) {
	r := transporttest.NewRecorder(t)
	r.On.Data = func([]byte) { panic("planned") }
	m := transporttest.NewTransport(r, nil)
	m.Receive([]byte("x"))
	var p *protocol.PanicError
	if lost, err := r.Lost(); !lost || !errors.As(err, &p) || len(m.Panics()) != 1 {
		t.Errorf("ConnectionLost %v, %v", lost, err)
	}
	r = transporttest.NewRecorder(t)
	transporttest.NewTransport(r, nil).Lose(nil)
	if _, err := r.Lost(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ConnectionLost(%v)", err)
	}
}

func TestRecorderSeesViolations(t *testing.T) {
	for name, misuse := range map[string]func(r *transporttest.Recorder){
		"data before made": func(r *transporttest.Recorder) { r.DataReceived([]byte("x")) },
		"made twice":       func(r *transporttest.Recorder) { made(r); made(r) },
		"no data":          func(r *transporttest.Recorder) { made(r).DataReceived(nil) },
		"resume first":     func(r *transporttest.Recorder) { made(r).ResumeWriting() },
		"eof twice": func(r *transporttest.Recorder) {
			made(r).EOFReceived()
			r.EOFReceived()
		},
		"data after eof": func(r *transporttest.Recorder) {
			made(r).EOFReceived()
			r.DataReceived([]byte("x"))
		},
		"lost twice": func(r *transporttest.Recorder) {
			made(r).ConnectionLost(nil)
			r.ConnectionLost(nil)
		},
		"lost while open": func(r *transporttest.Recorder) { made(r).ConnectionLost(nil) },
		"pause of little": func(r *transporttest.Recorder) { made(r).PauseWriting() },
		"data after a close": func(r *transporttest.Recorder) {
			made(r).Transport().Close()
			r.DataReceived([]byte("x"))
		},
		"data while paused": func(r *transporttest.Recorder) {
			made(r).Transport().PauseReading()
			r.DataReceived([]byte("x"))
		},
		"nested lost": func(r *transporttest.Recorder) {
			r.On.Data = func([]byte) { r.ConnectionLost(nil) }
			made(r).DataReceived([]byte("x"))
		},
	} {
		r := &transporttest.Recorder{}
		misuse(r)
		if len(r.Violations()) == 0 {
			t.Errorf("%s: no violation seen", name)
		}
	}
}

// made gives r a transport.
func made(r *transporttest.Recorder) *transporttest.Recorder {
	transporttest.NewTransport(r, nil)
	return r
}
