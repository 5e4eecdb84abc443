package child_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/subprocess"
	"github.com/sluice-net/sluice/transport"
)

func TestS324_PanicsAreReportedAndSurvived(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		for _, e := range []string{"data 1", "exited", "closed 1", "lost"} {
			n.On[e] = func() {
				if e == "lost" {
					close(n.Gone)
				}
				panic("planned")
			}
		}
		for _, e := range []string{"pipe_data_received", "process_exited",
			"pipe_connection_lost", "connection_lost"} {
			looptest.Expect(l, "Exception in callback protocol."+e+"()")
		}
		rig.Launch(t, l, n, nil, "echo", "hello").Over(t, 0)
		if string(n.Out[1]) != "hello\n" {
			t.Errorf("%q", n.Out[1])
		}
	})
}

func TestS325_PanicInConnectionMadeKills(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "Fatal error: protocol.connection_made() call failed.")
		n := rig.NewProcessRecorder(t)
		n.On["made"] = func() { panic("planned") }
		var planned *protocol.PanicError
		tr, err := l.SubprocessExec(rig.WithTimeout(t), n, []string{"sleep", "infinity"}, nil)
		if tr != nil || !errors.As(err, &planned) {
			t.Errorf("%v, %v", tr, err)
		}
		n.Over(t, -9)
		if !errors.As(n.LostErr, &planned) {
			t.Error(n.LostErr)
		}
	})
}

func TestS329_CancelKillsAndReaps(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.NewProcessRecorder(t)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		looptest.Do(l, func() {
			l.SubprocessExecFunc(ctx, n, []string{"sleep", "infinity"}, nil,
				func(_ transport.SubprocessTransport, err error) { result <- err })
			cancel()
		})
		select {
		case err := <-result:
			if err == nil { // the cancellation came late
				looptest.Do(l, func() { n.T.Close() })
				n.Over(t, -9)
			} else if !errors.Is(err, context.Canceled) || len(n.Events) > 0 {
				t.Error(err, n.Events)
			}
		case <-time.After(looptest.WaitTimeout):
			t.Fatal("the start does not end")
		}
		if _, err := l.SubprocessExec(ctx, n, []string{"true"}, nil); !errors.Is(err,
			context.Canceled) {
			t.Error(err)
		}
	})
}

func TestS333_StolenChild(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		looptest.Expect(l, "Error waiting for a child")
		n := rig.NewProcessRecorder(t)
		n.On["made"] = func() {
			if _, err := syscall.Wait4(n.T.Pid(), nil, 0, nil); err != nil {
				t.Error(err)
			}
		}
		rig.Launch(t, l, n, nil, "true")
		n.Over(t, 255)
		if err := looptest.Exceptions(l)[0].Err; !errors.Is(err, subprocess.ErrStolen) {
			t.Error(err)
		}
	})
}

func TestS336_SetProtocolOfAChild(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		first, second := rig.NewProcessRecorder(t), rig.NewProcessRecorder(t)
		rig.Launch(t, l, first, nil, "cat")
		looptest.Do(l, func() {
			if err := first.T.SetProtocol(nil); err != transport.ErrNilProtocol {
				t.Error(err)
			}
			var stream struct{ transport.BaseProtocol }
			if err := first.T.SetProtocol(stream); err != transport.ErrProtocolKind {
				t.Error(err)
			}
			second.T = first.T
			if err := first.T.SetProtocol(second); err != nil || first.T.Protocol() != second {
				t.Error(err)
			}
			if first.T.IsClosing() {
				t.Error("closing after SetProtocol")
			}
			rig.Stdin(first).Close()
		})
		second.Over(t, 0)
		if len(first.Events) != 1 {
			t.Error(first.Events)
		}
	})
}

func TestS029_TheStateOfAChildIsKnownAfterItsExit(t *testing.T) {
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat")
		looptest.Do(l, func() {
			if s := n.T.ExtraInfo("subprocess"); s != nil {
				t.Errorf("%v while it runs", s)
			}
			for fd := range 3 {
				_, ok := n.T.PipeTransport(fd).ExtraInfo("pipe").(syscall.RawConn)
				if !ok {
					t.Errorf("no pipe of descriptor %d", fd)
				}
			}
			rig.Stdin(n).Close()
		})
		n.Over(t, 0)
		looptest.Do(l, func() {
			s, ok := n.T.ExtraInfo("subprocess").(*os.ProcessState)
			if !ok || s.Pid() != n.T.Pid() || !s.Success() {
				t.Errorf("%v of child %d", s, n.T.Pid())
			}
		})
	})
}

func TestS339_ManyWaitForOneChild(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		n := rig.Launch(t, l, rig.NewProcessRecorder(t), nil, "cat")
		codes := make(chan int, 5)
		for range 5 {
			go func() {
				code, err := subprocess.Wait(rig.WithTimeout(t), n.T)
				if err != nil {
					t.Error(err)
				}
				codes <- code
			}()
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := subprocess.Wait(ended, n.T); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		looptest.Do(l, func() { n.T.Kill() })
		for range 5 {
			if code := <-codes; code != -9 {
				t.Error(code)
			}
		}
		n.Over(t, -9)
	})
}
