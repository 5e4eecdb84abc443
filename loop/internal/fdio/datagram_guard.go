package fdio

import (
	"net"
	"runtime/debug"

	"github.com/sluice-net/sluice/loop/internal/proactor"
	"github.com/sluice-net/sluice/protocol"
	"github.com/sluice-net/sluice/transport"
)

// The user's code is called only from this file, as a stream's is from guard.go.
// A panic does no more to a datagram endpoint than to be reported, save in
// ConnectionMade: what was not set up is not to be called again.

// caught turns a recovered panic into a report. It returns nil if there was none.
func (d *Datagram) caught(r any, callback, message string) error {
	if r == nil {
		return nil
	}
	err := &protocol.PanicError{Callback: callback, Value: r, Stack: debug.Stack()}
	d.host.Report(Exception{Message: message, Err: err, Transport: d, Protocol: d.proto})
	return err
}

func (d *Datagram) connectionMade() {
	watched := d.enter("ConnectionMade")
	defer func() {
		d.leave(watched)
		err := d.caught(recover(), "ConnectionMade",
			"Fatal error: protocol.connection_made() call failed.")
		if err != nil {
			d.lose(err)
		}
	}()
	d.proto.ConnectionMade(d)
}

func (d *Datagram) datagramReceived(data []byte, from transport.Addr) {
	watched := d.enter("DatagramReceived")
	defer func() {
		d.leave(watched)
		d.caught(recover(), "DatagramReceived",
			"Exception in callback protocol.datagram_received()")
	}()
	d.proto.DatagramReceived(data, from)
}

func (d *Datagram) errorReceived(err error) {
	watched := d.enter("ErrorReceived")
	defer func() {
		d.leave(watched)
		d.caught(recover(), "ErrorReceived",
			"Exception in callback protocol.error_received()")
	}()
	d.proto.ErrorReceived(err)
}

func (d *Datagram) connectionLost(err error) {
	watched := d.enter("ConnectionLost")
	defer func() {
		d.leave(watched)
		d.caught(recover(), "ConnectionLost",
			"Exception in callback protocol.connection_lost()")
	}()
	d.proto.ConnectionLost(err)
}

func (d *Datagram) pauseWriting() {
	d.pub.page.PauseWriting(d.pub.slot)
	d.host.Paused(d, d.flow.Size(), d.flow.Limits())
	watched := d.enter("PauseWriting")
	defer func() {
		d.leave(watched)
		d.caught(recover(), "PauseWriting", "protocol.pause_writing() failed")
	}()
	d.proto.PauseWriting()
}

func (d *Datagram) resumeWriting() {
	d.pub.page.ResumeWriting(d.pub.slot)
	d.host.Resumed(d, d.flow.Size(), d.flow.Limits())
	watched := d.enter("ResumeWriting")
	defer func() {
		d.leave(watched)
		d.caught(recover(), "ResumeWriting", "protocol.resume_writing() failed")
	}()
	d.proto.ResumeWriting()
}

// enter tells the host, in debug mode, that a callback begins, and reports
// whether leave must follow.
func (d *Datagram) enter(callback string) (watched bool) {
	if !d.debug.Load() {
		return false
	}
	d.host.Enter(callback, d.proto)
	return true
}

// leave ends what enter began.
func (d *Datagram) leave(watched bool) {
	if watched {
		d.host.Leave()
	}
}

// note logs an event in debug mode.
func (d *Datagram) note(event string, attrs ...any) {
	if d.debug.Load() {
		d.host.Note(event, d, attrs...)
	}
}

// addressOf is where a datagram was to go, for an error about it.
func (d *Datagram) addressOf(p proactor.Packet) net.Addr {
	if p.Addr.IsZero() {
		return d.peer
	}
	family := proactor.IPv6
	if p.Addr.Path != "" {
		family = proactor.Unix
	}
	return NetAddr(p.Addr, family, proactor.Datagram)
}
