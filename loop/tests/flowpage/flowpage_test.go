package flowpage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/debug"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
	"github.com/sluice-net/sluice/transport/flowpage"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// readPagesEnv makes the test's program one that prints the pages of the process with
// that id.
const readPagesEnv = "SLUICE_TEST_READ_PAGES"

// readPages prints a line for each transport.
func readPages(parent string) int {
	pid, err := strconv.Atoi(parent)
	if err != nil {
		return 2
	}
	readers, err := flowpage.Find(pid)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, r := range readers {
		for s := range r.Slots() {
			fmt.Println(s.Kind, s.FD, s.Buffered, s.High, s.Low, s.WritePaused.Running)
		}
		r.Close()
	}
	return 0
}

// onPages runs f on every engine, with a reader of the loop's page.
func onPages(t *testing.T, o loop.Options,
	f func(t *testing.T, l *loop.Loop, page *flowpage.Reader)) {
	o.FlowPage = true
	looptest.EnginesWith(t, o, func(t *testing.T, l *loop.Loop) { f(t, l, pageOf(t)) })
}

// pageOf opens the page of the one loop that has one.
func pageOf(t *testing.T) *flowpage.Reader {
	t.Helper()
	readers, err := flowpage.Find(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if len(readers) != 1 {
		t.Fatalf("%d pages, want one", len(readers))
	}
	return readers[0]
}

// shown returns what the page says of tr.
func shown(t *testing.T, page *flowpage.Reader, tr transport.BaseTransport) flowpage.Transport {
	t.Helper()
	found, fd := flowpage.Transport{}, fdOf(t, tr)
	for s := range page.Slots() {
		if s.FD == fd {
			found = s
		}
	}
	if err := page.Err(); err != nil {
		t.Error(err)
	}
	return found
}

func fdOf(t *testing.T, tr transport.BaseTransport) int {
	t.Helper()
	raw, ok := transport.Socket(tr)
	if !ok {
		t.Fatal("no socket")
	}
	number := -1
	if err := raw.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		t.Error(err)
	}
	return number
}

// fill writes until the protocol of tr is paused.
func fill(tr transport.Transport) {
	for chunk := make([]byte, 64<<10); !tr.WritePaused(); {
		tr.Write(chunk)
	}
}

// stuff writes until everything on the way to who does not read is full, and then as
// much more as surely stays when a late ACK makes room.
func stuff(t *testing.T, l *loop.Loop, page *flowpage.Reader, tr transport.Transport) {
	t.Helper()
	looptest.WaitFor(t, l, "output that stays", func() bool {
		fill(tr)
		if shown(t, page, tr).WritePaused.For <= 3*time.Millisecond {
			return false
		}
		tr.Write(make([]byte, 4<<20))
		return true
	})
	looptest.WaitFor(t, l, "a send that waits for room", func() bool {
		return shown(t, page, tr).Sending.Running
	})
}

func TestFlowPageShowsWhatHoldsAConnectionBack(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	onPages(t, loop.Options{}, func(t *testing.T, l *loop.Loop, page *flowpage.Reader) {
		server, client := rig.Pair(t, l)
		limits := transport.Limits{High: 100000, Low: 50000}
		looptest.Do(l, func() {
			if err := server.Transport().SetWriteBufferLimits(limits); err != nil {
				t.Error(err)
			}
			client.Transport().PauseReading()
		})
		stuff(t, l, page, server.Transport())
		looptest.Do(l, func() {
			from, to := shown(t, page, server.Transport()), shown(t, page, client.Transport())
			if from.Kind != flowpage.KindTCP || from.State != flowpage.StateOpen ||
				from.Buffered != server.Transport().WriteBufferSize() || from.InFlight == 0 ||
				from.High != limits.High || from.Low != limits.Low ||
				int(from.WritePauses) != server.Count("pause") ||
				!from.WritePaused.Running || !from.Sending.Running || from.ReadPaused.Running {
				t.Errorf("the writer: %+v", from)
			}
			if !to.ReadPaused.Running || to.ReadPaused.Total < 3*time.Millisecond ||
				to.ReadPauses != 1 || to.HeldBytes == 0 || to.BytesRead != uint64(to.HeldBytes) {
				t.Errorf("the reader: %+v", to)
			}
			client.Transport().ResumeReading()
		})
		looptest.WaitFor(t, l, "everything to arrive", func() bool {
			return shown(t, page, client.Transport()).BytesRead ==
				shown(t, page, server.Transport()).BytesWritten &&
				server.Transport().WriteBufferSize() == 0
		})
		looptest.Do(l, func() {
			from, to := shown(t, page, server.Transport()), shown(t, page, client.Transport())
			if from.Buffered != 0 || from.InFlight != 0 || from.Sending.Running ||
				from.WritePaused.Running || from.WritePaused.Total < 3*time.Millisecond {
				t.Errorf("the writer: %+v", from)
			}
			if to.ReadPaused.Running || to.Held != 0 || to.HeldBytes != 0 {
				t.Errorf("the reader: %+v", to)
			}
		})
	})
}

