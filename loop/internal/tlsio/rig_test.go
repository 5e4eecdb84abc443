package tlsio_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"math/big"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop/internal/guard"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestMain fails for coroutines that are left behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(code) // go test -fuzz has a goroutine for signals, which stays
	}
	for begin := time.Now(); runtime.NumGoroutine() > before &&
		time.Since(begin) < 30*time.Second; {
		runtime.Gosched() // those that are about to end
	}
	if n := runtime.NumGoroutine(); n > before && code == 0 {
		stacks := make([]byte, 1<<16)
		fmt.Printf("%d goroutines left behind:\n%s\n", n-before,
			stacks[:runtime.Stack(stacks, true)])
		code = 1
	}
	os.Exit(code)
}

// fakeHost is a loop without a loop: tasks and timers run when the test says so.
type fakeHost struct {
	debug   atomic.Bool
	tasks   []guard.Task
	timers  []*fakeTimer
	lent    int
	reports []string
	notes   []string
}

type fakeTimer struct {
	f       func()
	stopped bool
}

func (t *fakeTimer) Cancel() { t.stopped = true }

func (h *fakeHost) Soon(t guard.Task) { h.tasks = append(h.tasks, t) }

func (h *fakeHost) After(_ time.Duration, f func()) guard.Timer {
	t := &fakeTimer{f: f}
	h.timers = append(h.timers, t)
	return t
}

func (h *fakeHost) Buffer(n int) []byte { h.lent++; return make([]byte, 0, min(n+100, 64<<10)) }
func (h *fakeHost) Free([]byte)         { h.lent-- }

func (h *fakeHost) Report(e guard.Exception) {
	h.reports = append(h.reports, fmt.Sprint(e.Message, e.Err))
}

func (h *fakeHost) Paused(transport.BaseTransport, int, transport.Limits)  {}
func (h *fakeHost) Resumed(transport.BaseTransport, int, transport.Limits) {}
func (h *fakeHost) Check()                                                 {}
func (h *fakeHost) Enter(string, any)                                      {}
func (h *fakeHost) Leave()                                                 {}

// Debug is on, so that what a protocol has seen is overwritten.
func (h *fakeHost) Debug() *atomic.Bool {
	h.debug.Store(true)
	return &h.debug
}

func (h *fakeHost) Note(event string, _ transport.BaseTransport, _ ...any) {
	h.notes = append(h.notes, event)
}

// expire lets all time pass.
func (h *fakeHost) expire() {
	due := h.timers
	h.timers = nil
	for _, t := range due {
		if !t.stopped {
			t.f()
		}
	}
}

// end is one end of a connection in memory.
type end struct {
	host fakeHost
	rec  *transporttest.Recorder
	tls  *tlsio.Transport
	raw  *transporttest.Transport
	done []error
}

// newEnd makes an end.
func newEnd(tb testing.TB, server bool, config *tls.Config) *end {
	return newEndOf(tb, server, config, func(e *end) protocol.Protocol { return e.rec })
}

// newEndOf makes an end with a protocol of its recorder's.
func newEndOf(tb testing.TB, server bool, config *tls.Config,
	of func(e *end) protocol.Protocol) *end {
	e := &end{rec: transporttest.NewRecorder(tb)}
	c := &tlsio.Config{TLS: config, Server: server, Protocol: of(e),
		Done: func(_ *tlsio.Transport, err error) { e.done = append(e.done, err) }}
	if err := c.Check(); err != nil {
		tb.Fatal(err)
	}
	e.tls = tlsio.New(&e.host, c)
	e.raw = transporttest.NewTransport(e.tls.Lower(), nil)
	return e
}

// turn is a round of the loop.
func (e *end) turn() {
	due := e.host.tasks
	e.host.tasks = nil
	for _, t := range due {
		t.RunTask()
	}
	e.raw.Turn()
}

// carry brings what one end has written to the other, in pieces.
func carry(from, to *end, piece int) (n int) {
	data := from.raw.TakeWritten()
	for rest := data; len(rest) > 0; {
		k := min(piece, len(rest))
		to.raw.Receive(rest[:k])
		rest = rest[k:]
	}
	if from.raw.WroteEOF() {
		to.raw.ReceiveEOF()
	}
	from.turn()
	to.turn()
	return len(data)
}

// exchange carries until nobody has anything to say.
func exchange(a, b *end, piece int) {
	for carry(a, b, piece)+carry(b, a, piece) > 0 {
	}
}

var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1),
		Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"sluice.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// configs are a server's and a client's for one version of TLS.
func configs(version uint16) (server, client *tls.Config) {
	return &tls.Config{Certificates: []tls.Certificate{testCertificate()}, MaxVersion: version},
		&tls.Config{InsecureSkipVerify: true, MaxVersion: version}
}

// ends makes both ends.
func ends(tb testing.TB, version uint16) (server, client *end) {
	s, c := configs(version)
	return newEnd(tb, true, s), newEnd(tb, false, c)
}

func eachVersion(t *testing.T, f func(t *testing.T, version uint16)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) { f(t, version) })
	}
}
