package fdio

import (
	"os"
	"runtime/debug"

	"github.com/sluice-net/sluice/protocol"
)

// The user's code is called only from this file. Each call is guarded: a panic
// is reported, and where asyncio says so it ends the connection. Measured, the
// guard costs 3 to 5 ns a call, a thousandth of a message.

// caught turns a recovered panic into a report. It returns nil if there was none.
func (s *Stream) caught(r any, callback, message string) error {
	if r == nil {
		return nil
	}
	err := &protocol.PanicError{Callback: callback, Value: r, Stack: debug.Stack()}
	s.host.Report(Exception{Message: message, Err: err, Transport: s, Protocol: s.proto})
	return err
}

// fatal ends the stream after a panic in a callback.
func (s *Stream) fatal(r any, callback, name string) {
	if r == nil {
		return
	}
	s.lose(s.caught(r, callback, "Fatal error: protocol."+name+"() call failed."))
}

func (s *Stream) connectionMade() {
	watched := s.enter("ConnectionMade")
	defer func() {
		s.leave(watched)
		s.fatal(recover(), "ConnectionMade", "connection_made")
	}()
	if s.buffered != nil {
		s.buffered.ConnectionMade(s)
		return
	}
	s.plain.ConnectionMade(s)
}

func (s *Stream) dataReceived(data []byte) {
	watched := s.enter("DataReceived")
	defer func() {
		s.leave(watched)
		s.fatal(recover(), "DataReceived", "data_received")
	}()
	s.plain.DataReceived(data)
}

func (s *Stream) fdsReceived(r protocol.FDReceiver, files []*os.File, lost bool) {
	watched := s.enter("FDsReceived")
	defer func() {
		s.leave(watched)
		s.fatal(recover(), "FDsReceived", "fds_received")
	}()
	r.FDsReceived(files, lost)
}

func (s *Stream) getBuffer(hint int) (buf []byte) {
	watched := s.enter("GetBuffer")
	defer func() {
		s.leave(watched)
		s.fatal(recover(), "GetBuffer", "get_buffer")
	}()
	return s.buffered.GetBuffer(hint)
}

func (s *Stream) bufferUpdated(n int) {
	watched := s.enter("BufferUpdated")
	defer func() {
		s.leave(watched)
		s.fatal(recover(), "BufferUpdated", "buffer_updated")
	}()
	s.buffered.BufferUpdated(n)
}

func (s *Stream) eofReceived() (keepOpen bool) {
	watched := s.enter("EOFReceived")
	defer func() {
		s.leave(watched)
		s.fatal(recover(), "EOFReceived", "eof_received")
	}()
	if s.buffered != nil {
		return s.buffered.EOFReceived()
	}
	return s.plain.EOFReceived()
}

func (s *Stream) connectionLost(err error) {
	watched := s.enter("ConnectionLost")
	defer func() {
		s.leave(watched)
		s.caught(recover(), "ConnectionLost",
			"Exception in callback protocol.connection_lost()")
	}()
	s.proto.ConnectionLost(err)
}

func (s *Stream) pauseWriting() {
	s.pub.page.PauseWriting(s.pub.slot)
	s.host.Paused(s, s.flow.Size(), s.flow.Limits())
	watched := s.enter("PauseWriting")
	defer func() {
		s.leave(watched)
		s.caught(recover(), "PauseWriting", "protocol.pause_writing() failed")
	}()
	s.proto.PauseWriting()
}

func (s *Stream) resumeWriting() {
	s.pub.page.ResumeWriting(s.pub.slot)
	s.host.Resumed(s, s.flow.Size(), s.flow.Limits())
	watched := s.enter("ResumeWriting")
	defer func() {
		s.leave(watched)
		s.caught(recover(), "ResumeWriting", "protocol.resume_writing() failed")
	}()
	s.proto.ResumeWriting()
}

// runReleases gives the user back the slices that were sent or dropped, also those
// that come to it meanwhile. A short list is kept for the next time.
func (s *Stream) runReleases() {
	for i := 0; i < len(s.releases); i++ {
		f := s.releases[i]
		s.releases[i] = nil
		s.release(f)
	}
	s.releases = s.releases[:0]
	if cap(s.releases) > bufsKept {
		s.releases = nil
	}
}

func (s *Stream) release(f func()) {
	watched := s.enter("release")
	defer func() {
		s.leave(watched)
		s.caught(recover(), "release", "Exception in callback of WriteOwned or Sendfile")
	}()
	f()
}
