package server_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/tests/rig"
	"github.com/sluice-net/sluice/transport/transporttest"
)

// emptyResolver makes the resolver one whose server knows every name, but no
// address.
func emptyResolver(t *testing.T) {
	old := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = old })
	net.DefaultResolver = &net.Resolver{PreferGo: true,
		Dial: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go answerNothing(theirs)
			return ours, nil
		}}
}

// answerNothing speaks DNS over a stream: a length, then the message.
func answerNothing(c net.Conn) {
	defer c.Close()
	const header = 12
	for {
		var size [2]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(c, query); err != nil {
			return
		}
		end := header
		for query[end] != 0 {
			end += int(query[end]) + 1
		}
		end += 5 // the root, the type, the class
		answer := binary.BigEndian.AppendUint16(nil, uint16(end))
		answer = append(answer, query[:2]...)                       // the identifier
		answer = append(answer, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0) // no error, no records
		if _, err := c.Write(append(answer, query[header:end]...)); err != nil {
			return
		}
	}
}

func TestS266_ANameWithoutAnAddressIsAnError(t *testing.T) {
	emptyResolver(t)
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		r := transporttest.NewRecorder(t)
		_, err := l.CreateConnection(rig.WithTimeout(t), r, "nothing.example.:80", nil)
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound || r.Trace() != "" {
			t.Errorf("CreateConnection: %v; callbacks %q", err, r.Trace())
		}
		_, err = l.CreateServer(rig.WithTimeout(t), newCounting, "nothing.example.:0", nil)
		if !errors.As(err, &dns) {
			t.Errorf("CreateServer: %v", err)
		}
	})
}

func TestS261_AZoneSaysWhichInterface(t *testing.T) {
	ip := rig.LinkLocal(t)
	rig.OnKernels(t, func(t *testing.T, l *loop.Loop) {
		a := rig.Serve(t, l, netip.AddrPortFrom(ip, 0).String(), nil)
		addr := a.Addrs()[0].(*net.TCPAddr)
		r := transporttest.NewRecorder(t)
		rig.AbortAtEnd(t, l, r)
		to := netip.AddrPortFrom(ip, uint16(addr.Port)).String()
		if _, err := l.CreateConnection(rig.WithTimeout(t), r, to, nil); err != nil {
			t.Fatal(err)
		}
		if addr.Zone == "" || !strings.Contains(to, "%") {
			t.Errorf("listens on %v, dialed %v: no zone", addr, to)
		}
		wrong := netip.AddrPortFrom(ip.WithZone("no-such-zone"), uint16(addr.Port)).String()
		_, err := l.CreateConnection(rig.WithTimeout(t), transporttest.NewRecorder(t), wrong, nil)
		if err == nil {
			t.Error("a zone that does not exist is no error")
		}
	})
}
