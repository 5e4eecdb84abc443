package schedule_test

import (
	"crypto/tls"
	"errors"
	"math"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/tlsio"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/protocol"
)

// atTheEnds calls f for each number in the options and each value of it near the ends
// of its type's range, with the options so, and says which that is.
func atTheEnds(options reflect.Value, f func(what string)) {
	for i := range options.NumField() {
		field, name := options.Field(i), options.Type().Field(i).Name
		switch {
		case field.Kind() == reflect.Struct:
			atTheEnds(field, func(what string) { f(name + "." + what) })
			continue
		case field.Type() == reflect.TypeFor[*loop.TLSOptions]():
			if !field.IsNil() {
				atTheEnds(field.Elem(), func(what string) { f(name + "." + what) })
			}
			continue
		case field.CanInt():
			most := int64(math.MaxInt64) >> (64 - field.Type().Bits())
			for _, v := range []int64{-most - 1, -most, -1, most/2 + 1, most - 1, most} {
				field.SetInt(v)
				f(name + " " + ends64(v))
			}
		case field.CanUint():
			most := uint64(math.MaxUint64) >> (64 - field.Type().Bits())
			for _, v := range []uint64{most/2 + 1, most - 1, most} {
				field.SetUint(v)
				f(name + " " + ends64(int64(v)))
			}
		default:
			continue
		}
		field.SetZero()
	}
}

func ends64(v int64) string { return time.Duration(v).String() }

// isRefusal reports whether err says that an option's value cannot be had.
func isRefusal(err error) bool {
	return errors.Is(err, loop.ErrBadOption) || errors.Is(err, tlsio.ErrTimeout)
}

// lives checks that a connection with such options is made and stays, unless the
// options are refused by name.
func lives(t *testing.T, l *loop.Loop, what string, so loop.ServerOptions,
	co loop.ConnectionOptions) {
	t.Helper()
	s, err := l.CreateServer(rig.WithTimeout(t), rig.NewMirror, "127.0.0.1:0", &so)
	if err != nil {
		if !isRefusal(err) {
			t.Errorf("%s: server: %v", what, err)
		}
		return
	}
	defer s.Close()
	c := &rig.EndRecorder{}
	_, err = l.CreateConnection(rig.WithTimeout(t), c, s.Addrs()[0].String(), &co)
	if err != nil {
		if !isRefusal(err) {
			t.Errorf("%s: connection: %v", what, err)
		}
		return
	}
	looptest.Do(l, func() { c.T.Write([]byte("ping")) })
	looptest.WaitFor(t, l, what+": an answer", func() bool { return c.Got == 4 || c.Gone })
	looptest.Pass(t, l, 2*time.Millisecond)
	looptest.Do(l, func() {
		if c.Gone {
			t.Errorf("%s: lost: %v", what, c.Lost)
		}
		c.T.Close()
	})
	looptest.WaitFor(t, l, what+": the end", func() bool { return c.Gone })
	if c.Lost != nil {
		t.Errorf("%s: ConnectionLost(%v)", what, c.Lost)
	}
	if err := s.Shutdown(rig.WithTimeout(t)); err != nil {
		t.Errorf("%s: Shutdown: %v", what, err)
	}
}

func TestOptionsOfConnectionsAtTheEndsOfTheirRange(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	for _, secure := range []bool{false, true} {
		onRealClocks(t, func(t *testing.T, l *loop.Loop) {
			so, co := loop.ServerOptions{}, loop.ConnectionOptions{}
			if secure {
				so.TLS = &loop.TLSOptions{Config: rig.ServerTLS()}
				co.TLS = &loop.TLSOptions{Config: rig.ClientTLS(), ServerName: "localhost"}
				client := co.TLS.Config
				client.InsecureSkipVerify, client.MinVersion = true, tls.VersionTLS13
			}
			atTheEnds(reflect.ValueOf(&so).Elem(), func(what string) {
				lives(t, l, "ServerOptions."+what, so, co)
			})
			atTheEnds(reflect.ValueOf(&co).Elem(), func(what string) {
				lives(t, l, "ConnectionOptions."+what, so, co)
			})
		})
	}
}

