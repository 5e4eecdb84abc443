package kernelchaos

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"syscall"
	"time"

	"github.com/sluice-net/sluice/loop"
	"github.com/sluice-net/sluice/loop/internal/exacttest"
	"github.com/sluice-net/sluice/loop/looptest"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// mail are the datagrams between everything else: clients of package net send to
// endpoints of the loop, which send each back with a letter of their own. A datagram
// may get lost, but each that arrives is as it was sent.
type mail struct {
	*world
	endpoints []*mailEndpoint
	clients   []net.Conn
}

// letterHead is the sender's stream, the offset in it and the length, which the
// content follows.
const letterHead = 8 + 8 + 4

// letter writes a letter of n bytes, its head included.
func letter(n int, key, off uint64) []byte {
	p := make([]byte, max(n, letterHead))
	binary.LittleEndian.PutUint64(p, key)
	binary.LittleEndian.PutUint64(p[8:], off)
	binary.LittleEndian.PutUint32(p[16:], uint32(len(p)))
	exacttest.Fill(p[letterHead:], key, off)
	return p
}

// readLetter says what is wrong with one.
func readLetter(p []byte) error {
	if len(p) < letterHead || int(binary.LittleEndian.Uint32(p[16:])) != len(p) {
		return fmt.Errorf("a datagram of %d bytes that is %.40q", len(p), p)
	}
	key, off := binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	return exacttest.Check(p[letterHead:], key, off)
}

// open makes endpoints and clients.
func (m *mail) open(ctx context.Context) error {
	path := "@" + m.prefix() + "/mail"
	for i, o := range []loop.DatagramOptions{
		{LocalAddr: "127.0.0.1:0"}, {LocalAddr: "127.0.0.1:0", GSO: true, GRO: true},
		{LocalPath: path},
	} {
		p := &mailEndpoint{mail: m, rng: rand.New(rand.NewPCG(m.seed, uint64(1000+i)))}
		t, err := m.loop.CreateDatagramEndpoint(ctx, p, &o)
		if err != nil {
			return err
		}
		m.endpoints = append(m.endpoints, p)
		for j := range 2 {
			c, err := dialMail(t, fmt.Sprintf("%s/%d", path, j))
			if err != nil {
				return err
			}
			m.clients = append(m.clients, c)
			key := m.seed ^ (1<<40 | uint64(i<<8|j))
			m.peers.Go(func() { m.send(c, key) })
			m.peers.Go(func() { m.receive(c) })
		}
	}
	return nil
}

// dialMail connects a client to an endpoint; name is its own, of a Unix socket.
func dialMail(t transport.DatagramTransport, name string) (net.Conn, error) {
	switch a := transport.SockName(t).(type) {
	case *net.UDPAddr:
		return net.DialUDP("udp", nil, a)
	case *net.UnixAddr:
		return net.DialUnix("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"}, a)
	}
	return nil, errors.New("an endpoint without an address")
}

// send sends letters until the world is quiet.
func (m *mail) send(c net.Conn, key uint64) {
	rng := rand.New(rand.NewPCG(key, 1))
	rest := time.NewTimer(0)
	defer rest.Stop()
	for off := uint64(0); ; {
		select {
		case <-m.quiet:
			return
		case <-rest.C:
		}
		p := letter(rng.IntN(pick(rng, 30, 1400)), key, off)
		off += uint64(len(p))
		if _, err := c.Write(p); err != nil && !errors.Is(err, syscall.ENOBUFS) {
			m.failf("sending a datagram: %v", err)
			return
		}
		rest.Reset(time.Duration(rng.IntN(3000)) * time.Microsecond)
	}
}

// receive reads letters until the client is closed.
func (m *mail) receive(c net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		m.datagrams.Add(1)
		if err := readLetter(buf[:n]); err != nil {
			m.failf("a client received %v", err)
			return
		}
	}
}

// mailEndpoint is an endpoint's protocol.
type mailEndpoint struct {
	protocol.DatagramBase
	*mail
	t    transport.DatagramTransport
	rng  *rand.Rand
	off  uint64
	gone bool
}

func (o *mailEndpoint) ConnectionMade(t transport.DatagramTransport) { o.t = t }

// DatagramReceived sends the letter back, and one of its own.
func (o *mailEndpoint) DatagramReceived(data []byte, from transport.Addr) {
	o.mail.datagrams.Add(1)
	size := o.opts.Buffers.Size
	if err := readLetter(data); err != nil {
		o.failf("an endpoint received %v", err)
	}
	if o.t.WriteBufferSize() > 64<<10 {
		return
	}
	own := letter(o.rng.IntN(min(1400, size)), o.seed^1<<41, o.off)
	o.off += uint64(len(own))
	for _, p := range [][]byte{data, own} {
		if err := o.t.SendTo(p, from); err != nil {
			o.failf("SendTo: %v", err)
		}
	}
	exacttest.Spoil(own)
	exacttest.Spoil(data)
}

// ErrorReceived is told of datagrams that are longer than the receive buffers.
func (o *mailEndpoint) ErrorReceived(err error) {
	if !errors.Is(err, transport.ErrTruncated) || o.opts.Buffers.Size > 1400 {
		o.failf("ErrorReceived: %v", err)
	}
}

func (o *mailEndpoint) ConnectionLost(err error) {
	o.gone = true
	if err != nil {
		o.failf("the end of an endpoint: %v", err)
	}
}

// close ends clients and endpoints.
func (m *mail) close() {
	if m == nil {
		return
	}
	for _, c := range m.clients {
		c.Close()
	}
	looptest.Do(m.loop, func() {
		for _, o := range m.endpoints {
			if o.rng.IntN(2) == 0 {
				o.t.Close()
			} else {
				o.t.Abort()
			}
		}
	})
}
