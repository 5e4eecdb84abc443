package tlsio

import (
	"runtime/debug"

	"github.com/sluice-net/sluice/protocol"
)

// The user's code is called only from this file: the protocol's callbacks, and
// through crypto/tls the functions of the tls.Config. A panic is reported, and
// where asyncio says so it ends the connection.

// caught turns a recovered panic into a report. It returns nil if there was none.
func (t *Transport) caught(r any, callback, message string) error {
	if r == nil {
		return nil
	}
	err := &protocol.PanicError{Callback: callback, Value: r, Stack: debug.Stack()}
	t.host.Report(message, err, t, t.proto)
	return err
}

// fatal ends the transport after a panic in a callback.
func (t *Transport) fatal(r any, callback, name string) {
	if r == nil {
		return
	}
	t.lose(t.caught(r, callback, "Fatal error: protocol."+name+"() call failed."))
}

// enter tells the host, in debug mode, that a callback begins.
func (t *Transport) enter(callback string) (watched bool) {
	if !t.debug.Load() {
		return false
	}
	t.host.Enter(callback, t.proto)
	return true
}

// exit ends what enter began.
func (t *Transport) exit(watched bool) {
	if watched {
		t.host.Leave()
	}
}

// note logs an event in debug mode.
func (t *Transport) note(event string) {
	if t.debug.Load() {
		t.host.Note(event, t)
	}
}

// resume lets the handshake's coroutine run.
func (t *Transport) resume(s *negotiation) (waits bool, err error) {
	watched := t.enter("TLS handshake")
	defer func() {
		t.exit(watched)
		if r := recover(); r != nil {
			err = t.caught(r, "tls.Config", "Fatal error: a function of the tls.Config failed.")
		}
	}()
	_, waits = s.next()
	return waits, s.err
}

// read decrypts. It may call the session cache of the tls.Config.
func (t *Transport) read(buf []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = t.caught(r, "tls.Config", "Fatal error: a function of the tls.Config failed.")
		}
	}()
	return t.conn.Read(buf)
}

// connectionMade does not drop the output after a panic: the end of the handshake
// may be in it, without which the peer would not know that there was a connection.
func (t *Transport) connectionMade() {
	watched := t.enter("ConnectionMade")
	defer func() {
		t.exit(watched)
		if r := recover(); r != nil {
			t.fail(t.caught(r, "ConnectionMade",
				"Fatal error: protocol.connection_made() call failed."))
		}
	}()
	if t.buffered != nil {
		t.buffered.ConnectionMade(t)
		return
	}
	t.plain.ConnectionMade(t)
}

func (t *Transport) dataReceived(data []byte) {
	watched := t.enter("DataReceived")
	defer func() {
		t.exit(watched)
		t.fatal(recover(), "DataReceived", "data_received")
	}()
	t.plain.DataReceived(data)
}

func (t *Transport) getBuffer(hint int) (buf []byte) {
	watched := t.enter("GetBuffer")
	defer func() {
		t.exit(watched)
		t.fatal(recover(), "GetBuffer", "get_buffer")
	}()
	return t.buffered.GetBuffer(hint)
}

func (t *Transport) bufferUpdated(n int) {
	watched := t.enter("BufferUpdated")
	defer func() {
		t.exit(watched)
		t.fatal(recover(), "BufferUpdated", "buffer_updated")
	}()
	t.buffered.BufferUpdated(n)
}

func (t *Transport) eofReceived() (keepOpen bool) {
	watched := t.enter("EOFReceived")
	defer func() {
		t.exit(watched)
		t.fatal(recover(), "EOFReceived", "eof_received")
	}()
	if t.buffered != nil {
		return t.buffered.EOFReceived()
	}
	return t.plain.EOFReceived()
}

func (t *Transport) connectionLost(err error) {
	watched := t.enter("ConnectionLost")
	defer func() {
		t.exit(watched)
		_ = t.caught(recover(), "ConnectionLost",
			"Exception in callback protocol.connection_lost()")
	}()
	t.proto.ConnectionLost(err)
}

func (t *Transport) pauseWriting() {
	t.host.Paused(t, t.WriteBufferSize(), t.flow.Limits())
	watched := t.enter("PauseWriting")
	defer func() {
		t.exit(watched)
		_ = t.caught(recover(), "PauseWriting", "protocol.pause_writing() failed")
	}()
	t.proto.PauseWriting()
}

func (t *Transport) resumeWriting() {
	t.host.Resumed(t, t.WriteBufferSize(), t.flow.Limits())
	watched := t.enter("ResumeWriting")
	defer func() {
		t.exit(watched)
		_ = t.caught(recover(), "ResumeWriting", "protocol.resume_writing() failed")
	}()
	t.proto.ResumeWriting()
}

// done tells whoever waits for the handshake, once.
func (t *Transport) done(err error) {
	f := t.config.Done
	if f == nil {
		return
	}
	t.config.Done = nil
	defer func() {
		_ = t.caught(recover(), "done", "Exception in callback of a TLS handshake")
	}()
	f(t, err)
}

// runReleases gives the user back the slices that were encrypted or dropped.
func (t *Transport) runReleases() {
	for len(t.releases) > 0 {
		f := t.releases[0]
		t.releases = t.releases[1:]
		t.release(f)
	}
	t.releases = nil
}

func (t *Transport) release(f func()) {
	watched := t.enter("release")
	defer func() {
		t.exit(watched)
		_ = t.caught(recover(), "release", "Exception in callback of WriteOwned or Sendfile")
	}()
	f()
}