func TestOptionsOfDatagramsAtTheEndsOfTheirRange(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	onRealClocks(t, func(t *testing.T, l *loop.Loop) {
		receiver := rig.OpenDatagram(t, l, &rig.DatagramRecorder{}, rig.AnyPort)
		want := 0
		o := loop.DatagramOptions{LocalAddr: "127.0.0.1:0"}
		atTheEnds(reflect.ValueOf(&o).Elem(), func(what string) {
			p := &rig.DatagramRecorder{}
			_, err := l.CreateDatagramEndpoint(rig.WithTimeout(t), p, &o)
			if err != nil {
				if !isRefusal(err) {
					t.Errorf("%s: %v", what, err)
				}
				return
			}
			want++
			looptest.Do(l, func() {
				if err := p.T.SendTo([]byte("x"), rig.AddrOf(receiver)); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
			looptest.WaitFor(t, l, what, func() bool { return len(receiver.Texts()) == want })
			looptest.Do(l, p.T.Abort)
			looptest.WaitFor(t, l, what, func() bool { return p.T.Protocol() == nil })
		})
		if want == 0 {
			t.Error("everything was refused")
		}
	})
}

func TestOptionsOfALoopAtTheEndsOfTheirRange(t *testing.T) {
	for _, engine := range []loop.Engine{loop.Uring, loop.Epoll} {
		t.Run(engine.String(), func(t *testing.T) {
			if probe, err := loop.New(&loop.Options{Engine: engine}); err != nil {
				t.Skipf("needs %v: %v", engine, err)
			} else {
				probe.Close()
			}
			o := loop.Options{Engine: engine}
			atTheEnds(reflect.ValueOf(&o).Elem(), func(what string) {
				if !strings.HasPrefix(what, "Engine") {
					o.Engine = engine
				}
				l, err := loop.New(&o)
				if err != nil {
					if !errors.Is(err, loop.ErrBadOption) {
						t.Errorf("%s: %v", what, err)
					}
					return
				}
				t.Errorf("%s: was taken", what)
				l.Close()
			})
			for _, o := range []loop.Options{
				{Entries: 32768}, {Buffers: loop.BufferOptions{Max: 32768, Size: 1 << 10}},
				{Buffers: loop.BufferOptions{Max: 2, Size: 1 << 30}}, {Entries: 1},
			} {
				o.Engine = engine
				l, err := loop.New(&o)
				if err != nil {
					t.Errorf("%d, %+v: %v", o.Entries, o.Buffers, err)
					continue
				}
				l.Close()
			}
		})
	}
}

func TestTimersAtTheEndsOfTheirRange(t *testing.T) {
	onRealClocks(t, func(t *testing.T, l *loop.Loop) {
		var order []string
		var far []*loop.TimerHandle
		note := func(what string) func() { return func() { order = append(order, what) } }
		looptest.Do(l, func() {
			for _, d := range []time.Duration{math.MaxInt64, math.MaxInt64 - 1,
				math.MaxInt64 - l.Time(), math.MaxInt64 / 2, 100 * 365 * 24 * time.Hour} {
				far = append(far, l.CallLater(d, note(d.String())),
					l.CallAt(d, note("at "+d.String())))
			}
			l.CallLater(2*time.Millisecond, note("b"))
			l.CallLater(time.Millisecond, note("a"))
			l.CallLater(math.MinInt64, note("now"))
			l.CallAt(math.MinInt64, note("past"))
		})
		looptest.Pass(t, l, 5*time.Millisecond)
		looptest.Do(l, func() {
			if got := strings.Join(order, " "); got != "past now a b" {
				t.Errorf("ran %q", got)
			}
			for _, h := range far {
				if h.When() < l.Time()+24*time.Hour {
					t.Errorf("due at %v", h.When())
				}
				h.Cancel()
			}
		})
	})
}

// A loop that has nothing but a timer of the distant past to wait for does not sleep.
func TestTimerOfThePastEndsASleep(t *testing.T) {
	onRealClocks(t, func(t *testing.T, l *loop.Loop) {
		ran := make(chan struct{})
		l.CallSoonThreadsafe(func() { l.CallAt(math.MinInt64, func() { close(ran) }) })
		select {
		case <-ran:
		case <-time.After(looptest.WaitTimeout):
			t.Error("it sleeps")
		}
	})
}

// vast lends a buffer that is longer than what the kernel takes at a time.
type vast struct {
	rig.EndRecorder
	buf []byte
}

func (v *vast) GetBuffer(int) []byte { return v.buf }
func (v *vast) BufferUpdated(n int)  { v.Got += n }

func TestGetBufferMayReturnMoreThanTheKernelTakes(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("needs 64 bits")
	}
	sizes := []int64{1 << 31, 1 << 32, 1<<32 + 1}
	memory, err := syscall.Mmap(-1, 0, int(sizes[2]), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		t.Skipf("needs an address space of 4 GiB: %v", err)
	}
	defer syscall.Munmap(memory)
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		for _, size := range sizes {
			v := &vast{buf: memory[:size]}
			s, err := l.CreateServer(rig.WithTimeout(t), func() protocol.Protocol {
				return protocol.Buffered(v)
			}, "127.0.0.1:0", nil)
			if err != nil {
				t.Fatal(err)
			}
			c := &rig.EndRecorder{}
			addr := s.Addrs()[0].String()
			if _, err := l.CreateConnection(rig.WithTimeout(t), c, addr, nil); err != nil {
				t.Fatal(err)
			}
			looptest.Do(l, func() { c.T.Write([]byte("ping")) })
			looptest.WaitFor(t, l, "the input", func() bool { return v.Got == 4 || v.Gone })
			if v.Gone {
				t.Errorf("buffer of %d bytes: lost: %v", size, v.Lost)
			}
			looptest.Do(l, func() { c.T.Close() })
			if err := s.Shutdown(rig.WithTimeout(t)); err != nil {
				t.Error(err)
			}
		}
	})
}

// onRealClocks is looptest.Engines without the simulated kernels: their time goes by
// while nothing happens, and comes to every end.
func onRealClocks(t *testing.T, f func(t *testing.T, l *loop.Loop)) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		if l.Engine().String() == "sim" {
			t.Skip("needs a clock that is not simulated")
		}
		f(t, l)
	})
}
