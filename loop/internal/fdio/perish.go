package fdio

// Perish ends a stream whose engine has failed and was halted: nothing is in flight any
// more, though nothing has completed. Releases and ConnectionLost(err) are called, and
// the descriptor is closed.
func (s *Stream) Perish(err error) {
	if s.state == Closed {
		return
	}
	if s.state < Lost {
		s.err = err
		s.stopTimers()
		s.dropFDs()
	}
	s.move(Closed)
	s.guard.Releases = s.out.land(s.host.Chunks(), s.guard.Releases)
	s.reading.held = nil
	s.guard.RunReleases()
	defer s.release()
	s.guard.ConnectionLost(s.err)
}

// Perish ends an endpoint as that of a Stream does.
func (d *Datagram) Perish(err error) {
	if d.state == Closed {
		return
	}
	if d.state < Lost {
		d.err = err
		d.stopTimers()
		d.out.drop()
		d.held = nil
	}
	d.move(Closed)
	defer d.release()
	d.guard.ConnectionLost(d.err)
}
