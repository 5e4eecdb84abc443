package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// TestNoByteOfAFileIsLostOrDoubled sends files between writes over connections
// that the kernel breaks, delays and cuts in every way it may, and gives them up
// at random moments: what arrives is what the calls say was sent, to the byte.
func TestNoByteOfAFileIsLostOrDoubled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	f, content := fileOf(t, 300<<10)
	for seed := range uint64(rig.Amount(150)) {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprint(seed, " TLS ", secure), func(t *testing.T) {
				n := looptest.New(t, looptest.Options{Seed: seed})
				w := &fileWorkload{t: t, n: n, seed: seed, f: f, content: content,
					random: rand.New(rand.NewPCG(seed, 7))}
				if secure {
					w.serverTLS.TLS = &loop.TLSOptions{Config: rig.ServerTLS()}
					w.clientTLS.TLS = &loop.TLSOptions{Config: rig.ClientTLS()}
				}
				w.run()
			})
		}
	}
}

// fileWorkload is one run.
type fileWorkload struct {
	t       *testing.T
	n       *looptest.Network
	seed    uint64
	f       *os.File
	content []byte
	random  *rand.Rand
	parts   []*filePart
	ended   int

	serverTLS loop.ServerOptions
	clientTLS loop.ConnectionOptions
}

// filePart is something that was written: a file, or bytes.
type filePart struct {
	bytes []byte // what was written
	n     int    // how much of it was sent
	err   error
}

func (w *fileWorkload) run() {
	server, client := transporttest.NewRecorder(w.t), transporttest.NewRecorder(w.t)
	s, err := w.n.CreateServer(w.t.Context(), func() protocol.Protocol { return server },
		"127.0.0.1:0", &w.serverTLS)
	if err != nil {
		w.t.Fatal(err)
	}
	tr, err := w.n.CreateConnection(w.t.Context(), client, s.Addrs()[0].String(),
		&w.clientTLS)
	looptest.Do(w.n.Loop, s.Close)
	if err != nil {
		w.t.Fatal(err)
	}
	looptest.WaitFor(w.t, w.n.Loop, "the handshake", func() bool {
		return server.Transport() != nil
	})
	looptest.Do(w.n.Loop, func() {
		w.n.SetFaults(looptest.RandomFaults(w.seed))
		w.write(tr)
	})
	looptest.WaitFor(w.t, w.n.Loop, "the ends of the files", func() bool {
		return w.ended == len(w.parts)
	})
	rig.WaitLost(w.t, w.n.Loop, client)
	rig.WaitLost(w.t, w.n.Loop, server)
	w.verify(client, server)
}

// write queues some files and writes, cancels some of the files later, and closes.
func (w *fileWorkload) write(tr transport.Transport) {
	for range 1 + w.random.IntN(6) {
		if w.random.IntN(3) == 0 {
			p := &filePart{bytes: w.content[:w.random.IntN(20_000)]}
			if _, p.err = tr.Write(p.bytes); p.err == nil {
				p.n = len(p.bytes)
			}
			w.parts = append(w.parts, p)
			w.ended++
			continue
		}
		w.send(tr)
	}
	tr.Close()
}

func (w *fileWorkload) send(tr transport.Transport) {
	offset := w.random.IntN(len(w.content))
	count := w.random.IntN(len(w.content) - offset + 1)
	p := &filePart{bytes: w.content[offset : offset+count]}
	ctx, cancel := context.WithCancel(w.t.Context())
	w.parts = append(w.parts, p)
	w.n.SendfileFunc(ctx, tr, w.f, int64(offset), int64(count), func(n int64, err error) {
		p.n, p.err = int(n), err
		w.ended++
		cancel()
	})
	if w.random.IntN(2) == 0 {
		w.n.CallLater(time.Duration(w.random.IntN(20_000))*time.Microsecond, cancel)
	}
}

// verify compares what arrived with what was sent.
func (w *fileWorkload) verify(client, server *transporttest.Recorder) {
	var sent []byte
	for i, p := range w.parts {
		sent = append(sent, p.bytes[:p.n]...)
		if p.err == nil && p.n != len(p.bytes) {
			w.t.Errorf("part %d: %d of %d bytes, without an error", i, p.n, len(p.bytes))
		}
		if p.err != nil && !errors.Is(p.err, context.Canceled) && !w.ofTheEnd(p.err) {
			w.t.Errorf("part %d: %v", i, p.err)
		}
	}
	got := server.Data()
	if !bytes.HasPrefix(sent, got) {
		w.t.Errorf("%d bytes arrived that are not what was sent", len(got))
	}
	_, lost := client.Lost()
	if lost == nil && server.GotEOF() && len(got) != len(sent) {
		w.t.Errorf("closed in order: %d bytes arrived, %d were sent", len(got), len(sent))
	}
}

// ofTheEnd reports whether an error is that of a connection that ended.
func (w *fileWorkload) ofTheEnd(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, net.ErrClosed)
}