func TestFlowPageShowsTheEndOfAConnection(t *testing.T) {
	onPages(t, loop.Options{}, func(t *testing.T, l *loop.Loop, page *flowpage.Reader) {
		server, client := rig.Pair(t, l)
		server.On.EOF = func() bool { return true }
		looptest.Do(l, func() { client.Transport().WriteEOF() })
		looptest.WaitFor(t, l, "the end of the input", func() bool {
			return shown(t, page, server.Transport()).EOFReceived
		})
		looptest.Do(l, func() {
			if s := shown(t, page, client.Transport()); !s.EOFWritten || s.EOFReceived {
				t.Errorf("the client: %+v", s)
			}
			client.Transport().PauseReading()
			fill(server.Transport())
			server.Transport().Close()
			if s := shown(t, page, server.Transport()); s.State != flowpage.StateClosing {
				t.Errorf("closing: %+v", s)
			}
			fd := fdOf(t, server.Transport())
			server.Transport().Abort()
			for s := range page.Slots() {
				if s.FD == fd && (s.State != flowpage.StateLost || s.Buffered != 0 ||
					s.WritePaused.Running) {
					t.Errorf("lost: %+v", s)
				}
			}
			client.Transport().Abort()
		})
		rig.WaitLost(t, l, server)
		rig.WaitLost(t, l, client)
		for s := range page.Slots() {
			t.Errorf("gone, and still listed: %+v", s)
		}
	})
}

func TestFlowPageShowsDatagramEndpoints(t *testing.T) {
	onPages(t, loop.Options{}, func(t *testing.T, l *loop.Loop, page *flowpage.Reader) {
		client, server := rig.DatagramPair(t, l)
		looptest.Do(l, func() {
			server.T.PauseReading()
			for range 3 {
				if err := client.T.SendTo([]byte("four"), transport.Addr{}); err != nil {
					t.Error(err)
				}
			}
			if s := shown(t, page, client.T); s.Kind != flowpage.KindUDP || s.BytesWritten != 12 ||
				s.Buffered != client.T.WriteBufferSize() || s.Buffered == 0 {
				t.Errorf("the sender: %+v", s)
			}
		})
		looptest.WaitFor(t, l, "a datagram to be held back", func() bool {
			s := shown(t, page, server.T)
			return s.Held > 0 && s.HeldBytes == 4*s.Held && s.ReadPaused.Running
		})
		looptest.Do(l, func() {
			if s := shown(t, page, client.T); s.Buffered != 0 || s.Sending.Running {
				t.Errorf("sent: %+v", s)
			}
			server.T.ResumeReading()
		})
		rig.WantTexts(t, l, server, "four", "four", "four")
		looptest.Do(l, func() {
			if s := shown(t, page, server.T); s.BytesRead != 12 || s.Held != 0 {
				t.Errorf("the receiver: %+v", s)
			}
		})
	})
}

// The page counts the same shortages of buffers as the engine.
func TestFlowPageShowsThatATransportLacksABuffer(t *testing.T) {
	o := loop.Options{FlowPage: true, Buffers: loop.BufferOptions{Size: 512, Min: 1, Max: 1}}
	for name, run := range map[string]func(t *testing.T) *loop.Loop{
		"uring": func(t *testing.T) *loop.Loop { return loopWith(t, loop.Uring, o) },
		"sim": func(t *testing.T) *loop.Loop {
			return looptest.New(t, looptest.Options{Seed: 1, Loop: o,
				Faults: looptest.Faults{NoBuffers: 0.3}}).Loop
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := run(t)
			page := pageOf(t)
			server, client := rig.Pair(t, l)
			looptest.Do(l, func() { client.Transport().Write(make([]byte, 100<<10)) })
			looptest.WaitFor(t, l, "everything to arrive", func() bool {
				return shown(t, page, server.Transport()).BytesRead == 100<<10
			})
			looptest.Turns(l, 2)
			looptest.Do(l, func() {
				s, want := shown(t, page, server.Transport()), l.Stats().BuffersExhausted
				if uint64(s.Starves) != want || want == 0 || s.Starved.Total <= 0 ||
					s.Starved.Running {
					t.Errorf("%d times without a buffer: %+v", want, s)
				}
			})
		})
	}
}

