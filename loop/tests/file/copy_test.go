package file_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport"
)

// opaque is a transport of which the loop knows nothing but its methods.
type opaque struct {
	transport.Transport
	most int // that was ever buffered
}

func (o *opaque) Write(p []byte) (int, error) {
	n, err := o.Transport.Write(p)
	o.most = max(o.most, o.WriteBufferSize())
	return n, err
}

// waitFull waits until the kernel takes no more of a transport's output. How much
// is left then is a matter of chance: of a file on its way over TLS it may be less
// than the low mark.
func waitFull(t *testing.T, l *loop.Loop, w transport.WriteTransport) {
	t.Helper()
	size, since := 0, time.Duration(0)
	looptest.WaitFor(t, l, "bytes to stay", func() bool {
		if n := w.WriteBufferSize(); n != size || n == 0 {
			size, since = n, l.Time()
		}
		return size > 0 && l.Time()-since > 20*time.Millisecond
	})
}

func TestS348_AFileIsCopiedToATransportThatKnowsNoFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		o := &opaque{Transport: server.Transport()}
		f, content := fileOf(t, 3<<20)
		var first, second *sending
		looptest.Do(l, func() {
			first = send(l, t.Context(), o, f, 0, -1)
			second = send(l, t.Context(), o, f, 10, 500) // after the first
		})
		waitEnded(t, l, first)
		waitEnded(t, l, second)
		if first.n != 3<<20 || first.err != nil || second.n != 500 || second.err != nil {
			t.Errorf("%d, %v and %d, %v", first.n, first.err, second.n, second.err)
		}
		rig.WaitData(t, l, client, append(bytes.Clone(content), content[10:510]...))
		if limit := o.WriteBufferLimits().Low + 256<<10; o.most > limit {
			t.Errorf("%d bytes were buffered, more than %d", o.most, limit)
		}
		if n, _ := l.Sendfile(t.Context(), o, f, 0, 0); n != 0 {
			t.Errorf("nothing is %d bytes", n)
		}
	})
}

// The user's callbacks stay the user's: a copy asks and is not told.
func TestS349_ACopyWaitsForRoomAndLeavesFlowControlToTheProtocol(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		server, client := rig.Pair(t, l)
		o := &opaque{Transport: server.Transport()}
		f, content := fileOf(t, 16<<20)
		var s *sending
		looptest.Do(l, func() {
			client.Transport().PauseReading()
			s = send(l, t.Context(), o, f, 0, -1)
		})
		waitFull(t, l, server.Transport())
		looptest.Pass(t, l, 20*time.Millisecond)
		looptest.Do(l, func() {
			if most := o.WriteBufferLimits().Low + 256<<10; s.ended || o.most > most {
				t.Errorf("the copy does not wait for room: %d bytes were buffered", o.most)
			}
		})
		looptest.Do(l, func() { client.Transport().ResumeReading() })
		waitEnded(t, l, s)
		rig.WaitData(t, l, client, content)
		looptest.WaitFor(t, l, "ResumeWriting", func() bool {
			return server.Count("resume") == server.Count("pause")
		})
	})
}

func TestACopyEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		f, content := fileOf(t, 16<<20)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for _, c := range []struct {
			name string
			do   func(t transport.Transport)
			want error
		}{
			{"cancel", func(transport.Transport) { cancel() }, context.Canceled},
			{"abort", func(tr transport.Transport) { tr.Abort() }, net.ErrClosed},
			{"close", func(tr transport.Transport) { tr.Close() }, net.ErrClosed},
			{"file", func(transport.Transport) { f.Close() }, os.ErrClosed},
		} {
			server, client := rig.Pair(t, l)
			of := t.Context()
			if c.name == "cancel" {
				of = ctx
			}
			var s *sending
			looptest.Do(l, func() {
				client.Transport().PauseReading()
				s = send(l, of, &opaque{Transport: server.Transport()}, f, 0, -1)
			})
			waitFull(t, l, server.Transport())
			looptest.Do(l, func() {
				c.do(server.Transport())
				client.Transport().ResumeReading()
			})
			waitEnded(t, l, s)
			if !errors.Is(s.err, c.want) || s.n <= 0 || s.n >= 16<<20 {
				t.Errorf("%s: %d, %v, want %v", c.name, s.n, s.err, c.want)
			}
			if got := client.Data(); !bytes.HasPrefix(content, got) {
				t.Errorf("%s: %d bytes that are not the file's", c.name, len(got))
			}
		}
	})
}
