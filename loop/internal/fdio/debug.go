package fdio

import "github.com/sluice-net/sluice/loop/internal/debug"

// enter tells the host, in debug mode, that a callback begins. It reports
// whether leave must follow: debug mode may be turned on or off meanwhile.
func (s *Stream) enter(callback string) (watched bool) {
	if !s.debug.Load() {
		return false
	}
	s.host.Enter(callback, s.proto)
	return true
}

// leave ends what enter began.
func (s *Stream) leave(watched bool) {
	if watched {
		s.host.Leave()
	}
}

// note logs an event in debug mode.
func (s *Stream) note(event string, attrs ...any) {
	if s.debug.Load() {
		s.host.Note(event, s, attrs...)
	}
}

// poison overwrites bytes that a protocol has seen and must not look at again,
// in debug mode and in checked builds.
func (s *Stream) poison(data []byte) {
	if debug.On || s.debug.Load() {
		debug.Overwrite(data)
	}
}