func TestFlowPageShowsWhetherTheLoopWorks(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l := loopWith(t, engine, loop.Options{FlowPage: true})
			page := pageOf(t)
			until := func(what string, cond func(h flowpage.Header) bool) {
				t.Helper()
				var h flowpage.Header
				for end := time.Now().Add(looptest.WaitTimeout); time.Now().Before(end); {
					var err error
					if h, err = page.Header(); err != nil || cond(h) {
						return
					}
					runtime.Gosched()
				}
				t.Errorf("never %s: %+v", what, h)
			}
			looptest.Do(l, func() {})
			until("asleep", func(h flowpage.Header) bool {
				return h.Waiting.Running && !h.Busy.Running && h.Waiting.For > 2*time.Millisecond
			})
			release := make(chan struct{})
			l.CallSoonThreadsafe(func() { <-release })
			until("kept by a callback", func(h flowpage.Header) bool {
				return h.Busy.Running && !h.Waiting.Running && h.TurnAge > 2*time.Millisecond
			})
			close(release)
			until("asleep again", func(h flowpage.Header) bool { return h.Waiting.Running })
			h, err := page.Header()
			if err != nil || h.PID != os.Getpid() || h.TID == 0 || h.Turns == 0 ||
				(h.RingFD >= 0) != (engine == loop.Uring) || h.Engine != engine.String() {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
}

func TestFlowPageIsReadByAnotherProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	onPages(t, loop.Options{}, func(t *testing.T, l *loop.Loop, page *flowpage.Reader) {
		server, client := rig.Pair(t, l)
		want := ""
		looptest.Do(l, client.Transport().PauseReading)
		stuff(t, l, page, server.Transport())
		looptest.Do(l, func() {
			for s := range page.Slots() { // the loop does nothing meanwhile
				want += fmt.Sprintln(s.Kind, s.FD, s.Buffered, s.High, s.Low, s.WritePaused.Running)
			}
			cmd := exec.Command(program)
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", readPagesEnv, os.Getpid()))
			if out, err := cmd.Output(); err != nil || string(out) != want || want == "" {
				t.Errorf("the child printed %q (%v), want %q", out, err, want)
			}
		})
	})
}

func TestFlowPageHasTheKernelsCookies(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l := loopWith(t, engine, loop.Options{FlowPage: true})
			page := pageOf(t)
			server, _ := rig.Pair(t, l)
			looptest.Do(l, func() {
				fd := fdOf(t, server.Transport())
				want, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
				if got := shown(t, page, server.Transport()).Cookie; got != want || err != nil {
					t.Errorf("cookie %x, want %x (%v)", got, want, err)
				}
			})
		})
	}
}

func TestWithoutFlowPageThereIsNone(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		if _, err := flowpage.Find(os.Getpid()); !errors.Is(err, flowpage.ErrNoPage) {
			t.Error(err)
		}
	})
}

// Close ends the page before the transports that it does not end: their methods must
// not touch it any more.
func TestTransportsOutliveTheFlowPage(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l, err := loop.New(&loop.Options{Engine: engine, FlowPage: true})
			if err != nil {
				t.Skipf("needs %v: %v", engine, err)
			}
			page := pageOf(t)
			r, p := transporttest.NewRecorder(t), &rig.DatagramRecorder{}
			rig.ConnectTCP(t, l, &protocolSink{}, r)
			opts := rig.AnyPort
			if _, err := l.CreateDatagramEndpoint(t.Context(), p, &opts); err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			h, err := page.Header()
			if err != nil || !h.Closed || h.Used != 0 || h.Busy.Running || h.Waiting.Running {
				t.Errorf("the page of a closed loop: %+v, %v", h, err)
			}
			tr := r.Transport()
			tr.PauseReading()
			tr.ResumeReading()
			tr.Write([]byte("nowhere"))
			tr.WriteEOF()
			tr.SetWriteBufferLimits(transport.Limits{High: 1})
			p.T.PauseReading()
			p.T.SendTo([]byte("nowhere"), rig.AddrOf(p))
		})
	}
}

// protocolSink ignores everything.
type protocolSink struct{ protocol.Base }

func (*protocolSink) ConnectionMade(transport.Transport) {}
func (*protocolSink) DataReceived([]byte)                {}

func TestNoAllocationForAMessageWithAFlowPage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	if debug.On {
		t.Skip("needs a build without the race detector, which allocates")
	}
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			l := loopWith(t, engine, loop.Options{FlowPage: true})
			rig.Messages(t, rig.Ends(t, l, &rig.Mirror{}))
		})
	}
}

// loopWith runs a loop on an engine of the machine until the test ends.
func loopWith(t testing.TB, engine loop.Engine, o loop.Options) *loop.Loop {
	t.Helper()
	o.Engine = engine
	l, err := loop.New(&o)
	if err != nil {
		t.Skipf("needs %v: %v", engine, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.RunForever() }()
	t.Cleanup(func() {
		if err := l.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return l
}
