package tlsio

import "github.com/sluice-net/sluice/loop/internal/guard"

// The user code that is called here in addition to the protocol's callbacks:
// through crypto/tls, the functions of the tls.Config; and the caller that waits
// for the handshake.
var (
	handshakeStep = guard.Harmless("TLS handshake", "")
	configCall    = guard.Harmless("tls.Config",
		"Fatal error: a function of the tls.Config failed.")
	doneCall = guard.Harmless("done", "Exception in callback of a TLS handshake")
)

// resume lets the handshake's coroutine run.
func (t *Transport) resume(s *negotiation) (waits bool, err error) {
	call := t.guard.Enter(handshakeStep)
	defer func() {
		t.guard.Leave(call)
		if r := recover(); r != nil {
			err = t.guard.Recovered(r, configCall)
		}
	}()
	_, waits = s.next()
	return waits, s.err
}

// read decrypts. It may call the session cache of the tls.Config.
func (t *Transport) read(buf []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = t.guard.Recovered(r, configCall)
		}
	}()
	return t.conn.Read(buf)
}

// connectionMade does not drop the output after a panic: the output may contain the
// end of the handshake, without which the peer would not know that there was a
// connection.
func (t *Transport) connectionMade() {
	if err := t.guard.ConnectionMade(t); err != nil {
		t.fail(err)
	}
}

func (t *Transport) pauseWriting() {
	t.host.Paused(t, t.WriteBufferSize(), t.flow.Limits())
	t.guard.PauseWriting()
}

func (t *Transport) resumeWriting() {
	t.host.Resumed(t, t.WriteBufferSize(), t.flow.Limits())
	t.guard.ResumeWriting()
}

// Fail implements guard.Transport: it ends the connection at once.
func (t *Transport) Fail(err error) { t.lose(err) }

// done notifies the caller that waits for the handshake, once.
func (t *Transport) done(err error) {
	f := t.config.Done
	if f == nil {
		return
	}
	t.config.Done = nil
	defer func() { _ = t.guard.Recovered(recover(), doneCall) }()
	f(t, err)
}
