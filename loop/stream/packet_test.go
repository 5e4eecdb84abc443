package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/loop/stream"
)

// endpoint makes one that is gone at the end of the test.
func endpoint(t *testing.T, l *loop.Loop, network, addr string) *stream.PacketConn {
	t.Helper()
	c, err := stream.ListenPacket(l, network, addr)
	if err != nil {
		t.Fatal(err)
	}
	p := c.(*stream.PacketConn)
	t.Cleanup(func() {
		p.Close()
		ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
		defer cancel()
		if err := p.WaitClosed(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

// wantPacket reads a datagram.
func wantPacket(t *testing.T, p *stream.PacketConn, data []byte, from net.Addr) {
	t.Helper()
	b := make([]byte, 1<<16)
	n, addr, err := p.ReadFrom(b)
	if err != nil || !bytes.Equal(b[:n], data) || addr.String() != from.String() {
		t.Errorf("received %d bytes from %v, %v; want %d from %v", n, addr, err, len(data), from)
	}
}

func TestDatagramsKeepTheirBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than -short allows")
	}
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		for _, network := range []string{"udp", "udp4", "udp6", "unixgram"} {
			t.Run(network, func(t *testing.T) {
				at := func(name string) string {
					switch {
					case network == "udp6":
						return "[::1]:0"
					case network != "unixgram":
						return "127.0.0.1:0"
					case simulated(l):
						return "@" + t.Name() + name
					}
					return filepath.Join(t.TempDir(), name)
				}
				a, b := endpoint(t, l, network, at("a")), endpoint(t, l, network, at("b"))
				for _, size := range []int{0, 1, 9000, 0, 20_000, 40_000, 3} {
					if n, err := a.WriteTo(letters(size), b.LocalAddr()); n != size || err != nil {
						t.Errorf("WriteTo of %d bytes: %d, %v", size, n, err)
					}
					wantPacket(t, b, letters(size), a.LocalAddr())
				}
				for i := range 30 {
					a.WriteTo([]byte(fmt.Sprint("packet ", i)), b.LocalAddr())
				}
				for i := range 30 {
					wantPacket(t, b, []byte(fmt.Sprint("packet ", i)), a.LocalAddr())
				}
				a.WriteTo([]byte("too long"), b.LocalAddr())
				a.WriteTo([]byte("next"), b.LocalAddr())
				short := make([]byte, 3)
				if n, _, err := b.ReadFrom(short); n != 3 || string(short) != "too" || err != nil {
					t.Errorf("a short read: %q, %v", short[:n], err)
				}
				wantPacket(t, b, []byte("next"), a.LocalAddr())
			})
		}
	})
}

func TestDatagramsWithAddressesThatAreValues(t *testing.T) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		both := endpoint(t, l, "udp", ":0")
		port := both.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		four := endpoint(t, l, "udp4", "127.0.0.1:0")
		to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
		here := &net.UDPAddr{Port: int(port)}
		if _, err := four.WriteTo([]byte("ping"), here); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		n, from, err := both.ReadFromUDPAddrPort(b)
		if string(b[:n]) != "ping" || from.String() != four.LocalAddr().String() || err != nil {
			t.Fatalf("received %q from %v, %v", b[:n], from, err)
		}
		if _, err := both.WriteToUDPAddrPort([]byte("pong"), from); err != nil {
			t.Fatal(err)
		}
		n, from, err = four.ReadFromUDPAddrPort(b)
		if string(b[:n]) != "pong" || from != to || err != nil {
			t.Errorf("received %q from %v, %v", b[:n], from, err)
		}
	})
}

func TestDatagramsThatCannotBeSent(t *testing.T) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		p := endpoint(t, l, "udp4", "127.0.0.1:0")
		self := p.LocalAddr()
		_, err := p.WriteTo(make([]byte, 65508), self)
		wantErr(t, "a datagram that is too long", err, syscall.EMSGSIZE)
		var wrong *net.AddrError
		for _, to := range []net.Addr{nil, &net.UnixAddr{Name: "x"}, (*net.UDPAddr)(nil),
			&net.UDPAddr{IP: net.IPv6loopback, Port: 1}} {
			if _, err := p.WriteTo([]byte("x"), to); !errors.As(err, &wrong) {
				t.Errorf("WriteTo(%v): %v", to, err)
			}
		}
		// What the kernel says comes with the next one, and names the first.
		nowhere := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 0}
		if _, err := p.WriteTo([]byte("x"), nowhere); err != nil {
			t.Error(err)
		}
		looptest.Turns(l, 5)
		_, err = p.WriteTo([]byte("y"), self)
		var op *net.OpError
		if !errors.As(err, &op) || op.Addr.String() != nowhere.String() {
			t.Errorf("after a datagram to port 0: %v", err)
		}
		if _, err := p.WriteTo([]byte("z"), self); err != nil {
			t.Error(err)
		}
		wantPacket(t, p, []byte("z"), self)
	})
}

func TestDatagramsAndDeadlinesAndClose(t *testing.T) {
	looptest.Engines(t, func(t *testing.T, l *loop.Loop) {
		p := endpoint(t, l, "udp4", "127.0.0.1:0")
		b := make([]byte, 10)
		p.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, _, err := p.ReadFrom(b)
		wantErr(t, "an overdue read", err, os.ErrDeadlineExceeded)
		p.SetDeadline(time.Unix(1, 0))
		_, err = p.WriteTo(b, p.LocalAddr())
		wantErr(t, "an overdue write", err, os.ErrDeadlineExceeded)
		p.SetDeadline(time.Time{})
		reading := background(func() (int, error) {
			n, _, err := p.ReadFrom(b)
			return n, err
		})
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		wantErr(t, "a read that waited", soon(t, "the read", reading).err, net.ErrClosed)
		_, err = p.WriteTo(b, p.LocalAddr())
		wantErr(t, "a write after Close", err, net.ErrClosed)
		wantErr(t, "a second Close", p.Close(), net.ErrClosed)
	})
}

// Who does not read holds up no more than is promised, and what he then reads is in
// order.
func TestDatagramsAheadOfTheReaderAreBounded(t *testing.T) {
	kernels(t, func(t *testing.T, l *loop.Loop) {
		a, b := endpoint(t, l, "udp4", "127.0.0.1:0"), endpoint(t, l, "udp4", "127.0.0.1:0")
		for i := range 2000 {
			p := make([]byte, 1000)
			p[0], p[1] = byte(i), byte(i>>8)
			if _, err := a.WriteTo(p, b.LocalAddr()); err != nil {
				t.Fatal(err)
			}
		}
		looptest.Turns(l, 50)
		if n := stream.Ahead(b); n > 128<<10+64<<10+2000 {
			t.Errorf("%d bytes wait", n)
		}
		last, count := -1, 0
		b.SetReadDeadline(time.Now().Add(waitTimeout))
		for p := make([]byte, 1000); ; count++ {
			if count == 100 { // what else there is may be none
				b.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			}
			if _, _, err := b.ReadFrom(p); err != nil {
				break
			}
			if i := int(p[0]) | int(p[1])<<8; i <= last {
				t.Fatalf("%d after %d", i, last)
			} else {
				last = i
			}
		}
		if count < 100 {
			t.Errorf("%d datagrams were received", count)
		}
	})
}
